"""regatta stop: asked through the study's folder, from this host or another, the coordinator saves and ends."""

import json
import os
import signal
import sqlite3

from support import EXPERIMENT, StudyCase, as_host, main, make_csv, processes_of, wait_until, why_no_other_host

# A trial takes about a second, so that there is time to act, and epochs a few hundredths.
SLOWER = EXPERIMENT.replace("max_epochs: 3", "max_epochs: 30").replace("trials: 6", "trials: 8")


class StopCase(StudyCase):
    def setUp(self):
        super().setUp()
        make_csv(self.path("made.csv"), rows=12000, features=16)
        self.write("exp.yaml", SLOWER)

    def check_resumed(self):
        self.regatta("resume", self.path("runs/tiny"))
        self.regatta("run", "exp.yaml", "--name", "undisturbed", "--runs-dir", self.path("runs"))
        self.assert_same_trials(self.trials(), self.trials("runs/undisturbed"))


class AStoppedStudy(StopCase):
    def test_is_saved_and_goes_on_later_with_the_same_trials(self):
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(2)
        stopped = self.regatta("stop", self.path("runs/tiny"))
        self.assertIn("regatta resume", stopped.stdout)
        self.assertIn("has asked", self.finish(running, code=130))
        self.assertFalse(processes_of(self.folder))
        self.assertLess(self.ended_trials(), 8)
        self.assertIn("stopped by 'regatta stop'", self.regatta("status", self.path("runs/tiny")).stdout)
        self.check_resumed()

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
        self.regatta("resume", self.path("runs/tiny"))
        self.assertEqual(len(self.trials()), 8)

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
        running.kill()
        running.communicate()
        refused = self.regatta("stop", self.path("runs/tiny"), code=2)
        self.assertIn("has died", refused.stderr)
        self.check_resumed()

    def test_that_has_ended_needs_no_stop(self):
        self.regatta("run", "exp.yaml", "--set", "search.stop.trials=1", "--runs-dir", self.path("runs"))
        refused = self.regatta("stop", self.path("runs/tiny"), code=2)
        self.assertIn("the study has ended: finished", refused.stderr)


class AStudyThatAnotherCoordinatorHas(StopCase):
    """The coordinators are on hosts that this one knows by their lock only."""

    def setUp(self):
        super().setUp()
        self.write("exp.yaml", EXPERIMENT.replace("trials: 6", "trials: 1"))
        make_csv(self.path("made.csv"))
        self.regatta("run", "exp.yaml", "--runs-dir", self.path("runs"))
        self.lock("node8")
        self.stopping = self.start("stop", self.path("runs/tiny"))
        wait_until(lambda: self.asked() == "node8 17 1 place", 10, "the request to the first")

    def lock(self, host):
        self.write("lock", f"{host} 17 1 place 000000000000\n")
        os.replace(self.path("lock"), self.path("runs/tiny/study.lock"))

    def asked(self):
        if not self.exists("runs/tiny/stop.json"):
            return None
        with open(self.path("runs/tiny/stop.json"), encoding="utf-8") as stream:
            return json.load(stream)["coordinator"]

    def test_because_it_has_taken_it_over_is_stopped_all_the_same(self):
        self.lock("node9")
        wait_until(lambda: self.asked() == "node9 17 1 place", 10, "the request to the second")
        os.remove(self.path("runs/tiny/study.lock"))
        told = self.finish(self.stopping)
        self.assertIn("process 17 on host node9 has taken the study over from process 17 on host node8", told)
        self.assertIn("has been stopped: the study has ended: finished", told)

    def test_because_somebody_has_resumed_it_since_is_left_alone_and_told_of(self):
        with sqlite3.connect(self.path("runs/tiny/study.db")) as database:
            add = ("INSERT INTO regatta_events SELECT max(seq) + 1, max(at_us), ?, ? FROM regatta_events")
            end = database.execute("SELECT body FROM regatta_events WHERE kind = 'study_ended'").fetchone()[0]
            database.execute(add, ("study_resumed", '{"retry_failed": false}'))
            database.execute(add, ("study_ended", end))
        self.lock("node9")
        self.assertIn("process 17 on host node9 has gone on with it since", self.finish(self.stopping))
        self.assertEqual(self.asked(), "node8 17 1 place")


class ACoordinatorThatDiesWhileItIsStopped(StopCase):
    def test_is_told_of(self):
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(1)
        running.send_signal(signal.SIGSTOP)
        stopping = self.start("stop", self.path("runs/tiny"))
        wait_until(lambda: self.exists("runs/tiny/stop.json"), 10, "the request")
        running.kill()
        running.communicate()
        self.assertIn("has died before it could save", self.finish(stopping, code=1))


if __name__ == "__main__":
    main()
