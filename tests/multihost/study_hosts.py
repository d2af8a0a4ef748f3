"""Studies whose crews are on several hosts: what the tests of them share."""

import os
import sys

from hosts import Hosts, why_not

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "process"))
from support import EXPERIMENT, StudyCase, make_csv  # noqa: E402,F401


class HostsCase(StudyCase):
    """The hosts are there for all tests of a class."""

    count = 2

    @classmethod
    def setUpClass(cls):
        cls.hosts = cls.enterClassContext(Hosts(cls.count))

    def on(self, slots, ranks=1, crews=None, more="", base=EXPERIMENT):
        """The experiment with its crews on the hosts; `slots` of each."""
        names = ", ".join(f"{self.hosts.address(i + 1)}:{count}" for i, count in enumerate(slots))
        crews = "" if crews is None else f"crews: {crews}, "
        return base.replace("resources: {crews: 1, ranks: 1, threads: 1}", (
            f"resources: {{{crews}ranks: {ranks}, threads: 1, elastic: false, hosts: [{names}], agent: {self.hosts.agent}, "
            f"interface: 10.77.0.0/24{more}}}"))

    def lost(self, run="runs/tiny"):
        return sum(trial["attempts_lost"] for trial in self.trials(run))


def skip_without_hosts():
    reason = why_not()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)
