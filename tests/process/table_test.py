"""Trials that are looked up in a table: whole studies in virtual time."""

import contextlib
import json
import signal

from support import StudyCase, main, wait_until

EXPERIMENT = """\
objective: {minimize: loss}
search: {sampler: random, scheduler: {type: %s, max_epochs: 9}, stop: {trials: %d}}
space: {x: {float: [0, 1]}, y: {float: [0, 1]}}
table: {path: curves.csv, cost: seconds}
resources: {crews: 3}
"""


class ATable(StudyCase):
    def setUp(self):
        super().setUp()
        with open(self.path("curves.csv"), "w", encoding="utf-8") as stream:
            stream.write("x,y,seconds," + ",".join(f"v{epoch}" for epoch in range(1, 10)) + "\n")
            for row in range(64):
                x, y = (row % 8) / 7, (row // 8) / 7
                losses = [f"{(x - 0.3) ** 2 + (y - 0.6) ** 2 + 1 / epoch:.6f}" for epoch in range(1, 10)]
                if row % 16 == 5:
                    losses[3:] = ["nan"] * 6
                stream.write(f"{x:.6f},{y:.6f},{1 + row % 3}," + ",".join(losses) + "\n")
        self.table(40)

    def table(self, trials, scheduler="asha"):
        self.write("tiny.yaml", EXPERIMENT % (scheduler, trials))

    def test_is_run_as_a_whole_durable_study(self):
        self.table(64, "fifo")
        self.regatta("run", "tiny.yaml")
        trials = self.trials()
        self.assertEqual(len(trials), 64)
        self.assertEqual(sum(trial["state"] == "failed" for trial in trials), 4, "nan is a divergence")
        best = self.best()
        self.assertAlmostEqual(best["value"], (2 / 7 - 0.3) ** 2 + (4 / 7 - 0.6) ** 2 + 1 / 9, places=5)
        self.assertEqual({trial["seconds"] / trial["epochs"] for trial in trials}, {1, 2, 3})
        with contextlib.closing(self.database()) as database:
            self.assertEqual(database.execute("SELECT count(*) FROM trials").fetchone(), (64,))
        self.assertIn("64 of 64", self.regatta("status", self.path("runs/tiny")).stdout)

    def test_gives_the_same_trials_again(self):
        self.regatta("run", "tiny.yaml", "--name", "first")
        self.regatta("run", "tiny.yaml", "--name", "second")
        self.assertEqual(self.trials("runs/first"), self.trials("runs/second"))

    def test_goes_on_with_more_trials_and_takes_no_row_twice(self):
        self.table(20, "fifo")
        self.regatta("run", "tiny.yaml")
        self.regatta("resume", "runs/tiny", "--set", "search.stop.trials=64")
        self.assertEqual(sum(trial["state"] == "failed" for trial in self.trials()), 4)
        self.assertIn("has ended", self.regatta("resume", "runs/tiny").stdout)

    def test_of_several_objectives_ends_with_the_pareto_front(self):
        values = {(0.1, 0.2): (1, 9), (0.3, 0.4): (2, 5), (0.5, 0.6): (3, 6), (0.7, 0.8): (4, 1)}
        with open(self.path("curves.csv"), "w", encoding="utf-8") as stream:
            stream.write("x,y,loss1,time1\n")
            for (x, y), (loss, time) in values.items():
                stream.write(f"{x},{y},{loss},{time}\n")
        self.write("tiny.yaml", """\
objective: [{minimize: loss}, {minimize: time}]
search: {sampler: nsga2, stop: {trials: 4}}
space: {x: {float: [0, 1]}, y: {float: [0, 1]}}
table: {path: curves.csv, values: {loss: loss1, time: time1}}
""")
        output = self.regatta("run", "tiny.yaml").stdout
        self.assertIn("the Pareto front", output)
        front = json.loads(self.regatta("best", "runs/tiny", "--json").stdout)["front"]
        self.assertEqual([trial["values"] for trial in front],
                         [{"loss": 1, "time": 9}, {"loss": 2, "time": 5}, {"loss": 4, "time": 1}])
        header = self.regatta("trials", "runs/tiny", "--csv").stdout.splitlines()[0]
        self.assertTrue(header.endswith("x,y,time,message"), header)

    def test_that_is_killed_goes_on_and_loses_nothing(self):
        self.table(1_000_000, "fifo")
        process = self.start("run", "tiny.yaml")
        wait_until(lambda: self.ended_trials() > 500, 60, "some trials")
        self.kill(process)
        before = self.ended_trials()
        self.assertLess(before, 1_000_000)
        self.regatta("resume", "runs/tiny", "--set", f"search.stop.trials={before + 500}")
        trials = self.trials()
        self.assertEqual([trial["trial"] for trial in trials], list(range(len(trials))))
        self.assertFalse({trial["state"] for trial in trials} - {"complete", "failed"})

    def test_that_is_interrupted_goes_on(self):
        self.table(1_000_000, "fifo")
        process = self.start("run", "tiny.yaml")
        wait_until(lambda: self.ended_trials() > 100, 60, "some trials")
        process.send_signal(signal.SIGINT)
        self.assertIn("regatta resume", self.finish(process, code=130))

    def test_is_what_a_simulation_plays(self):
        output = self.regatta("simulate", "tiny.yaml").stdout
        self.assertEqual(output, self.regatta("simulate", "tiny.yaml").stdout)
        self.assertEqual(output.replace("seed 7", "seed 0"), self.regatta("simulate", "tiny.yaml", "--seed", "7")
                         .stdout.replace("seed 7", "seed 0"), "no curve is made up, and the costs are the table's")

    def test_mistakes_have_their_place(self):
        text = EXPERIMENT % ("fifo", 3)
        for old, new, place, words in (
                ("path: curves.csv", "path: none.csv", "tiny.yaml:4:15: ", "does not exist"),
                ("cost: seconds", "cost: second", "tiny.yaml:4:33: ", "did you mean 'seconds'"),
                ("cost: seconds", "values: w1", "tiny.yaml:4:35: ", "w1"),
                ("y: {float", "z: {float", "tiny.yaml:3:29: ", "no column 'z'"),
                ("resources", "command: [train, $x, $y]\nresources", "tiny.yaml:5:10: ", "`table`")):
            self.write("tiny.yaml", text.replace(old, new))
            done = self.regatta("run", "tiny.yaml", code=2)
            self.assertTrue(done.stderr.startswith(place), done.stderr)
            self.assertIn(words, done.stderr)
        self.table(3)
        with open(self.path("curves.csv"), "a", encoding="utf-8") as stream:
            stream.write("0.1,0.1,1,low" + ",1" * 8 + "\n")
        done = self.regatta("validate", "tiny.yaml", code=2)
        self.assertTrue(done.stderr.startswith("curves.csv:66:11: "), done.stderr)


if __name__ == "__main__":
    main()
