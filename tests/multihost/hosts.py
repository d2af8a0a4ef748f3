"""Several hosts on one machine: network namespaces with a bridge between them, for Linux and root only.

    with Hosts(2) as hosts:
        hosts.mpirun(slots=(2, 1), program=[...])

This machine is one more host, with the address .254; only one test at a time has the hosts.
"""

import fcntl
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

NETWORK = "10.77.0"
LOCK = "/tmp/regatta-hosts.lock"
AGENT = """#!/bin/sh
# In place of ssh: mpirun calls it with a host's address and a command.
address=$1; shift
node=regatta-node${address##*.}
exec ip netns exec "$node" unshare --uts sh -c "hostname $node; $*"
"""


def why_not():
    """What is missing here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("ip", "unshare", "mpirun"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    made = subprocess.run(["ip", "netns", "add", "regatta-probe"], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return f"this system makes no network namespaces: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "delete", "regatta-probe"], check=False)
    return None


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Hosts:
    def __init__(self, count):
        self.numbers = range(1, count + 1)

    def __enter__(self):
        self.lock = open(LOCK, "w", encoding="utf-8")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.folder = tempfile.mkdtemp(prefix="regatta-hosts-")
        self.agent = os.path.join(self.folder, "agent")
        with open(self.agent, "w", encoding="utf-8") as stream:
            stream.write(AGENT)
        os.chmod(self.agent, os.stat(self.agent).st_mode | stat.S_IXUSR)
        self.clean()
        ip("link", "add", "regatta-br", "type", "bridge")
        ip("address", "add", f"{NETWORK}.254/24", "dev", "regatta-br")
        ip("link", "set", "regatta-br", "up")
        for number in self.numbers:
            node, outer, inner = f"regatta-node{number}", f"regatta-o{number}", f"regatta-i{number}"
            ip("netns", "add", node)
            ip("link", "add", outer, "type", "veth", "peer", "name", inner)
            ip("link", "set", outer, "master", "regatta-br", "up")
            ip("link", "set", inner, "netns", node)
            ip("-n", node, "address", "add", f"{NETWORK}.{number}/24", "dev", inner)
            ip("-n", node, "link", "set", inner, "up")
            ip("-n", node, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_):
        self.clean()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.close()

    def address(self, number):
        return f"{NETWORK}.{number}"

    def cut(self, number):
        """The host goes on, but nothing reaches it, and nothing comes from it."""
        ip("link", "set", f"regatta-o{number}", "down")

    def mend(self, number):
        ip("link", "set", f"regatta-o{number}", "up")

    def clean(self):
        for number in self.numbers:
            subprocess.run(["ip", "netns", "delete", f"regatta-node{number}"], capture_output=True, check=False)
            # Processes that are left keep a namespace alive, and with it its end of the link.
            subprocess.run(["ip", "link", "delete", f"regatta-o{number}"], capture_output=True, check=False)
        subprocess.run(["ip", "link", "delete", "regatta-br"], capture_output=True, check=False)

    def mpirun_command(self, slots, program, *more):
        """`slots`: ranks of each host. `more`: arguments of mpirun."""
        hosts = ",".join(f"{NETWORK}.{number}:{count}" for number, count in zip(self.numbers, slots))
        return ["mpirun", *more, "--mca", "plm_rsh_agent", self.agent, "--mca", "plm_rsh_no_tree_spawn", "1",
                "--mca", "pml", "ob1", "--mca", "btl", "tcp,vader,self",
                "--mca", "btl_tcp_if_include", f"{NETWORK}.0/24", "--mca", "oob_tcp_if_include",
                f"{NETWORK}.0/24", "--bind-to", "none", "--host", hosts, "-n", str(sum(slots)), *program]

    @staticmethod
    def environment():
        return {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                "OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_MCA_btl_vader_single_copy_mechanism": "none"}

    def mpirun(self, slots, program, timeout=120):
        """Returns the finished process."""
        command = self.mpirun_command(slots, program)
        return subprocess.run(command, env={**os.environ, **self.environment()}, text=True, capture_output=True, timeout=timeout, check=False)


def main():
    """Runs the tests of a file, or says why they cannot be run here."""
    reason = why_not()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    unittest.main(verbosity=2)
