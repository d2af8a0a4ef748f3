"""Collectives across hosts: ranks that share memory on each of them and a network between."""

import os
import unittest

from hosts import Hosts, main

PROGRAM = os.environ.get("MPI_PROGRAM", "build/release/tests/collectives/mpi_program")


class Collectives(unittest.TestCase):
    def test_give_the_same_bits_on_hosts_with_different_numbers_of_ranks(self):
        with Hosts(2) as hosts:
            for slots in ((1, 1), (2, 1)):
                done = hosts.mpirun(slots, [PROGRAM, "hosts", str(slots[0])])
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertEqual(done.stdout.count(": ok"), sum(slots), done.stdout)


if __name__ == "__main__":
    main()
