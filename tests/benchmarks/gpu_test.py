"""benchmarks/gpu on the emulated device, beside PyTorch on the processor: everything but the speed. So a first run on a
GPU does not end on a mistake that could have been found here."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "benchmarks", "gpu")
PROGRAM = os.environ["GPU_BENCHMARK"]
sys.path.insert(0, FOLDER)
from side import Failed, Side  # noqa: E402

TINY = ("--device cpu --only tabular:tf32,resnet:bf16 --batch 4 --samples 8 --blocks 2 --seconds 0.001 --least-steps 1 "
        "--warm-up 1 --part-steps 2 --lanes 1,2 --lane-works tabular --minutes 2").split()


def has_torch():
    return subprocess.run([sys.executable, "-c", "import torch"], capture_output=True, check=False).returncode == 0


class GpuBenchmark(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def run_script(self, name, *arguments, status=0):
        done = subprocess.run([sys.executable, os.path.join(FOLDER, name), *arguments], capture_output=True, text=True,
                              timeout=200, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def side(self):
        side = Side("gpu-benchmark", [PROGRAM], self.path("log"))
        self.addCleanup(side.end)
        return side

    def compare(self, *more):
        said = self.run_script("compare.py", PROGRAM, "--json", self.path("out.json"), *TINY, *more)
        with open(self.path("out.json"), encoding="utf-8") as file:
            return said, json.load(file)

    @unittest.skipUnless(has_torch(), "PyTorch is not here")
    def test_every_figure_of_a_run_is_in_its_file_and_what_a_peer_lacks_is_said(self):
        said, result = self.compare()
        self.assertEqual(list(result["works"]), ["tabular:tf32", "resnet:bf16"])
        for cell in result["works"].values():
            self.assertEqual(len(cell["ours"]["seconds_of_step"]), 2)
            self.assertEqual(len(cell["eager"]["seconds_of_step"]), 2)
            self.assertGreater(cell["ours"]["of_bandwidth"], 0)
            self.assertIn("CUDA graphs need a CUDA device", cell["graph"]["failure"])
        lanes = result["lanes"]["tabular:tf32"]
        self.assertEqual([len(lanes["ours"][count]["seconds_of_step"]) for count in ("1", "2")], [2, 2])
        parts = result["parts"]["resnet:bf16"]
        self.assertEqual(list(parts), ["input", "forward", "backward", "exchange", "update"])
        self.assertGreater(min(parts["backward"]), 0)
        self.assertEqual(set(result["ceilings"]), {"copy", "fp32", "tf32", "bf16"})
        peer = result["machine"]["PyTorch"]
        lacks_compiler = any("has no torch.compile" in left["why"] for left in result["left_out"])
        self.assertEqual(lacks_compiler, not peer["compiles"])
        self.assertIn("regatta", result["machine"]["gpu-benchmark"])
        self.assertRegex(said, r"tabular tf32,\s+2 lanes\s+\d+ trial-steps/s, ours alone ×\d")
        self.assertRegex(said, r"eager\s+\d.* us, ours is \d")

    def test_losses_begin_near_those_of_guessing(self):
        side = self.side()
        facts = side.ask(60, do="prepare", **{"as": "a"}, work="tabular", precision="fp32", batch=8, samples=64,
                         lanes=3)
        self.assertEqual(facts["parameters"], 54 * 64 + 64 + 64 * 64 + 64 + 64 * 7 + 7)
        self.assertEqual(facts["flops"], 3 * 8 * 2 * (2 * 54 * 64 + 3 * 64 * 64 + 3 * 64 * 7))
        answer = side.ask(60, do="run", **{"as": "a"}, steps=2)
        self.assertGreater(answer["loss"], 1.0)
        self.assertLess(answer["loss"], 4.0)
        self.assertGreater(answer["seconds"], 0)

    @unittest.skipUnless(has_torch(), "PyTorch is not here")
    def test_networks_have_as_many_parameters_on_both_sides(self):
        sys.path.insert(0, os.path.join(FOLDER, "..", "works"))
        import networks
        side = self.side()
        for work in ("tabular", "mlp", "cnn", "resnet", "lstm", "transformer"):
            facts = side.ask(60, do="prepare", **{"as": "a"}, work=work, precision="fp32", batch=1, samples=1,
                             warm_up=0)
            twin = networks.WORKS[work].make()
            self.assertEqual(facts["parameters"], sum(parameter.numel() for parameter in twin.parameters()), work)

    def test_what_cannot_be_done_is_a_sentence_and_the_next_order_is_answered(self):
        side = self.side()
        misnamed = {"do": "prepare", "as": "a", "work": "mpl", "precision": "fp32", "samples": 256}
        for order, sentence in ((misnamed, "there is no work 'mpl'"),
                                ({"do": "run", "as": "a", "steps": 1}, "nothing was prepared"),
                                ({"do": "dance", "as": "a"}, "nothing was prepared"),
                                ({"work": "mlp"}, "not understood")):
            with self.assertRaisesRegex(Failed, sentence):
                side.ask(20, **order)
        self.assertIn("device", side.ask(20, do="machine"))

    def test_a_side_that_dies_or_does_not_answer_is_started_anew(self):
        dying = Side("PyTorch", [sys.executable, "-c", "import sys; sys.exit('no such GPU')"], self.path("dying"))
        with self.assertRaisesRegex(Failed, "ended with status 1: no such GPU"):
            dying.ask(20, do="machine")
        late = Side("PyTorch", [sys.executable, "-c", "import time; time.sleep(60)"], self.path("late"))
        with self.assertRaisesRegex(Failed, "did not answer within"):
            late.ask(0.2, do="machine")
        self.assertIsNone(late.process)
        self.assertEqual(late.generation, 1)

    def test_a_run_whose_peer_cannot_start_still_tells_ours(self):
        with open(self.path("torch.py"), "w", encoding="utf-8") as file:
            file.write("raise ImportError('PyTorch is broken here')\n")
        os.environ["PYTHONPATH"] = self.folder.name
        self.addCleanup(os.environ.pop, "PYTHONPATH")
        _, result = self.compare("--no-compile")
        self.assertIn("PyTorch is broken here", result["works"]["tabular:tf32"]["eager"]["failure"])
        self.assertEqual(len(result["works"]["tabular:tf32"]["ours"]["seconds_of_step"]), 2)

    def test_without_time_works_are_left_out_and_named(self):
        said = self.run_script("compare.py", PROGRAM, *TINY, "--minutes", "0.2", status=1)
        self.assertIn("left out: tabular:tf32: no time is left", said)

    def test_the_first_run_does_its_stages_in_order_and_counts_what_failed(self):
        with open(self.path("gpu-programs.txt"), "w", encoding="utf-8") as file:
            file.write("gpu-benchmark\n")
        os.symlink(PROGRAM, self.path("gpu-benchmark"))
        said = self.run_script("first-run", self.folder.name, "--logs", self.path("logs"),
                               "--stages", "smoke,benchmark", "--works", "tabular", "--batch", "4",
                               "--sizes", '{"copy_bytes": 4096, "product_side": 16}',
                               "--compare", " ".join(TINY) + " --no-compile", status=1)
        self.assertRegex(said, r"(?s)smoke.*ok .*versions.*ok .*tabular, bf16, 1 lanes.*benchmark.*ok .*compare.py")
        self.assertIn("1 checks failed\n  cuDNN's description of the device: 1", said)
        with open(self.path("logs/smoke.json"), encoding="utf-8") as file:
            self.assertEqual(len(json.load(file)["plans"]), 3)


if __name__ == "__main__":
    unittest.main()
