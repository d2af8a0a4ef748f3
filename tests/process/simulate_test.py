"""regatta simulate: thousands of crews, the same answer each time."""

import re

from support import EXPERIMENT, StudyCase, main


class ASimulation(StudyCase):
    def test_of_a_thousand_crews_repeats_exactly(self):
        self.write("exp.yaml", EXPERIMENT.replace("{type: fifo, max_epochs: 3}", "{type: asha, max_epochs: 27}"))
        arguments = ("simulate", "exp.yaml", "--crews", "1000", "--trials", "10000")
        first = self.regatta(*arguments).stdout
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

    def test_tells_how_busy_the_coordinator_is_and_takes_its_costs(self):
        arguments = ("simulate", "exp.yaml", "--crews", "8", "--trials", "100", "--epoch-seconds", "0.1",
                     "--start-seconds", "0")
        makespans = []
        for costs in (["--ideal-coordinator"], [], ["--commit-ms", "300"]):
            output = self.regatta(*arguments, *costs).stdout
            makespans.append(float(re.search(r"makespan .*\(([0-9.]+) s\)", output).group(1)))
            self.assertEqual("coordinator" in output, costs != ["--ideal-coordinator"])
        self.assertLess(makespans[0], makespans[1])
        self.assertLess(1.5 * makespans[1], makespans[2])

    def test_sweeps_over_crews_and_lengths_of_trials(self):
        output = self.regatta("simulate", "exp.yaml", "--sweep", "--crews", "64", "--start-seconds", "0").stdout
        rows = [[float(cell) for cell in line.split()] for line in output.splitlines()
                if re.fullmatch(r" *(16|64)( +[0-9.]+){5}", line)]
        self.assertEqual(len(rows), 4)
        for _, short, *_, long in rows[:2]:
            self.assertLess(short, long)
            self.assertGreater(long, 99)
        for _, short, *_, long in rows[2:]:
            self.assertGreater(short, long)


if __name__ == "__main__":
    main()
