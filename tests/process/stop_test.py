"""regatta stop: asked through the study's folder, from this host or another, the coordinator saves and ends."""

import signal

from support import EXPERIMENT, StudyCase, as_host, endless, main, make_csv, processes_of, wait_until, why_no_other_host

SLOWER = endless(EXPERIMENT.replace("max_epochs: 3", "max_epochs: 30"))


class StopCase(StudyCase):
    def setUp(self):
        super().setUp()
        make_csv(self.path("made.csv"), rows=12000, features=16)
        self.write("exp.yaml", SLOWER)


class AStoppedStudy(StopCase):
    def test_is_saved_and_goes_on_later_with_the_same_trials(self):
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(2)
        stopped = self.regatta("stop", self.path("runs/tiny"))
        self.assertIn("regatta resume", stopped.stdout)
        self.assertIn("has asked", self.finish(running, code=130))
        self.assertFalse(processes_of(self.folder))
        self.assertIn("stopped by 'regatta stop'", self.regatta("status", self.path("runs/tiny")).stdout)
        self.go_on()

    def test_is_stopped_from_another_host(self):
        if why := why_no_other_host():
            self.skipTest(why)
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(1)
        self.regatta("stop", self.path("runs/tiny"), prefix=as_host("login1"))
        self.assertIn("on host login1", self.finish(running, code=130))

    def test_at_once_is_not_waited_for_with_its_trials(self):
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(1)
        self.regatta("stop", self.path("runs/tiny"), "--now")
        self.finish(running, code=130)
        self.assertFalse(processes_of(self.folder))
        self.go_on()

    def test_ends_by_itself_after_a_request_that_does_not_wait(self):
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(1)
        self.regatta("stop", self.path("runs/tiny"), "--no-wait")
        self.finish(running, code=130)
        refused = self.regatta("stop", self.path("runs/tiny"), code=2)
        self.assertIn("nothing to stop", refused.stderr)
        self.assertIn("regatta resume", refused.stderr)

    def test_that_is_resumed_is_not_stopped_by_a_request_to_the_coordinator_before(self):
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(1)
        running.send_signal(signal.SIGSTOP)
        self.regatta("stop", self.path("runs/tiny"), "--no-wait")
        self.kill(running)
        refused = self.regatta("stop", self.path("runs/tiny"), code=2)
        self.assertIn("has died", refused.stderr)
        self.go_on()

    def test_that_has_ended_needs_no_stop(self):
        self.regatta("run", "exp.yaml", "--set", "search.stop.trials=1", "--runs-dir", self.path("runs"))
        refused = self.regatta("stop", self.path("runs/tiny"), code=2)
        self.assertIn("the study has ended: finished", refused.stderr)


class ACoordinatorThatDiesWhileItIsStopped(StopCase):
    def test_is_told_of(self):
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(1)
        running.send_signal(signal.SIGSTOP)
        stopping = self.start("stop", self.path("runs/tiny"))
        wait_until(lambda: self.exists("runs/tiny/stop.json"), 60, "the request")
        self.kill(running)
        self.assertIn("has died before it could save", self.finish(stopping, code=1))


if __name__ == "__main__":
    main()
