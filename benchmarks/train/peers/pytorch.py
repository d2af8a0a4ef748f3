#!/usr/bin/python3
"""PyTorch's side of compare.py: the works of works.cc, trained so many steps for each line of the standard input.

Prints the bytes of a step, then wall and CPU seconds of each line. With RANK and WORLD_SIZE: DistributedDataParallel on gloo.
"""

import os
import sys
import time

import torch
from torch import distributed, nn

GLOBAL_BATCH = 256
SAMPLES = 8192


class Residual(nn.Module):
    def __init__(self, channels, filters, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters), nn.ReLU(),
            nn.Conv2d(filters, filters, 3, 1, 1, bias=False), nn.BatchNorm2d(filters))
        self.shortcut = nn.Sequential()
        if stride > 1 or channels != filters:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(),
                         nn.Linear(256, 10))


def tabular():
    return nn.Sequential(nn.Linear(54, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 7))


def cnn():
    return nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, 10))


def resnet():
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
                         Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2),
                         nn.AvgPool2d(8), nn.Flatten(), nn.Linear(64, 10))


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(28, 128, batch_first=True)
        self.dense = nn.Linear(128, 10)

    def forward(self, x):
        return self.dense(self.lstm(x)[0][:, -1])


class Attention(nn.Module):
    def __init__(self, features, heads, context):
        super().__init__()
        self.heads = heads
        self.in_proj = nn.Linear(features, 3 * features)
        self.out_proj = nn.Linear(features, features)
        self.hidden = torch.triu(torch.ones(context, context, dtype=torch.bool), 1)  # gloo sends no bool buffers

    def forward(self, x):
        rows, positions, features = x.shape
        query, key, value = (part.view(rows, positions, self.heads, -1).transpose(1, 2)
                             for part in self.in_proj(x).split(features, 2))
        scores = query @ key.transpose(2, 3) * (features // self.heads) ** -0.5
        mixed = scores.masked_fill(self.hidden, float("-inf")).softmax(3) @ value
        return self.out_proj(mixed.transpose(1, 2).reshape(x.shape))


class Added(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Transformer(nn.Module):
    def __init__(self, tokens=65, context=64, features=128, heads=4, depth=2):
        super().__init__()
        self.tokens = nn.Embedding(tokens, features)
        self.positions = nn.Parameter(torch.randn(context, features) * 0.02)
        blocks = []
        for _ in range(depth):
            blocks.append(Added(nn.LayerNorm(features), Attention(features, heads, context)))
            blocks.append(Added(nn.LayerNorm(features), nn.Linear(features, 4 * features), nn.GELU(),
                                nn.Linear(4 * features, features)))
        self.rest = nn.Sequential(*blocks, nn.LayerNorm(features), nn.Linear(features, tokens))

    def forward(self, x):
        return self.rest(self.tokens(x) + self.positions).flatten(0, 1)


# The network, the shape of a sample, classes.
WORKS = {"mlp": (mlp, (1, 28, 28), 10), "tabular": (tabular, (54,), 7),
         "cnn": (cnn, (1, 28, 28), 10), "resnet": (resnet, (3, 32, 32), 10),
         "lstm": (Lstm, (28, 28), 10), "transformer": (Transformer, (64,), 65)}


class Trainer:
    def __init__(self, make, data, batch, world):
        self.inputs, self.labels = data
        self.model = make()
        if world > 1:
            self.model = nn.parallel.DistributedDataParallel(self.model)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)
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

    make, shape, classes = WORKS[sys.argv[1]]
    if make is Transformer:
        data = torch.randint(0, classes, (SAMPLES, *shape)), torch.randint(0, classes, (SAMPLES, *shape))
    else:
        data = torch.randn((SAMPLES, *shape)), torch.randint(0, classes, (SAMPLES,))
    # A small batch first, so that the memory of a step is told without the libraries' own.
    Trainer(make, data, 2, world).train(2)
    with open("/proc/self/clear_refs", "w", encoding="ascii") as peak:
        peak.write("5")
    before = status_bytes("VmRSS")
    trainer = Trainer(make, data, GLOBAL_BATCH // world, world)
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
