"""A small study from the file to the best model, and what people then do with it."""

import collections
import csv
import io
import json
import os
import pty
import subprocess
import sys
import unittest

from support import EXPERIMENT, REGATTA, ENVIRONMENT, StudyCase, main, read_safetensors

try:
    import numpy
except ImportError:
    numpy = None
try:
    import optuna
except ImportError:
    optuna = None
try:
    import torch
except ImportError:
    torch = None

HYPERBAND = EXPERIMENT.replace("{type: fifo, max_epochs: 3}", "{type: hyperband, max_epochs: 4, eta: 2}")
HYPERBAND = HYPERBAND.replace("  stop: {trials: 6}\n", "").replace("crews: 1", "crews: 2")


class ATracedStudy(StudyCase):
    def test_shows_what_each_rank_did_when(self):
        self.write("exp.yaml", EXPERIMENT.replace("ranks: 1", "ranks: 2").replace("trials: 6", "trials: 1"))
        self.regatta("run", "exp.yaml", "--trace", "timeline.json")
        with open(self.path("timeline.json"), encoding="utf-8") as stream:
            events = json.load(stream)
        ranks = {event["pid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
        self.assertEqual(sorted(ranks.values()), ["crew-0.1.0", "crew-0.1.1"])
        for rank in ranks:
            spans = [event for event in events if event["ph"] == "X" and event["pid"] == rank]
            counts = collections.Counter(span["name"] for span in spans)
            steps = counts["forward"]
            self.assertGreater(steps, 10)
            for name in ("input", "backward", "exchange", "bucket: sum and update"):
                self.assertEqual(counts[name], steps, name)
            bucket = next(span for span in spans if span["name"].startswith("bucket"))
            self.assertGreater(bucket["args"]["bytes"], 0)
            backward = next(span for span in spans if span["name"] == "backward")
            exchange = next(span for span in spans if span["name"] == "exchange")
            self.assertLessEqual(backward["ts"], bucket["ts"])
            self.assertLessEqual(bucket["ts"] + bucket["dur"], exchange["ts"] + exchange["dur"])


class AStudyRunsToItsEnd(StudyCase):
    def setUp(self):
        super().setUp()
        self.write("exp.yaml", HYPERBAND)
        self.output = self.regatta("run", "exp.yaml").stdout

    def test_and_tells_what_it_found(self):
        best = self.best()
        self.assertIn("finished", self.output)
        self.assertIn("the best trials", self.output)
        self.assertIn(f"trial {best['trial']} on the test data", self.output)
        for name in ("study.db", "logs", "model.safetensors"):
            self.assertIn(name, self.output)
        self.assertGreater(best["value"], 0.5)
        self.assertGreater(best["test"]["test_accuracy"], 0.5)
        status = self.regatta("status", "tiny").stdout
        self.assertIn("finished", status)
        self.assertIn(f"trial {best['trial']}", status)

    def test_and_its_trials_read_alike_in_every_form(self):
        as_json = self.trials()
        as_csv = list(csv.DictReader(io.StringIO(self.regatta("trials", "tiny", "--csv").stdout)))
        table = self.regatta("trials", "tiny").stdout
        self.assertEqual(len(as_csv), len(as_json))
        self.assertEqual(len(table.splitlines()), len(as_json) + 1)
        for row, trial in zip(as_csv, as_json):
            self.assertEqual(row["state"], trial["state"])
            self.assertEqual(float(row["value"]), trial["value"])
            self.assertEqual(float(row["lr"]), trial["parameters"]["lr"])

    @unittest.skipUnless(optuna, "python3-optuna is not installed")
    def test_and_optuna_finds_the_same_best_trial(self):
        storage = optuna.storages.RDBStorage(f"sqlite:///{self.path('runs/tiny/study.db')}",
                                             skip_compatibility_check=True)
        name = storage.get_all_studies()[0].study_name
        study = optuna.load_study(study_name=name, storage=storage)
        best = self.best()
        self.assertEqual(len(study.trials), len(self.trials()))
        self.assertEqual(study.best_trial.number, best["trial"])
        self.assertEqual(study.best_trial.params, best["parameters"])
        self.assertAlmostEqual(study.best_value, best["value"])

    def test_and_its_model_has_pytorchs_names_and_shapes(self):
        best = self.best()
        width = best["parameters"]["width"]
        tensors = read_safetensors(best["model"])
        shapes = {name: shape for name, (shape, _) in tensors.items()}
        self.assertEqual(shapes, {"dense1.weight": [width, 4], "dense1.bias": [width],
                                  "dense2.weight": [3, width], "dense2.bias": [3]})

    @unittest.skipUnless(torch and numpy, "python3-torch is not installed")
    def test_and_pytorch_runs_its_model(self):
        best = self.best()
        network = torch.nn.Sequential()
        network.add_module("dense1", torch.nn.Linear(4, best["parameters"]["width"]))
        network.add_module("relu1", torch.nn.ReLU())
        network.add_module("dense2", torch.nn.Linear(best["parameters"]["width"], 3))
        state = {name: torch.from_numpy(numpy.frombuffer(data, "<f4").reshape(shape).copy())
                 for name, (shape, data) in read_safetensors(best["model"]).items()}
        network.load_state_dict(state)
        inputs, kinds = self.normalised_data()
        right = (network(torch.from_numpy(inputs)).argmax(1).numpy() == kinds).mean()
        self.assertGreater(right, best["test"]["test_accuracy"] - 0.15)

    def normalised_data(self):
        with open(self.path("made.csv"), encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        inputs = numpy.array([[float(row[f"x{i}"]) for i in range(4)] for row in rows], dtype="<f4")
        inputs = (inputs - inputs.mean(0)) / inputs.std(0)
        return inputs, numpy.array(["abc".index(row["kind"]) for row in rows])

    def test_and_can_be_allowed_more_trials(self):
        before = self.trials()
        self.assertIn("--set search.stop.trials", self.regatta("resume", "tiny").stdout)
        self.regatta("resume", "tiny", "--set", f"search.stop.trials={len(before) + 3}")
        after = self.trials()
        self.assertEqual(len(after), len(before) + 3)
        self.assertIn(f" of {len(after)}: ", self.regatta("status", "tiny").stdout)
        self.assertEqual([t["parameters"] for t in after[:len(before)]], [t["parameters"] for t in before])
        done = self.regatta("resume", "tiny", "--set", "train.batch_size=8", code=2)
        self.assertIn("search.stop", done.stderr)


class ANameFromTheCommandLine(StudyCase):
    def test_stays(self):
        self.regatta("run", "exp.yaml", "--name", "other")
        with open(os.path.join(os.path.dirname(self.best("runs/other")["model"]), "model.json"), encoding="utf-8") as stream:
            self.assertIn('"other"', stream.read())
        self.assertIn("other: finished", self.regatta("resume", "other").stdout)

    def test_follows_the_rules_of_names(self):
        self.assertIn("name", self.regatta("run", "exp.yaml", "--name", "it's one", code=2).stderr)


class AStudyWithoutTestData(StudyCase):
    def test_claims_no_test(self):
        self.write("exp.yaml", EXPERIMENT.replace("test: 0.2", "test: 0").replace("trials: 6", "trials: 1"))
        self.assertNotIn("on the test data", self.regatta("run", "exp.yaml").stdout)
        best = self.best()
        self.assertIsNone(best["test"])
        self.assertTrue(os.path.exists(self.path(best["model"])))


PROGRAM = """\
import json, os, pathlib, sys
folder = pathlib.Path(os.environ["REGATTA_CHECKPOINT_DIR"])
for epoch in range(int(os.environ["REGATTA_RESUME_EPOCH"]) + 1, 10):
    (folder / f"state-{epoch}").write_text("weights")
    print(json.dumps({"epoch": epoch, "loss": float(sys.argv[1]) / epoch}))
    if json.loads(sys.stdin.readline())["decision"] != "continue":
        break
"""


class AStudyOfAProgram(StudyCase):
    def test_keeps_only_the_states_of_the_best_trial(self):
        self.write("program.py", PROGRAM)
        self.write("exp.yaml", "name: tiny\nobjective: {minimize: loss}\nspace: {x: {float: [0, 1]}}\n"
                   "search: {sampler: random, scheduler: {type: asha, max_epochs: 4, eta: 2}, stop: {trials: 8}}\n"
                   f"command: [{sys.executable}, program.py, $x]\nresources: {{crews: 2, threads: 1}}\n")
        self.regatta("run", "exp.yaml")
        best = self.best()
        folder = os.path.dirname(best["checkpoint"])
        self.assertIn("state-4", os.listdir(self.path(folder, "program")))
        self.assertEqual(os.listdir(self.path("runs/tiny/checkpoints")), [os.path.basename(folder)])


class AStudyThatFailed(StudyCase):
    def test_is_still_a_failed_one_when_it_is_opened_again(self):
        experiment = EXPERIMENT[:EXPERIMENT.index("data:")]
        experiment = experiment.replace("objective: {maximize: val_accuracy}", "objective: {minimize: loss}")
        self.write("exp.yaml", experiment + "command: [\"false\", $lr, $width]\nresources: {crews: 1, ranks: 1}\n")
        self.regatta("run", "exp.yaml", code=1)
        self.regatta("resume", "tiny", code=1)


class TheSameSeedGivesTheSameStudy(StudyCase):
    def test_twice(self):
        self.regatta("run", "exp.yaml", "--name", "one")
        self.regatta("run", "exp.yaml", "--name", "two")
        self.assert_same_trials(self.trials("runs/one"), self.trials("runs/two"))


class ADiskThatIsFull(StudyCase):
    def test_ends_the_study_with_a_remedy_and_what_was_stored_is_whole(self):
        small = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=300k none runs && exec "$@"', "sh")
        os.mkdir(self.path("runs"))
        if subprocess.run([*small, "true"], cwd=self.folder, capture_output=True, check=False).returncode != 0:
            self.skipTest("no file system of a chosen size can be mounted here")
        program = f"{REGATTA} run exp.yaml --set search.stop.trials=1000; {REGATTA} trials tiny --json >stored.json"
        done = subprocess.run([*small, "sh", "-c", program], cwd=self.folder, env=ENVIRONMENT, text=True,
                              capture_output=True, timeout=120, check=False)
        self.assertIn("make room, and go on with 'regatta resume'", done.stderr)
        with open(self.path("stored.json"), encoding="utf-8") as stream:
            ended = [trial for trial in json.load(stream) if trial["state"] == "complete"]
        self.assertTrue(ended)
        self.regatta("run", "exp.yaml", "--name", "roomy", "--set", f"search.stop.trials={len(ended)}")
        self.assert_same_trials(ended, self.trials("runs/roomy"))


class AReaderThatWentAway(StudyCase):
    def test_does_not_end_the_study(self):
        reader, writer = os.pipe()
        os.close(reader)
        with open(self.path("errors.txt"), "w+", encoding="utf-8") as errors:
            done = subprocess.run([REGATTA, "run", "exp.yaml"], cwd=self.folder, env=ENVIRONMENT, stdout=writer,
                                  stderr=errors, timeout=120, check=False)
            os.close(writer)
            errors.seek(0)
            self.assertEqual((done.returncode, errors.read()), (0, ""))
        self.assertEqual(len(self.trials()), 6)


class TheLiveDisplay(StudyCase):
    def test_leaves_the_terminal_as_it_was(self):
        process, terminal = pty.fork()
        if process == 0:
            os.chdir(self.folder)
            os.execve(REGATTA, [REGATTA, "run", "exp.yaml"], {**ENVIRONMENT, "TERM": "xterm"})
        output = b""
        while True:
            try:
                output += os.read(terminal, 65536)
            except OSError:  # the other end is closed
                break
        _, status = os.waitpid(process, 0)
        os.close(terminal)
        self.assertEqual(os.waitstatus_to_exitcode(status), 0, output)
        self.assertIn(b"\x1b[?25l", output)
        self.assertGreater(output.rindex(b"\x1b[?25h"), output.rindex(b"\x1b[?25l"))
        self.assertIn(b"the best trials", output)


if __name__ == "__main__":
    main()
