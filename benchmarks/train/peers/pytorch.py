#!/usr/bin/python3
"""PyTorch's side of compare.py: the works of networks.py, trained so many steps for each line of the standard input.

Prints the bytes of a step, then wall and CPU seconds of each line. With RANK and WORLD_SIZE: DistributedDataParallel on gloo.
"""

import os
import sys
import time

import torch
from torch import distributed, nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "works"))
import networks  # noqa: E402

GLOBAL_BATCH = 256
SAMPLES = 8192


class Trainer:
    def __init__(self, work, data, batch, world):
        self.inputs, self.labels = data
        self.model = work.make()
        if world > 1:
            self.model = nn.parallel.DistributedDataParallel(self.model)
        self.optimizer = work.optimizer(self.model.parameters())
        self.loss = nn.CrossEntropyLoss()
        self.batch = batch

    def train(self, steps):
        for _ in range(steps):
            rows = torch.randint(0, SAMPLES, (self.batch,))
            self.optimizer.zero_grad()
            self.loss(self.model(self.inputs[rows]), self.labels[rows].flatten()).backward()
            self.optimizer.step()


def status_bytes(key):
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(key + ":"))


def main():
    torch.set_num_threads(1)
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world > 1:
        distributed.init_process_group("gloo")

    def barrier():
        if world > 1:
            distributed.barrier()

    def tell(value):
        if rank == 0:
            print(value, flush=True)

    work = networks.WORKS[sys.argv[1]]
    if work.text:
        data = tuple(torch.randint(0, work.classes, (SAMPLES, *work.shape)) for _ in range(2))
    else:
        data = torch.randn((SAMPLES, *work.shape)), torch.randint(0, work.classes, (SAMPLES,))
    # A small batch first, so that the memory of a step is told without the libraries' own.
    Trainer(work, data, 2, world).train(2)
    with open("/proc/self/clear_refs", "w", encoding="ascii") as peak:
        peak.write("5")
    before = status_bytes("VmRSS")
    trainer = Trainer(work, data, GLOBAL_BATCH // world, world)
    trainer.train(5)
    tell(status_bytes("VmHWM") - before)
    for line in sys.stdin:
        barrier()
        begin, used = time.monotonic(), time.process_time()
        trainer.train(int(line))
        barrier()
        tell(f"{time.monotonic() - begin} {time.process_time() - used}")


if __name__ == "__main__":
    main()
