"""Jobs that end before their study does: another start goes on where it stands, and nothing is done twice."""

import json

from cases import SlurmCase, run_tests, start_bed
from support import wait_until


def setUpModule():
    start_bed()


class AJobWhoseTimeIsUp(SlurmCase):
    def test_goes_on_by_itself(self):
        job = self.submit("exp.yaml", "--nodes", "2", "--time", "5")
        for restarts in range(2):
            self.wait_for_ended(self.ended_trials() + 2)
            self.signal_time_is_up(job)
            wait_until(lambda count=restarts + 1: self.bed.job(job).get("Restarts") == str(count), 120, "requeued")
        self.wait_for_ended(self.ended_trials() + 2)
        self.end_job(job)
        self.assertEqual(self.log(job).count("is requeued, and goes on where the study stands"), 2)
        self.assert_ended_as_undisturbed()

    def test_that_may_not_be_requeued_is_followed_by_the_next(self):
        job = self.submit("exp.yaml", "--nodes", "2", "--time", "5", "--sbatch=--no-requeue")
        self.wait_for_ended(2)
        self.signal_time_is_up(job)
        self.bed.wait_for_job(job, ("FAILED",), 120)
        with open(self.path("runs/tiny/jobs.json"), encoding="utf-8") as stream:
            jobs = json.load(stream)["jobs"]
        self.assertEqual(jobs[0], job)
        self.wait_for_ended(self.ended_trials() + 2)
        self.end_job(jobs[1])
        self.assert_ended_as_undisturbed()


class AStudyLongerThanItsTimeLimit(SlurmCase):
    def test_ends_complete_through_requeueing(self):
        job = self.submit("sleeper.yaml", "--nodes", "2", "--time", "1", SLEEP="3")
        ended = self.finish_job(job, "runs/sleeper")
        self.assertGreaterEqual(int(ended["Restarts"]), 1, self.log(job, "runs/sleeper"))
        self.reference("sleeper.yaml", "runs/sleeper")


class APreemptedJob(SlurmCase):
    def test_saves_makes_room_and_goes_on_later(self):
        job = self.submit("exp.yaml", "--nodes", "2", "--time", "5")
        self.wait_for_ended(2)
        urgent = self.bed.call("sbatch", "--parsable", "--partition", "urgent", "--nodes", "2", "--exclusive",
                               "--output", "/dev/null", "--wrap", "sleep 1").strip()
        self.bed.wait_for_job(urgent, ("COMPLETED",), 180)
        self.assertIn("the job is preempted: crews save their checkpoints", self.log(job))
        before = self.ended_trials()
        self.wait_for_ended(before + 3)
        self.assertEqual(self.bed.job(job)["Restarts"], "1")
        self.bed.call("scancel", job)
        self.bed.wait_for_job(job, ("CANCELLED",), 120)
        self.assertNotIn("lost", self.outcomes())
        self.assert_ended_as_undisturbed()


if __name__ == "__main__":
    run_tests()
