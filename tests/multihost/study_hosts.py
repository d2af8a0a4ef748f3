"""Studies whose crews are on several hosts: what the tests of them share."""

from hosts import Hosts
from support import EXPERIMENT, StudyCase


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
        return self.outcomes(run).count("lost")

