"""A whole study on a card: the same answers as on processors, with one rank and with two that share the card."""

import unittest

from support import StudyCase, main


class AStudyOnACard(StudyCase):
    def setUp(self):
        super().setUp()
        text = self.regatta("devices").stdout
        if "cards: none" in text:
            self.skipTest(text.split("cards: ")[1].splitlines()[0])

    def values_on(self, name, *settings):
        options = [word for setting in ("search.stop.trials=3", f"name={name}", *settings) for word in ("--set", setting)]
        self.regatta("run", "exp.yaml", *options)
        return [trial["value"] for trial in self.trials(f"runs/{name}")]

    def assert_close(self, values, expected):
        self.assertEqual(len(values), len(expected))
        for value, other in zip(values, expected):
            self.assertAlmostEqual(value, other, delta=0.05)  # a sample or two of 48 at the edge

    def test_ends_as_on_processors(self):
        expected = self.values_on("cpu", "resources.device=cpu")
        self.assert_close(self.values_on("card", "resources.device=cuda"), expected)
        self.assert_close(self.values_on("lanes", "resources.device=cuda", "resources.lanes=auto"), expected)
        self.assert_close(self.values_on("ranks", "resources.device=cuda", "resources.ranks=2",
                                         "resources.ranks_per_gpu=2"), expected)


if __name__ == "__main__":
    main()
