"""regatta simulate: thousands of crews in seconds, the same answer each time."""

import time

from support import EXPERIMENT, StudyCase, main


class ASimulation(StudyCase):
    def test_of_a_thousand_crews_repeats_exactly(self):
        self.write("exp.yaml", EXPERIMENT.replace("{type: fifo, max_epochs: 3}", "{type: asha, max_epochs: 27}"))
        arguments = ("simulate", "exp.yaml", "--crews", "1000", "--trials", "10000")
        began = time.monotonic()
        first = self.regatta(*arguments).stdout
        self.assertLess(time.monotonic() - began, 30)
        self.assertEqual(self.regatta(*arguments).stdout, first)
        for word in ("busy", "makespan", "best", "fingerprint"):
            self.assertIn(word, first)
        self.assertNotEqual(self.regatta(*arguments, "--seed", "1").stdout, first)

    def test_needs_no_data(self):
        self.write("exp.yaml", EXPERIMENT.replace("made.csv", "absent.csv"))
        self.assertIn("makespan", self.regatta("simulate", "exp.yaml").stdout)

    def test_with_dying_crews_loses_time_and_no_trial(self):
        output = self.regatta("simulate", "exp.yaml", "--set", "resources.max_attempts=1000", "--trials", "200",
                              "--crews", "8", "--mean-seconds-to-failure", "120").stdout
        self.assertRegex(output, r"trials +200: 200 complete")
        self.assertNotIn("0.00 % lost", output)


if __name__ == "__main__":
    main()
