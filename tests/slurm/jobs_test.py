"""Studies as jobs of a real Slurm of two nodes, and as steps of an allocation."""

import os
import subprocess

from cases import SlurmCase, run_tests, start_bed
from support import ENVIRONMENT, EXPERIMENT, REGATTA, wait_until


def setUpModule():
    start_bed()


class AJob(SlurmCase):
    def test_runs_a_study_with_each_crew_a_step_on_one_of_two_nodes(self):
        job = self.submit("exp.yaml", "--nodes", "2", "--time", "5")
        refused = self.on_slurm("submit", "runs/tiny", code=2)
        self.assertRegex(refused.stderr, f"job {job} is (PENDING|RUNNING)")
        self.wait_for_ended(1)
        steps = self.steps(job)
        self.assertEqual(sorted(steps), ["crew-0.1", "crew-1.1"])
        self.assertEqual(sorted(steps.values()), ["n1", "n2"], "each node has one of the two")
        self.assertRegex(self.on_slurm("status", "runs/tiny").stdout, rf"job      {job}, RUNNING on n\[1-2\], .* left")
        self.end_job(job)
        self.assertIn("2 crews, each a step", self.log(job))
        last = self.go_on_to_the_end()
        self.assertIn(f"{last}, COMPLETED", self.on_slurm("status", "runs/tiny").stdout)


class ACancelledJob(SlurmCase):
    def test_is_not_requeued_and_goes_on_when_it_is_submitted_again(self):
        job = self.submit("exp.yaml", "--nodes", "2", "--time", "5")
        self.wait_for_ended(2)
        self.bed.call("scancel", job)
        self.bed.wait_for_job(job, ("CANCELLED",), 120)
        wait_until(lambda: not os.path.exists(self.path("runs/tiny/study.lock")), 60, "the coordinator has ended")
        self.assertEqual(self.bed.job(job)["Restarts"], "0")
        self.assertIn("the job is cancelled: crews save their checkpoints", self.log(job))
        self.assertEqual(sum(trial["attempts_lost"] for trial in self.trials()), 0)
        typo = self.on_slurm("submit", "runs/tiny", "--set", "resources.crew=8", code=2)
        self.assertIn("crew", typo.stderr)
        self.assertNotEqual(self.go_on_to_the_end(), job)


class AKilledStep(SlurmCase):
    def test_costs_one_attempt_and_nothing_else(self):
        job = self.submit("exp.yaml", "--nodes", "2", "--time", "5")
        self.wait_for_ended(2)
        self.bed.call("scancel", self.steps(job, "%i")["crew-0.1"])
        wait_until(lambda: "lost" in self.outcomes(), 60, "a lost attempt")
        self.wait_for_ended(self.ended_trials() + 3)
        self.end_job(job)
        self.assertIn("it is started again", self.log(job))
        self.assertEqual(self.outcomes().count("lost"), 1)
        self.assert_ended_as_undisturbed()


class ARequestThatCanNeverBeHad(SlurmCase):
    def test_is_refused_at_once_with_the_partitions_limit(self):
        for arguments, words in ((("--nodes", "3"), "3 nodes, but it has 2"),
                                 (("--time", "2:00:00"), "2 h 00 min, but a job may take at most 1 h 00 min"),
                                 (("--cpus-per-task", "3"), "its nodes have at most 2"),
                                 (("--mem", "4G"), "its nodes have at most 2000"),
                                 (("--gpus-per-node", "1"), "its nodes have at most 0"),
                                 (("--partition", "brief", "--time", "6"), "at most 5 min"),
                                 (("--partition", "mian"), "did you mean 'main'"),
                                 (("--time", "4h"), "--time 4h"),
                                 (("--account", "physics", "--qos", "no-such-qos", "--sbatch=--licenses=gold:9"),
                                  "Slurm does not take the job")):
            done = self.on_slurm("submit", "exp.yaml", *arguments, code=2)
            self.assertIn(words, done.stderr)
            self.assertFalse(os.path.exists(self.path("runs/tiny")), arguments)
        self.assertEqual(self.bed.call("squeue", "--noheader"), "")

    def test_hosts_are_refused(self):
        self.write("exp.yaml", EXPERIMENT.replace("{crews: 1,", "{hosts: [n1], crews: 1,"))
        self.assertIn("Slurm chooses the hosts", self.on_slurm("submit", "exp.yaml", code=2).stderr)

    def test_a_dry_run_prints_the_script_and_makes_nothing(self):
        script = self.on_slurm("submit", "exp.yaml", "--nodes", "2", "--dry-run", "--setup", "module load x").stdout
        self.assertIn("#SBATCH --nodes=2\n", script)
        self.assertIn("\nmodule load x\nexec ", script)
        self.assertFalse(os.path.exists(self.path("runs")))


class AnAllocation(SlurmCase):
    def allocate(self, *arguments, code=0):
        """A command in the shell of salloc on one node of two CPUs."""
        done = subprocess.run(["salloc", "--quiet", "--nodes", "1", "--ntasks", "2", *arguments], cwd=self.folder,
                              env={**ENVIRONMENT, **self.bed.environment}, text=True, capture_output=True,
                              timeout=120, check=False)
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done

    def test_gives_its_steps_to_the_crews_of_run(self):
        self.write("exp.yaml", EXPERIMENT.replace("{crews: 1, ranks: 1, threads: 1}", "{ranks: 2}"))
        self.assertIn("1 crews, each a step", self.allocate(REGATTA, "run", "exp.yaml").stdout)
        self.assertEqual(len(self.trials()), 6)

    def test_explains_processes_that_are_each_rank_0_of_1(self):
        done = self.allocate("srun", "--mpi=none", "-n", "2", REGATTA, "run", "exp.yaml", code=2)
        self.assertEqual(done.stderr.count("rank 0 of 1"), 1, done.stderr)
        self.assertIn("without srun", done.stderr)

    def test_starts_ranks_by_mpirun_where_srun_has_no_pmix(self):
        os.mkdir(self.path("bin"))
        self.write("bin/srun", '#!/bin/sh\n[ "$1" = --mpi=list ] && echo none && exit\nexec /usr/bin/srun "$@"\n')
        os.chmod(self.path("bin/srun"), 0o755)
        self.write("exp.yaml", EXPERIMENT.replace("{crews: 1, ranks: 1, threads: 1}", "{ranks: 2}"))
        path = f"{self.path('bin')}:{os.environ['PATH']}"
        done = self.allocate("env", f"PATH={path}", REGATTA, "run", "exp.yaml")
        self.assertEqual(len(self.trials()), 6)
        self.assertIn("no PMIx", done.stdout + done.stderr)


if __name__ == "__main__":
    run_tests()
