"""Kill any process at any moment: no trial, report or checkpoint is lost or counted twice."""

import os
import signal

from support import EXPERIMENT, StudyCase, endless, main, make_csv

SLOWER = endless(EXPERIMENT.replace("max_epochs: 3", "max_epochs: 4"))


class KillCase(StudyCase):
    experiment = SLOWER

    def setUp(self):
        super().setUp()
        make_csv(self.path("made.csv"), rows=12000, features=16)
        self.write("exp.yaml", self.experiment)

    def kill_again_and_again(self):
        running = self.start("run", "exp.yaml")
        for _ in range(3):
            self.wait_for_ended(self.ended_trials() + 2)
            self.kill(running)
            running = self.start("resume", self.path("runs/tiny"))
        self.wait_for_ended(self.ended_trials() + 2)
        self.kill(running)


class AKilledCoordinator(KillCase):
    def test_is_resumed_with_nothing_lost_and_nothing_twice(self):
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(3)
        self.kill(running)
        self.go_on()

    def test_with_all_its_crews_is_resumed_too(self):
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(3)
        for process in [running.pid, *self.workers()]:
            os.kill(process, signal.SIGKILL)
        running.communicate()
        self.go_on()

    def test_is_resumed_after_being_killed_again_and_again(self):
        self.kill_again_and_again()
        self.go_on()

    def test_keeps_its_study_to_itself(self):
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(1)
        second = self.regatta("resume", self.path("runs/tiny"), code=2)
        self.assertEqual(second.stderr.count("\n"), 1, second.stderr)
        self.assertIsNone(running.poll())
        self.interrupt(running)


class AKilledWorker(KillCase):
    experiment = SLOWER.replace("ranks: 1", "ranks: 2")

    def test_costs_an_attempt_and_nothing_else(self):
        running = self.start("run", "exp.yaml")
        for _ in range(2):
            self.kill_crew()
        self.wait_for_ended(self.ended_trials() + 2)
        self.assertEqual(self.interrupt(running).count("it is started again"), 2)
        self.go_on()


class AKilledCrewOfSeveralLanes(KillCase):
    experiment = SLOWER.replace("{int: [4, 16]}", "{choice: [8, 16]}").replace("crews: 1", "crews: 1, lanes: 4")

    def test_costs_each_of_its_trials_an_attempt_and_nothing_else(self):
        running = self.start("run", "exp.yaml")
        for _ in range(2):
            self.kill_crew()
        self.wait_for_ended(self.ended_trials() + 5)
        self.assertEqual(self.interrupt(running).count("it is started again"), 2)
        # Alone, a trial has the crew for itself.
        self.write("exp.yaml", self.experiment.replace("lanes: 4", "lanes: 1"))
        self.go_on(more=8)

    def test_outlives_the_coordinator_with_all_its_lanes(self):
        self.kill_again_and_again()
        self.go_on(more=8)


if __name__ == "__main__":
    main()
