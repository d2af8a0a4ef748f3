"""Before anything is made, every host is tried; what is wrong is told with the host's name, and nothing is waited for longer than it may take."""

import os
import time

from hosts import main
from study_hosts import HostsCase


class HostsAreTried(HostsCase):
    def refused(self, experiment, *arguments, within=40):
        self.write("exp.yaml", experiment)
        began = time.monotonic()
        done = self.regatta("run", "exp.yaml", *arguments, code=2)
        self.assertLess(time.monotonic() - began, within)
        self.assertFalse(os.path.exists(self.path("runs", "tiny")), "nothing may be made")
        return done.stderr

    def test_a_table_shows_what_they_have(self):
        self.write("exp.yaml", self.on((3, 1)))
        output = self.regatta("hosts", "exp.yaml").stdout
        self.assertRegex(output, r"10\.77\.0\.1 +3 +\d+ +\d+ ms +nothing")
        self.assertIn("4 crews of 1: 3 on 10.77.0.1, 1 on 10.77.0.2; the coordinator listens at 10.77.0.254", output)

    def test_an_interface_that_is_not_there_is_told_by_name(self):
        told = self.refused(self.on((1, 1)).replace("10.77.0.0/24", "regatta-bt"))
        self.assertIn("has no network interface 'regatta-bt' with an IPv4 address (did you mean 'regatta-br'?)", told)
        self.assertIn("exp.yaml:18:", told)

    def test_an_interface_that_another_host_lacks_is_told_with_its_own(self):
        told = self.refused(self.on((1, 1)).replace("10.77.0.0/24", "regatta-br"))
        self.assertIn("host regatta-node1 has no network interface 'regatta-br'", told)
        self.assertIn("regatta-i2 (10.77.0.2)", told)

    def test_a_host_that_is_cut_off_is_told_by_name_and_the_others_are_not(self):
        self.hosts.cut(2)
        try:
            told = self.refused(self.on((1, 1)))
        finally:
            self.hosts.mend(2)
        self.assertIn("host 10.77.0.2 does not reach the coordinator at 10.77.0.254", told)
        self.assertNotIn("10.77.0.1 ", told)

    def test_a_host_that_the_agent_does_not_reach_is_told_by_name(self):
        told = self.refused(self.on((1, 1, 1)))
        self.assertIn("host 10.77.0.3 is not reached", told)
        self.assertIn("resources.agent", told)

    def test_a_host_that_answers_nothing_is_given_up_after_ten_seconds(self):
        self.write("agent", f'#!/bin/sh\n[ "$1" = 10.77.0.2 ] && exec sleep 1000\nexec {self.hosts.agent} "$@"\n')
        os.chmod(self.path("agent"), 0o755)
        told = self.refused(self.on((1, 1)).replace(self.hosts.agent, self.path("agent")))
        self.assertIn("host 10.77.0.2 has not answered", told)
        self.assertEqual(told.count("host "), 1, told)

    def test_a_host_that_does_not_see_the_folder_is_told(self):
        # A /dev of its own: what is made there is not seen elsewhere.
        self.write("agent", "#!/bin/sh\naddress=$1; shift\n"
                   f"exec {self.hosts.agent} $address \"mount -t tmpfs none /dev/shm; $*\"\n")
        os.chmod(self.path("agent"), 0o755)
        told = self.refused(self.on((1, 1)).replace(self.hosts.agent, self.path("agent")), "--runs-dir", "/dev/shm")
        self.assertIn("host 10.77.0.1 does not see /dev/shm: the study's folder must be on a file system that all", told)

    def test_crews_without_room_are_refused_with_the_arithmetic(self):
        told = self.refused(self.on((1, 2), ranks=2, crews=2))
        self.assertIn("2 crews of 2 ranks need 4 slots, but the hosts (10.77.0.1:1, 10.77.0.2:2) have 3", told)


if __name__ == "__main__":
    main()
