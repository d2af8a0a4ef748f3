"""A user's mistake is one sentence with a place, and nothing is started by it."""

import os
import re
import unittest

from support import EXPERIMENT, StudyCase, main

# What is mistaken: (the text to replace, its replacement, line, column, words of the message).
MISTAKES = {
    "an unknown top-level key": ("seed: 3", "sead: 3", 2, 1, "seed"),
    "a seed that is no number": ("seed: 3", "seed: many", 2, 7, "many"),
    "a key given twice": ("seed: 3", "seed: 3\nseed: 4", 3, 1, "seed"),
    "a bracket that is not closed": ("{maximize: val_accuracy}", "{maximize: val_accuracy", 4, 7, "'}'"),
    "a tab": ("  sampler: random", "\tsampler: random", 5, 1, "tab"),
    "an unknown direction": ("maximize: val", "maximise: val", 3, 13, "maximize"),
    "an unknown metric": ("maximize: val_accuracy", "maximize: val_acuracy", 3, 23, "val_accuracy"),
    "an unknown sampler": ("sampler: random", "sampler: randm", 5, 12, "random"),
    "an unknown scheduler": ("type: fifo", "type: hyperbnd", 6, 21, "hyperband"),
    "an unknown option of a scheduler": ("max_epochs: 3", "max_epoch: 3", 6, 27, "max_epochs"),
    "a number of trials below one": ("trials: 6", "trials: 0", 7, 18, "1"),
    "a range upside down": ("[0.01, 0.3]", "[0.3, 0.01]", 9, 15, "lower end"),
    "a logarithmic range from zero": ("[0.01, 0.3]", "[0, 0.3]", 9, 16, "above 0"),
    "an unknown kind of parameter": ("width: {int:", "width: {integer:", 10, 11, "int"),
    "a parameter that does not exist": ("dense: $width", "dense: $widht", 14, 14, "width"),
    "a parameter that nothing uses": ("dense: $width", "dense: 8", 10, 3, "width"),
    "a data file that does not exist": ("path: made.csv", "path: mode.csv", 11, 27, "mode.csv"),
    "a target column that does not exist": ("target: kind", "target: knid", 11, 45, "kind"),
    "an unknown layer": ("- relu", "- rellu", 15, 7, "relu"),
    "a last layer of the wrong size": ("- dense: 3", "- dense: 4", 16, 7, "3 classes"),
    "an unknown optimizer": ("type: sgd", "type: sdg", 17, 27, "sgd"),
    "a batch of nothing": ("batch_size: 16", "batch_size: 0", 17, 54, "1"),
    "too few ranks": ("ranks: 1", "ranks: 0", 18, 30, "1"),
}


class EveryMistakeIsOneLocatedSentence(StudyCase):
    def test_in_the_file(self):
        self.assertGreaterEqual(len(MISTAKES), 20)
        for what, (old, new, line, column, words) in MISTAKES.items():
            with self.subTest(what):
                self.assertEqual(EXPERIMENT.count(old), 1, "the replaced text must be unique")
                self.write("exp.yaml", EXPERIMENT.replace(old, new))
                done = self.regatta("run", "exp.yaml", code=2)
                self.assertEqual(done.stdout, "")
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                place = f"exp.yaml:{line}:{column}: "
                self.assertTrue(done.stderr.startswith(place), f"{done.stderr!r} should start with {place}")
                self.assertIn(words, done.stderr.partition(": ")[2])
                self.assertFalse(os.path.exists(self.path("runs")), "nothing may be made")

    def test_where_two_sections_do_not_fit(self):
        program = ("objective: {minimize: loss}\nsearch: {scheduler: {type: fifo, max_epochs: 3}, stop: {trials: 3}}\n"
                   "space: {x: {float: [0, 1]}}\ncommand: [train, $x]\nresources: {lanes: 4}\n")
        shards = EXPERIMENT.replace("16}\nres", "16, deterministic: world}\nres").replace("ranks: 1", "ranks: 3")
        for text, place, words in ((program, "exp.yaml:5:20: ", "`command`"), (shards, "exp.yaml:17:73: ", "3 ranks")):
            self.write("exp.yaml", text)
            done = self.regatta("run", "exp.yaml", code=2)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertTrue(done.stderr.startswith(place), f"{done.stderr!r} should start with {place}")
            self.assertIn(words, done.stderr)

    def test_in_an_override(self):
        done = self.regatta("validate", "exp.yaml", "--set", "train.batch_size=none", code=2)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertTrue(done.stderr.startswith("--set train.batch_size"), done.stderr)

    def test_in_the_arguments(self):
        for arguments, words in ((["rnu", "exp.yaml"], "did you mean 'run'"), (["run", "nothing.yaml"], "nothing.yaml"),
                                 (["status", "nothing"], "nothing"), (["run"], "FILE"),
                                 (["simulate", "exp.yaml", "--crews", "0"], "--crews")):
            done = self.regatta(*arguments, code=2)
            self.assertIn(words, done.stderr)

    def test_no_command_at_all(self):
        done = self.regatta(code=2)
        self.assertIn("validate", done.stderr)
        self.assertIn("130 interrupted", done.stderr)

    def test_a_study_that_exists_is_not_overwritten(self):
        os.makedirs(self.path("runs", "tiny"))
        done = self.regatta("run", "exp.yaml", code=2)
        self.assertIn("regatta resume runs/tiny", done.stderr)
        self.assertIn("--name", done.stderr)

    def test_a_command_to_copy_is_right_for_a_folder_with_a_space(self):
        os.makedirs(self.path("my runs", "tiny"))
        done = self.regatta("run", "exp.yaml", "--runs-dir", "my runs", code=2)
        self.assertIn("regatta resume 'my runs/tiny'", done.stderr)

    def test_a_place_where_no_study_can_be_made_is_told_before_anything_starts(self):
        done = self.regatta("run", "exp.yaml", "--runs-dir", "made.csv/runs", code=2)
        self.assertIn("made.csv/runs", done.stderr)
        self.assertIn("--runs-dir", done.stderr)


class TheHelpTellsTheExitCodes(StudyCase):
    def test_of_every_command(self):
        overview = self.regatta("--help").stdout
        commands = re.findall(r"(?m)^  ([a-z][a-z-]+)  ", overview.split("Subcommands:")[1])
        self.assertGreaterEqual(len(commands), 14)
        for command in ([], *([name] for name in commands)):
            text = self.regatta(*command, "--help").stdout
            for code in ("0 done", "1 the study failed", "2 a mistake", "130 interrupted"):
                self.assertIn(code, text, command)
        self.assertNotIn("worker", commands)
        self.assertRegex(self.regatta("--version").stdout, r"^regatta \d+\.\d+\.\d+")


if __name__ == "__main__":
    main()
