"""Crews that grow while a study runs: the trial goes on with more ranks, and to the same reports."""

import contextlib
import math
import os
import signal
import subprocess

from support import StudyCase, main, make_csv, wait_until

# Two crews and one trial, long enough for a larger crew to be started and to take over. Small steps: what two orders
# of summation make of a weight must not grow in the course of training.
EXPERIMENT = """\
name: tail
seed: 3
objective: {maximize: val_accuracy}
search:
  sampler: random
  scheduler: {type: fifo, max_epochs: EPOCHS}
  stop: {trials: 1}
space:
  lr: {float: [0.001, 0.0015]}
data: {format: csv, path: made.csv, target: kind, validation: 0.2}
model:
  layers:
    - dense: 512
    - relu
    - dense: 512
    - relu
    - dense: 3
train: {optimizer: {type: sgd, lr: $lr}, batch_size: 64, MORE}
resources: {crews: 2, ranks: 1, threads: 1}
"""
FEW_EPOCHS = 20
# What a crew of one is to train for: a takeover must be worth its cost on a fast machine too.
ENOUGH_SECONDS = 20


class Elastic(StudyCase):
    def setUp(self):
        super().setUp()
        make_csv(self.path("made.csv"), rows=9000)

    def write_experiment(self, epochs, more=""):
        text = EXPERIMENT.replace("EPOCHS", str(epochs)).replace(", MORE", f", {more}" if more else "")
        self.write("tail.yaml", text)

    def write_long_experiment(self, more="", times=1):
        """Returns its epochs. How many it takes is found by the processor time of a few, which others' load leaves
        as it is."""
        self.write_experiment(FEW_EPOCHS, more)
        before = os.times()
        self.regatta("run", "tail.yaml", "--name", "few", "--set", "resources.crews=1", timeout=240)
        after = os.times()
        spent = sum(after[2:4]) - sum(before[2:4])  # of children, and of theirs
        epochs = times * max(FEW_EPOCHS, math.ceil(FEW_EPOCHS * ENOUGH_SECONDS / spent))
        self.write_experiment(epochs, more)
        return epochs

    def curve(self, run):
        """The trial's value in each epoch."""
        (trial,) = self.trials(os.path.join("runs", run))
        self.assertEqual(trial["state"], "complete")
        with contextlib.closing(self.database(os.path.join("runs", run))) as database:
            return [value for (value,) in database.execute(
                "SELECT intermediate_value FROM trial_intermediate_values ORDER BY step")]

    def ranks_of_large_crew(self):
        return [process for process in self.workers() if self.is_of_large_crew(process)]

    def watch(self, process):
        """Until its end: its output, and how many ranks of a larger crew there were at once."""
        most = 0
        while True:
            most = max(most, len(self.ranks_of_large_crew()))
            try:
                output, _ = process.communicate(timeout=0.2)
            except subprocess.TimeoutExpired:
                continue
            self.assertEqual(process.returncode, 0, output)
            return output, most

    @staticmethod
    def is_of_large_crew(process):
        try:
            with open(f"/proc/{process}/cmdline", encoding="utf-8", errors="replace") as stream:
                return "--slots" in stream.read()
        except OSError:
            return False

    def test_a_lone_trial_goes_on_with_the_ranks_of_both_crews_and_to_the_same_reports(self):
        epochs = self.write_long_experiment()
        self.regatta("run", "tail.yaml", "--name", "rigid", "--set", "resources.elastic=false", timeout=240)
        output, most = self.watch(self.start("run", "tail.yaml", "--name", "elastic"))
        self.assertIn("trial 0 goes on with 2 ranks", output)
        self.assertEqual(most, 2)
        self.assertNotIn("started again", output)
        rigid, elastic = self.curve("rigid"), self.curve("elastic")
        self.assertEqual(len(rigid), epochs)
        self.assertEqual(len(elastic), epochs)
        for epoch, (ours, theirs) in enumerate(zip(elastic, rigid), start=1):
            # A few of 1800 validation rows may change sides by a rounding.
            self.assertAlmostEqual(ours, theirs, delta=0.003, msg=f"epoch {epoch}")

    def test_deterministic_world_keeps_every_bit_when_crews_change(self):
        self.write_long_experiment("deterministic: {type: world, shards: 2}")
        self.regatta("run", "tail.yaml", "--name", "rigid", "--set", "resources.elastic=false", timeout=240)
        output = self.regatta("run", "tail.yaml", "--name", "elastic", timeout=240).stdout
        self.assertIn("trial 0 goes on with 2 ranks", output)
        self.assertEqual(self.curve("elastic"), self.curve("rigid"))

    def test_a_killed_larger_crew_costs_one_attempt_and_no_epoch_that_was_reported(self):
        epochs = self.write_long_experiment(times=2)
        process = self.start("run", "tail.yaml", "--name", "elastic")
        (victim, *_) = wait_until(self.ranks_of_large_crew, 60, "a larger crew")
        os.kill(victim, signal.SIGKILL)
        self.finish(process, timeout=240)
        self.assertEqual(len(self.curve("elastic")), epochs)


if __name__ == "__main__":
    main()
