"""mpirun -n N regatta run: rank 0 coordinates, the others are crews."""

import json
import os
import signal

from support import EXPERIMENT, StudyCase, endless, main, make_csv, wait_until

MPIRUN = ("mpirun", "--oversubscribe", "--bind-to", "none", "-n")


class OneMpirunForAll(StudyCase):
    def test_runs_two_crews_of_one(self):
        output = self.regatta("run", "exp.yaml", prefix=(*MPIRUN, "3")).stdout
        self.assertIn("finished", output)
        self.assertNotIn("\x1b", output, "no cursor is moved in what may go to a file")
        self.regatta("run", "exp.yaml", "--name", "alone")
        self.assert_same_trials(self.trials(), self.trials("runs/alone"))

    def test_runs_a_crew_of_two_and_names_the_rank_that_is_left_over(self):
        self.write("exp.yaml", EXPERIMENT.replace("ranks: 1", "ranks: 2"))
        done = self.regatta("run", "exp.yaml", prefix=(*MPIRUN, "4"))
        self.assertIn("1 of 4 MPI processes are left over", done.stderr)
        self.assertEqual(len(self.trials()), 6)

    def test_explains_a_lone_process(self):
        done = self.regatta("run", "exp.yaml", prefix=(*MPIRUN, "1"), code=2)
        self.assertIn("rank 0 only coordinates", done.stderr)

    def test_explains_another_mpi(self):
        done = self.regatta("run", "exp.yaml", prefix=("env", "PMI_SIZE=4", "PMI_RANK=0"), code=2)
        self.assertIn("each for rank 0 of 1", done.stderr)

    def test_does_not_resume(self):
        self.regatta("run", "exp.yaml")
        done = self.regatta("resume", "tiny", prefix=(*MPIRUN, "3"), code=2)
        self.assertEqual(done.stderr.count("cannot be resumed under mpirun"), 1, done.stderr)

    def test_tells_a_mistake_once(self):
        self.write("exp.yaml", EXPERIMENT.replace("type: sgd", "type: sdg"))
        done = self.regatta("run", "exp.yaml", prefix=(*MPIRUN, "3"), code=2)
        self.assertEqual(done.stderr.count("exp.yaml:17:27: "), 1, done.stderr)


class ADeadRank(StudyCase):
    def test_costs_its_crew_only_where_mpirun_lets_the_others_live(self):
        make_csv(self.path("made.csv"), rows=12000, features=16)
        # Without its end: a signal to mpirun would leave its ranks a second.
        self.write("exp.yaml", endless(EXPERIMENT.replace("ranks: 1", "ranks: 2")))
        # One rank is left over; it waits for the others.
        running = self.start("run", "exp.yaml", prefix=(*MPIRUN, "6", "--enable-recovery"))
        self.wait_for_ended(2)
        with open(self.path("runs/tiny/crews/crew-1.1.json"), encoding="utf-8") as stream:
            os.kill(json.load(stream)["process_id"], signal.SIGKILL)
        wait_until(lambda: "lost" in self.outcomes(), 60, "a lost attempt")
        self.wait_for_ended(self.ended_trials() + 4)
        self.regatta("stop", self.path("runs/tiny"))
        output, _ = running.communicate(timeout=120)
        self.assertIn("the other crews go on", output)
        self.assertEqual(self.outcomes().count("lost"), 1)
        self.assert_ended_as_undisturbed()


if __name__ == "__main__":
    main()
