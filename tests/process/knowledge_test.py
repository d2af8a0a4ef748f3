"""What the user knows beforehand, and what a study knows afterwards: require, try, learn_from, importance."""

import json
import shutil

from support import EXPERIMENT, StudyCase, main

REQUIRED = EXPERIMENT.replace("  width: {int: [4, 16]}", "  width: {int: [4, 16]}\n  require: width * lr < 1.5")


class Requirements(StudyCase):
    def test_are_shown_with_the_share_that_they_allow(self):
        self.write("exp.yaml", REQUIRED)
        text = self.regatta("validate", "exp.yaml").stdout
        self.assertIn("required: width * lr < 1.5", text)
        self.assertRegex(text, r"allowed: about [4-9]\d(\.\d)? % of the space")

    def test_that_nothing_meets_are_a_located_mistake(self):
        self.write("exp.yaml", REQUIRED.replace("< 1.5", "< 0"))
        done = self.regatta("validate", "exp.yaml", code=2)
        self.assertTrue(done.stderr.startswith("exp.yaml:11:12: none of 10,000 points"), done.stderr)

    def test_hold_for_every_trial(self):
        self.write("exp.yaml", REQUIRED.replace("max_epochs: 3", "max_epochs: 1"))
        self.regatta("run", "exp.yaml")
        trials = self.trials()
        self.assertEqual(len(trials), 6)
        for trial in trials:
            self.assertLess(trial["parameters"]["width"] * trial["parameters"]["lr"], 1.5)


class KnownPoints(StudyCase):
    def test_are_tried_first_in_their_order(self):
        self.write("exp.yaml", EXPERIMENT.replace("max_epochs: 3", "max_epochs: 1").replace(
            "  sampler: random", "  sampler: random\n  try: [{lr: 0.05, width: 9}, {width: 4}]"))
        self.assertIn("{lr: 0.05, width: 9}", self.regatta("validate", "exp.yaml").stdout)
        self.regatta("run", "exp.yaml")
        trials = self.trials()
        self.assertEqual(len(trials), 6)
        self.assertEqual(trials[0]["parameters"], {"lr": 0.05, "width": 9})
        self.assertEqual(trials[1]["parameters"]["width"], 4)


class Learning(StudyCase):
    LEARNER = EXPERIMENT.replace("max_epochs: 3", "max_epochs: 1").replace("name: tiny", "name: learner").replace(
        "  sampler: random", "  sampler: random\n  learn_from: runs/tiny")

    def run_teacher(self):
        self.write("exp.yaml", EXPERIMENT.replace("max_epochs: 3", "max_epochs: 1").replace("trials: 6", "trials: 14"))
        self.regatta("run", "exp.yaml")

    def test_from_another_study_goes_on_without_it(self):
        self.run_teacher()
        best = self.best()["parameters"]
        self.write("learner.yaml", self.LEARNER)
        self.assertIn("learns from runs/tiny: 14 trials", self.regatta("validate", "learner.yaml").stdout)
        self.regatta("run", "learner.yaml", "--name", "whole")
        whole = self.trials("runs/whole")
        self.assertEqual(whole[0]["parameters"], best)

        self.regatta("run", "learner.yaml", "--set", "search.stop.trials=1")
        shutil.rmtree(self.path("runs", "tiny"))
        self.regatta("resume", "runs/learner", "--set", "search.stop.trials=6")
        self.assert_same_trials(self.trials("runs/learner"), whole)

    def test_from_what_does_not_fit_is_a_located_mistake(self):
        self.run_teacher()
        cases = {
            ("learn_from: runs/tiny", "learn_from: runs/tyni"): "no study is at 'runs/tyni'",
            ("maximize: val_accuracy", "minimize: val_accuracy"): "runs/tiny maximizes 'val_accuracy'",
            ("maximize: val_accuracy", "maximize: val_acuracy"): "did you mean 'val_accuracy'",
            ("width: {int: [4, 16]}", "width: {int: [100, 160]}"): "none of its trials lies in this space",
        }
        for (old, new), words in cases.items():
            with self.subTest(words):
                self.assertEqual(self.LEARNER.count(old), 1)
                self.write("learner.yaml", self.LEARNER.replace(old, new))
                done = self.regatta("simulate", "learner.yaml", code=2)
                self.assertTrue(done.stderr.startswith("learner.yaml:6:15: "), done.stderr)
                self.assertIn(words, done.stderr)

    def test_from_a_broken_file_is_a_located_mistake(self):
        self.run_teacher()
        with open(self.path("runs", "tiny", "study.db"), "r+b") as stream:
            stream.write(b"no database at all")
        self.write("learner.yaml", self.LEARNER)
        done = self.regatta("validate", "learner.yaml", code=2)
        self.assertTrue(done.stderr.startswith("learner.yaml:6:15: cannot learn from runs/tiny"), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1)


class Importance(StudyCase):
    def test_of_a_study(self):
        self.write("exp.yaml", EXPERIMENT.replace("max_epochs: 3", "max_epochs: 1").replace("trials: 6", "trials: 9"))
        self.regatta("run", "exp.yaml")
        done = self.regatta("importance", "tiny", code=1)
        self.assertIn("at least 10 ended trials", done.stderr)

        self.regatta("resume", "tiny", "--set", "search.stop.trials=30")
        text = self.regatta("importance", "tiny").stdout
        self.assertIn("val_accuracy, maximized: the best 5 of 30 trials", text)
        found = json.loads(self.regatta("importance", "tiny", "--json").stdout)
        self.assertEqual({each["name"] for each in found["parameters"]}, {"lr", "width"})
        self.assertAlmostEqual(sum(each["importance"] for each in found["parameters"]), 1)
        best = self.best()["parameters"]
        for each in found["parameters"]:
            self.assertLessEqual(each["good"]["low"], best[each["name"]])
            self.assertGreaterEqual(each["good"]["high"], best[each["name"]])

        by_loss = json.loads(self.regatta("importance", "tiny", "--json", "--metric", "val_loss", "--direction",
                                          "minimize").stdout)
        self.assertEqual((by_loss["metric"], by_loss["direction"]), ("val_loss", "minimize"))
        for arguments, words in ((("--metric", "val_loss"), "--direction maximize or --direction minimize"),
                                 (("--metric", "val_los"), "did you mean 'val_loss'"),
                                 (("--direction", "up"), "up")):
            self.assertIn(words, self.regatta("importance", "tiny", *arguments, code=2).stderr)


if __name__ == "__main__":
    main()
