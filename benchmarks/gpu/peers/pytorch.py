#!/usr/bin/env python3
"""PyTorch's side of benchmarks/gpu/compare.py: answers each line of the standard input, a JSON object, with one, as
gpu-benchmark does. `mode` of "prepare" is

  eager    as one writes it, with a fused optimizer
  graph    the same, the whole step captured as a CUDA graph
  compile  network and loss by torch.compile (max-autotune), the whole step captured as a CUDA graph
"""

import argparse
import contextlib
import gc
import json
import os
import sys
import time

import torch
from torch.nn import functional

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "works"))
import networks  # noqa: E402

WARM_UP_OF_CAPTURE = 5  # PyTorch asks for three


class Refused(Exception):
    """What cannot be had here; the message says why."""


def set_precision(precision):
    """Products and convolutions of f32 values: both are a switch of the whole process."""
    torch.backends.cuda.matmul.allow_tf32 = precision != "fp32"
    torch.backends.cudnn.allow_tf32 = precision != "fp32"


def random_data(work, samples, device):
    """On the device. Images are kept channel by channel within each pixel, as their convolutions want them."""
    if work.text:
        return tuple(torch.randint(0, work.classes, (samples, *work.shape), device=device) for _ in range(2))
    shape = (work.shape[1], work.shape[2], work.shape[0]) if len(work.shape) == 3 else work.shape
    return torch.randn((samples, *shape), device=device), torch.randint(0, work.classes, (samples,), device=device)


def fused_optimizer(work, parameters, device, capturable):
    """The fused one where this PyTorch has it for this device, and whether it is."""
    how = {}
    if capturable and work.optimizer is networks.adamw:
        how["capturable"] = True
    if device.type == "cuda":
        with contextlib.suppress(TypeError, RuntimeError):
            return work.optimizer(parameters, fused=True, **how), True
    return work.optimizer(parameters, **how), False


class Training:
    def __init__(self, order, data, device):
        self.work = networks.WORKS[order["work"]]
        self.batch = order.get("batch") or self.work.batch
        self.precision = order["precision"]
        self.device = device
        self.inputs, self.labels = data
        self.graph = None
        self.notes = []
        self.model = self.work.make().to(device)
        if self.is_image():
            self.model = self.model.to(memory_format=torch.channels_last)
        mode = order["mode"]
        self.optimizer, fused = fused_optimizer(self.work, list(self.model.parameters()), device, mode != "eager")
        if not fused:
            self.notes.append("the optimizer is not fused")
        self.loss_of = self.plain_loss
        if mode == "compile":
            self.compile()
        self.warm_up(order.get("warm_up", 1))
        if mode != "eager":
            self.capture(mode)

    def is_image(self):
        return len(self.work.shape) == 3

    def plain_loss(self, inputs, labels):
        return functional.cross_entropy(self.model(inputs), labels)

    def compile(self):
        torch._dynamo.reset()
        self.loss_of = torch.compile(self.plain_loss, mode="max-autotune-no-cudagraphs", dynamic=False)

    def autocast(self):
        if self.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def step(self):
        rows = torch.randint(0, self.inputs.shape[0], (self.batch,), device=self.device)
        inputs, labels = self.inputs[rows], self.labels[rows].flatten()
        if self.is_image():
            inputs = inputs.permute(0, 3, 1, 2)  # no copy: it is channels_last then
        self.optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            loss = self.loss_of(inputs, labels)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def warm_up(self, steps):
        set_precision(self.precision)
        for _ in range(steps):
            self.step()
        self.finish()

    def capture(self, mode):
        if self.device.type != "cuda":
            raise Refused("CUDA graphs need a CUDA device")
        try:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(WARM_UP_OF_CAPTURE):
                    self.step()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            self.optimizer.zero_grad(set_to_none=True)
            with torch.cuda.graph(graph):
                self.loss = self.step()
            self.graph = graph
        except Exception as error:  # whatever a PyTorch cannot capture
            if mode != "compile":
                raise
            self.notes.append(f"compiled, but not captured as a graph: {first_line(error)}")
            torch.cuda.synchronize()

    def finish(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def run(self, steps):
        """Seconds by the device's events, and the last loss."""
        set_precision(self.precision)
        if self.device.type == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            loss = self.steps(steps)
            end.record()
            end.synchronize()
            return 1e-3 * begin.elapsed_time(end), loss.item()
        begin = time.perf_counter()
        loss = self.steps(steps)
        return time.perf_counter() - begin, loss.item()

    def steps(self, steps):
        if self.graph is not None:
            for _ in range(steps):
                self.graph.replay()
            return self.loss
        for _ in range(steps):
            loss = self.step()
        return loss


def first_line(error):
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"


class Bench:
    def __init__(self, device):
        self.device = device
        self.data = {}
        self.trainings = {}

    def machine(self):
        cuda = self.device.type == "cuda"
        return {"torch": torch.__version__, "torch_cuda": torch.version.cuda,
                "torch_cudnn": torch.backends.cudnn.version() if cuda else None,
                "compiles": hasattr(torch, "compile"),
                "device": torch.cuda.get_device_name() if cuda else "cpu"}

    def prepare(self, order):
        work, samples = order["work"], order["samples"]
        if (work, samples) not in self.data:  # of one work at a time
            self.data = {(work, samples): random_data(networks.WORKS[work], samples, self.device)}
        begin = time.perf_counter()
        before = torch.cuda.memory_allocated() if self.device.type == "cuda" else 0
        training = Training(order, self.data[work, samples], self.device)
        self.trainings[order["as"]] = training
        held = torch.cuda.memory_allocated() - before if self.device.type == "cuda" else 0
        return {"seconds": time.perf_counter() - begin, "held_bytes": held, "notes": training.notes}

    def answer(self, order):
        what = order["do"]
        if what == "machine":
            return self.machine()
        if what == "prepare":
            return self.prepare(order)
        if what == "run":
            seconds, loss = self.trainings[order["as"]].run(order["steps"])
            return {"seconds": seconds, "loss": loss}
        if what == "drop":
            self.trainings.pop(order["as"], None)
            gc.collect()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            return {}
        raise Refused(f"'{what}' is not among machine, prepare, run and drop")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    device = torch.device(parser.parse_args().device)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
    bench = Bench(device)
    answers, sys.stdout = sys.stdout, sys.stderr  # nothing else may come between
    for line in sys.stdin:
        try:
            answer = bench.answer(json.loads(line))
        except Refused as refusal:
            answer = {"error": str(refusal), "refused": True}
        except Exception as error:  # one work's failure is not the next one's
            answer = {"error": first_line(error)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
