"""Crews that grow while a study runs: the trial goes on with more ranks, and to the same reports."""

import json
import os
import signal
import unittest

from support import StudyCase, main, make_csv, wait_until

# Two crews and one trial, long enough for a larger crew to be started and to take over.
EXPERIMENT = """\
name: tail
seed: 3
objective: {maximize: val_accuracy}
search:
  sampler: random
  scheduler: {type: fifo, max_epochs: EPOCHS}
  stop: {trials: 1}
space:
  lr: {float: [0.01, 0.03], log: true}
data: {format: csv, path: made.csv, target: kind, validation: 0.2}
model:
  layers:
    - dense: 256
    - relu
    - dense: 256
    - relu
    - dense: 3
train: {optimizer: {type: sgd, lr: $lr}, batch_size: 16, MORE}
resources: {crews: 2, ranks: 1, threads: 1}
"""
EPOCHS = 60


class Elastic(StudyCase):
    def setUp(self):
        super().setUp()
        make_csv(self.path("made.csv"), rows=9000)

    def write_experiment(self, more="", epochs=EPOCHS):
        text = EXPERIMENT.replace("EPOCHS", str(epochs)).replace(", MORE", f", {more}" if more else "")
        self.write("tail.yaml", text)

    def reports(self, run):
        (trial,) = json.loads(self.regatta("trials", self.path("runs", run), "--json").stdout)
        self.assertEqual(trial["state"], "complete")
        return trial["epochs"], trial["value"]

    def crew_logs(self, run):
        return sorted(name for name in os.listdir(self.path("runs", run, "logs")) if name.startswith("crew-"))

    def curve(self, run):
        """The value of each epoch, from the study's Optuna tables."""
        import sqlite3  # pylint: disable=import-outside-toplevel
        with sqlite3.connect(f"file:{self.path('runs', run, 'study.db')}?mode=ro", uri=True) as database:
            return [value for (value,) in database.execute(
                "SELECT intermediate_value FROM trial_intermediate_values ORDER BY step")]

    def rank_counts(self, process, name):
        """The largest number of ranks seen while the study ran, and its output."""
        most = 0
        while process.poll() is None:
            most = max(most, len([1 for pid in self.workers() if self.is_of_large_crew(pid)]))
            try:
                process.wait(timeout=0.1)
            except Exception:  # pylint: disable=broad-except
                continue
        output, _ = process.communicate()
        self.assertEqual(process.returncode, 0, f"{name}\n{output}")
        return most, output

    @staticmethod
    def is_of_large_crew(process):
        try:
            with open(f"/proc/{process}/cmdline", encoding="utf-8", errors="replace") as stream:
                return "--slots" in stream.read()
        except OSError:
            return False

    def test_a_lone_trial_goes_on_with_the_ranks_of_both_crews_and_to_the_same_reports(self):
        self.write_experiment()
        self.regatta("run", "tail.yaml", "--name", "rigid", "--set", "resources.elastic=false", timeout=240)
        most, output = self.rank_counts(self.start("run", "tail.yaml", "--name", "elastic"), "elastic")
        self.assertIn("trial 0 goes on with 2 ranks", output)
        self.assertEqual(most, 2)
        self.assertNotIn("started again", output)
        rigid, elastic = self.curve("rigid"), self.curve("elastic")
        self.assertEqual(len(elastic), EPOCHS)
        for epoch, (ours, theirs) in enumerate(zip(elastic, rigid), start=1):
            # One of 1800 validation rows may change sides by a rounding.
            self.assertAlmostEqual(ours, theirs, delta=0.003, msg=f"epoch {epoch}")
        self.assertEqual(self.crew_logs("rigid"), ["crew-0.1.log", "crew-1.1.log"])

    def test_deterministic_world_keeps_every_bit_when_crews_change(self):
        self.write_experiment("deterministic: {type: world, shards: 2}")
        self.regatta("run", "tail.yaml", "--name", "rigid", "--set", "resources.elastic=false", timeout=240)
        output = self.regatta("run", "tail.yaml", "--name", "elastic", timeout=240).stdout
        self.assertIn("trial 0 goes on with 2 ranks", output)
        self.assertEqual(self.curve("elastic"), self.curve("rigid"))

    def test_a_larger_crew_that_is_killed_costs_one_attempt_and_its_slots_work_on(self):
        self.write_experiment(epochs=2 * EPOCHS)
        process = self.start("run", "tail.yaml", "--name", "elastic")
        large = wait_until(lambda: [pid for pid in self.workers() if self.is_of_large_crew(pid)], 60, "a larger crew")
        log = self.path("runs", "elastic", "logs")
        del log
        os.kill(large[0], signal.SIGKILL)
        output = self.finish(process, timeout=240)
        del output
        epochs, _ = self.reports("elastic")
        self.assertEqual(epochs, 2 * EPOCHS)
        self.assertEqual(len(self.curve("elastic")), 2 * EPOCHS)


if __name__ == "__main__":
    main()
