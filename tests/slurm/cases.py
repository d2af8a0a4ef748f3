"""What the tests of jobs share: one Slurm for all tests of a file, studies, and waiting for jobs."""

import re
import subprocess
import sys
import unittest

import bed
from support import ENVIRONMENT, EXPERIMENT, REGATTA, StudyCase, endless, main, make_csv

# Epochs take as long as SLEEP says, so that the test knows how long the study takes on any machine.
PROGRAM = """\
import json, os, pathlib, sys, time
folder = pathlib.Path(os.environ["REGATTA_CHECKPOINT_DIR"])
first = int(os.environ["REGATTA_RESUME_EPOCH"]) + 1
if first > 1 and not (folder / f"state-{first - 1}").exists():
    sys.exit("the state to go on from is not there")
for epoch in range(first, 5):
    time.sleep(float(os.environ.get("SLEEP", "0")))
    (folder / f"state-{epoch}").write_text("weights")
    print(json.dumps({"epoch": epoch, "loss": float(sys.argv[1]) / epoch}), flush=True)
    if json.loads(sys.stdin.readline())["decision"] != "continue":
        break
"""
SLEEPER = f"""\
name: sleeper
seed: 5
objective: {{minimize: loss}}
space: {{x: {{float: [0.1, 1]}}}}
search: {{sampler: random, scheduler: {{type: fifo, max_epochs: 4}}, stop: {{trials: 12}}}}
command: [{sys.executable}, program.py, $x]
"""
# A job of it ends when it is told to, and the study then in another with a number of trials.
LONGER = endless(EXPERIMENT.replace("max_epochs: 3", "max_epochs: 4").replace(
    "{crews: 1, ranks: 1, threads: 1}", "{ranks: 2, threads: 1}"))


BED = bed.Bed()


def start_bed():
    """For setUpModule."""
    BED.__enter__()
    unittest.addModuleCleanup(BED.__exit__)


def run_tests():
    missing = bed.why_not()
    if missing:
        print(f"skipped: {missing}")
        sys.exit(77)
    main()


class SlurmCase(StudyCase):
    bed = BED

    def setUp(self):
        super().setUp()
        make_csv(self.path("made.csv"), rows=12000, features=16)
        self.write("program.py", PROGRAM)
        self.write("sleeper.yaml", SLEEPER)
        self.write("exp.yaml", LONGER)

    def on_slurm(self, *arguments, code=0, **variables):
        done = subprocess.run([REGATTA, *arguments], cwd=self.folder, text=True, capture_output=True, timeout=120,
                              env={**ENVIRONMENT, **self.bed.environment, **variables}, check=False)
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done

    def submit(self, *arguments, **variables):
        """The number of the job."""
        output = self.on_slurm("submit", *arguments, "--save-seconds", "50", **variables).stdout
        return re.search(r"job (\d+) will run", output).group(1)

    def log(self, job, run="runs/tiny"):
        try:
            with open(self.path(run, "logs", f"slurm-{job}.log"), encoding="utf-8") as stream:
                return stream.read()
        except OSError:
            return ""

    def finish_job(self, job, run="runs/tiny", seconds=240):
        try:
            ended = self.bed.wait_for_job(job, ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT"), seconds)
        except AssertionError:
            print(self.log(job, run))
            raise
        self.assertEqual(ended["JobState"], "COMPLETED", self.log(job, run))
        return ended

    def end_job(self, job):
        """As a user does, while the study runs."""
        self.on_slurm("stop", "runs/tiny")
        self.bed.wait_for_job(job, ("FAILED", "COMPLETED"), 120)

    def go_on_to_the_end(self):
        """In another job, until there are some more trials; returns its number."""
        job = self.submit("runs/tiny", "--set", f"search.stop.trials={self.ended_trials() + 6}")
        self.finish_job(job)
        self.assertIn("finished", self.log(job))
        trials = self.trials()
        self.assert_same_trials(trials, self.undisturbed(len(trials)))
        return job

    def steps(self, job, what="%N"):
        """{name: node, or id} of the crews' steps that run now."""
        lines = self.bed.call("squeue", "--steps", "--noheader", "--jobs", job, "--format", f"%j {what}").splitlines()
        return dict(line.split() for line in lines if line.startswith("crew-"))

    def signal_time_is_up(self, job):
        """As Slurm does before a time limit."""
        self.bed.call("scancel", "--batch", "--signal=USR1", job)

    def reference(self, experiment, run):
        self.regatta("run", experiment, "--name", "alone", "--runs-dir", self.path("runs"))
        self.assert_same_trials(self.trials(run), self.trials("runs/alone"))
