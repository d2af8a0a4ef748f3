"""Kill any process at any moment: no trial, report or checkpoint is lost or counted twice."""

import os
import signal

from support import EXPERIMENT, StudyCase, main, make_csv

# Long enough to be killed in the middle, short enough to be waited for.
SLOWER = EXPERIMENT.replace("max_epochs: 3", "max_epochs: 4").replace("trials: 6", "trials: 12")


class KillCase(StudyCase):
    experiment = SLOWER

    def setUp(self):
        super().setUp()
        make_csv(self.path("made.csv"), rows=12000, features=16)
        self.write("exp.yaml", self.experiment)

    def undisturbed(self):
        self.regatta("run", "exp.yaml", "--name", "undisturbed", "--runs-dir", self.path("runs"))
        return self.trials("runs/undisturbed")


class AKilledCoordinator(KillCase):
    def test_is_resumed_with_nothing_lost_and_nothing_twice(self):
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(3)
        running.kill()
        running.communicate()
        self.assertLess(self.ended_trials(), 12)
        output = self.regatta("resume", self.path("runs/tiny")).stdout
        self.assertIn("finished", output)
        self.assert_same_trials(self.trials(), self.undisturbed())

    def test_with_all_its_crews_is_resumed_too(self):
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(3)
        for process in [running.pid, *self.workers()]:
            os.kill(process, signal.SIGKILL)
        running.communicate()
        self.regatta("resume", self.path("runs/tiny"))
        self.assert_same_trials(self.trials(), self.undisturbed())

    def test_is_resumed_after_being_killed_again_and_again(self):
        running = self.start("run", "exp.yaml")
        for count in (1, 4, 7):
            self.wait_for_ended(count)
            running.kill()
            running.communicate()
            running = self.start("resume", self.path("runs/tiny"))
        self.finish(running)
        self.assert_same_trials(self.trials(), self.undisturbed())

    def test_keeps_its_study_to_itself(self):
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(1)
        second = self.regatta("resume", self.path("runs/tiny"), code=2)
        self.assertEqual(second.stderr.count("\n"), 1, second.stderr)
        self.finish(running)


class AKilledWorker(KillCase):
    experiment = SLOWER.replace("ranks: 1", "ranks: 2")

    def test_costs_an_attempt_and_nothing_else(self):
        running = self.start("run", "exp.yaml")
        for count in (2, 5):
            self.wait_for_ended(count)
            os.kill(self.workers()[-1], signal.SIGKILL)
        output = self.finish(running)
        self.assertIn("it is started again", output)
        self.assert_same_trials(self.trials(), self.undisturbed())


class AKilledCrewOfSeveralLanes(KillCase):
    experiment = SLOWER.replace("{int: [4, 16]}", "{choice: [8, 16]}").replace("crews: 1", "crews: 1, lanes: 4")

    def test_costs_each_of_its_trials_an_attempt_and_nothing_else(self):
        running = self.start("run", "exp.yaml")
        for count in (1, 5):
            self.wait_for_ended(count)
            os.kill(self.workers()[-1], signal.SIGKILL)
        output = self.finish(running)
        self.assertIn("it is started again", output)
        self.regatta("run", "exp.yaml", "--set", "resources.lanes=1", "--name", "alone", "--runs-dir",
                     self.path("runs"))
        self.assert_same_trials(self.trials(), self.trials("runs/alone"))

    def test_outlives_the_coordinator_with_all_its_lanes(self):
        running = self.start("run", "exp.yaml")
        for count in (1, 5):
            self.wait_for_ended(count)
            running.kill()
            running.communicate()
            running = self.start("resume", self.path("runs/tiny"))
        self.finish(running)
        self.assert_same_trials(self.trials(), self.undisturbed())


if __name__ == "__main__":
    main()
