"""`regatta devices`, and what an experiment file may ask of cards, on a machine with or without them."""

import os
import unittest.mock

from support import EXPERIMENT, StudyCase, main

COMMAND = """\
name: program
objective: {minimize: loss}
search: {sampler: random, stop: {trials: 2}}
space: {lr: {float: [0.1, 1]}}
command: [/usr/bin/python3, train.py, --lr, $lr]
"""


class WhatThereIs(StudyCase):
    def test_is_told_of_processors_and_cards(self):
        text = self.regatta("devices").stdout
        self.assertRegex(text, r"(?m)^host \S+$")
        self.assertRegex(text, r"(?m)^CPU: .*\d+ can be used here$")
        self.assertRegex(text, r"(?m)^cards:( none; .+)?$")

    def test_with_a_file_tells_what_each_crew_would_get(self):
        text = self.regatta("devices", "exp.yaml", "--set", "resources.crews=2", "--set", "resources.ranks=2",
                            "--set", "resources.device=cpu").stdout
        rows = [line.split() for line in text.split("tiny:\n")[1].splitlines()[1:]]
        self.assertEqual([row[:2] for row in rows if len(row) > 1 and row[0].isdigit() and row[1].isdigit()],
                         [["0", "0"], ["0", "1"], ["1", "0"], ["1", "1"]])
        self.assertIn("on CPUs", text)

    def test_with_a_command_tells_that_it_sees_all_cards(self):
        self.write("program.yaml", COMMAND)
        self.assertIn("the command sees every card there is", self.regatta("devices", "program.yaml").stdout)


class CardsThatAreNotThere(StudyCase):
    """No card is in sight of these, wherever they run."""

    def setUp(self):
        super().setUp()
        self.write("cuda.yaml", EXPERIMENT.replace("{crews: 1,", "{device: cuda, crews: 1,"))
        self.write("program.yaml", COMMAND + "resources: {device: cuda}\n")
        hidden = unittest.mock.patch.dict("support.ENVIRONMENT", {"CUDA_VISIBLE_DEVICES": ""})
        hidden.start()
        self.addCleanup(hidden.stop)

    def test_are_refused_before_anything_starts(self):
        for command in ("run", "validate", "devices"):
            for file in ("cuda.yaml", "program.yaml"):
                done = self.regatta(command, file, code=2)
                self.assertRegex(done.stderr, rf"^{file}:\d+:\d+: device: there is no card for 'cuda' on host \S+: .+; "
                                              "use 'auto' or 'cpu'\n$")
        self.assertFalse(os.path.exists(self.path("runs")))

    def test_do_not_keep_one_from_looking_at_a_study(self):
        self.regatta("run", "exp.yaml", "--set", "search.stop.trials=1")
        for command in ("status", "trials", "best"):
            self.regatta(command, "runs/tiny")
        self.regatta("simulate", "cuda.yaml")

    def test_are_no_matter_to_auto(self):
        self.regatta("run", "exp.yaml", "--set", "search.stop.trials=1", "--set", "resources.device=auto")
        self.assertNotIn("gpu_memory_bytes", self.trials()[0])


if __name__ == "__main__":
    main()
