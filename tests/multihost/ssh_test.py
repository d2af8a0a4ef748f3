"""Crews on hosts that ssh reaches: a real sshd in each host's network, where openssh-server is installed."""

import os
import shutil
import subprocess
import sys
import unittest

from study_hosts import HostsCase, skip_without_hosts
from support import wait_until

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin")
SERVER = """\
HostKey {folder}/host-key
AuthorizedKeysFile {folder}/authorized
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
UsePAM no
PidFile none
"""
CLIENT = """\
IdentityFile {folder}/key
IdentitiesOnly yes
UserKnownHostsFile {folder}/known
"""


class StudiesOverSsh(HostsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder_of_keys = os.path.join(cls.hosts.folder, "ssh")
        os.mkdir(cls.folder_of_keys)
        for name in ("key", "host-key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", cls.key_path(name)], check=True)
        shutil.copy(cls.key_path("key.pub"), cls.key_path("authorized"))
        for name, text in (("server", SERVER), ("client", CLIENT)):
            cls.write_key_file(name, text.format(folder=cls.folder_of_keys))
        for number in cls.hosts.numbers:
            cls.start_server(number)

    @classmethod
    def key_path(cls, name):
        return os.path.join(cls.folder_of_keys, name)

    @classmethod
    def write_key_file(cls, name, text):
        with open(cls.key_path(name), "w", encoding="utf-8") as stream:
            stream.write(text)

    @classmethod
    def start_server(cls, number):
        """/run of its own: sshd wants a folder there, which only an installed service makes."""
        node = f"regatta-node{number}"
        script = f"hostname {node} && mount -t tmpfs none /run && mkdir /run/sshd && exec {SSHD} -D -e -f {cls.key_path('server')}"
        log = cls.enterClassContext(open(cls.key_path(f"log{number}"), "w", encoding="utf-8"))
        server = subprocess.Popen(["ip", "netns", "exec", node, "unshare", "--uts", "--mount", "sh", "-c", script], stderr=log)
        cls.addClassCleanup(server.wait)
        cls.addClassCleanup(server.kill)
        wait_until(lambda: "listening" in cls.log(number), 30, f"sshd on {node}")

    @classmethod
    def log(cls, number):
        with open(cls.key_path(f"log{number}"), encoding="utf-8") as stream:
            return stream.read()

    def over_ssh(self, slots, **more):
        agent = f"ssh -F {self.key_path('client')}"
        return self.on(slots, **more).replace(f"agent: {self.hosts.agent}", f"agent: '{agent}'")

    def know_hosts(self):
        with open(self.key_path("host-key.pub"), encoding="utf-8") as stream:
            key = stream.read()
        self.write_key_file("known", "".join(f"{self.hosts.address(number)} {key}" for number in self.hosts.numbers))

    def test_hosts_whose_keys_are_unknown_are_told_with_what_ssh_says(self):
        self.write_key_file("known", "")
        self.write("exp.yaml", self.over_ssh((1, 1)))
        output = self.regatta("hosts", "exp.yaml", code=1).stdout
        for number in self.hosts.numbers:
            self.assertRegex(output, rf"host {self.hosts.address(number)} is not reached: .*Host key verification failed")

    def test_a_study_runs_on_them_and_a_crew_of_two_ranks_over_both(self):
        self.know_hosts()
        self.write("exp.yaml", self.over_ssh((1, 1)))
        self.regatta("run", "exp.yaml", "--runs-dir", self.path("runs"))
        self.regatta("run", "exp.yaml", "--runs-dir", self.path("runs"), "--name", "wide", "--set", "resources.ranks=2")
        self.assertEqual({trial["state"] for trial in self.trials() + self.trials("runs/wide")}, {"complete"})
        for number in self.hosts.numbers:
            self.assertIn("Accepted publickey", self.log(number))


if __name__ == "__main__":
    if SSHD is None or shutil.which("ssh-keygen") is None:
        print("skipped: sshd is not installed (Debian: openssh-server)")
        sys.exit(77)
    skip_without_hosts()
    unittest.main(verbosity=2)
