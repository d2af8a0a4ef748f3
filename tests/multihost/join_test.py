"""A guest on another host: the coordinator listens on the network that both are in."""

from hosts import NETWORK, Hosts, main
from support import EXPERIMENT, StudyCase, make_csv, wait_until


def on(number):
    """The prefix of a command that runs on the host of this number."""
    node = f"regatta-node{number}"
    return ("ip", "netns", "exec", node, "unshare", "--uts", "sh", "-c", f'hostname {node}; exec "$@"', "sh")


class AGuestOnAnotherHost(StudyCase):
    def setUp(self):
        super().setUp()
        make_csv(self.path("made.csv"), rows=12000, features=16)

    def test_joins_over_the_network_that_the_file_names_and_leaves_with_the_study(self):
        self.write("exp.yaml", EXPERIMENT.replace("trials: 6", "trials: 12").replace("max_epochs: 3", "max_epochs: 30").replace(
            "crews: 1", f"crews: 1, listen: {NETWORK}.0/24"))
        with Hosts(2):
            running = self.start("run", "exp.yaml", prefix=on(1))
            self.wait_for_ended(1)
            let_go = self.hold_crew()
            guest = self.start("join", self.path("runs/tiny"), prefix=on(2))
            wait_until(lambda: [event for event in self.events("attempt_started")
                                if event["crew"].startswith("guest-regatta-node2-")], 60, "a guest with an attempt")
            let_go()
            self.assertIn("on host regatta-node2", self.regatta("status", self.path("runs/tiny")).stdout)
            self.finish(running)
            self.finish(guest)
        self.assertEqual(len(self.trials()), 12)
        self.assertEqual({event["outcome"] for event in self.events("attempt_ended")}, {"complete"})


if __name__ == "__main__":
    main()
