#!/usr/bin/python3
"""Test accuracy on Fashion-MNIST after the same training by Regatta and by PyTorch, beside the noise of the seeds.

    benchmarks/train/accuracy.py build/release/regatta [--networks mlp cnn] [--seeds 3] [--epochs 3] [--limit N]

Both have the same network, initial weights (exported by Regatta), normalisation, batches without the incomplete last
one, optimizer and learning rate; the order of the data differs. One thread each. Speed must not cost accuracy: the difference should be within the noise, two standard errors.
"""

import argparse
import gzip
import json
import math
import os
import statistics
import struct
import subprocess
import sys
import tempfile

import numpy
import torch
from torch import nn

DATA = "/usr/share/datasets/fashion-mnist"
BATCH = 256
LEARNING_RATE = 0.05
MOMENTUM = 0.9

LAYERS = {
    "mlp": "[dense: 512, relu, dense: 256, relu, dense: 10]",
    "cnn": "[conv: 32, relu, max_pool: 2, conv: 64, relu, max_pool: 2, dense: 128, relu, dense: 10]",
}
EXPERIMENT = """\
name: accuracy
seed: {seed}
objective: {{maximize: train_accuracy}}
search: {{scheduler: {{type: fifo, max_epochs: {epochs}}}, stop: {{trials: 1}}}}
data: {{format: idx, path: {data}, validation: 0{limit}}}
model: {{layers: {layers}}}
train: {{batch_size: {batch}, optimizer: {{type: sgd, lr: {lr}, momentum: {momentum}}}}}
resources: {{crews: 1, ranks: 1, threads: 1}}
"""


def run_ours(regatta, network, seed, epochs, lr, limit):
    """The test accuracy, and the exported weights by name."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "accuracy.yaml"), "w", encoding="utf-8") as stream:
            stream.write(EXPERIMENT.format(
                seed=seed, epochs=epochs, data=DATA, layers=LAYERS[network], batch=BATCH, lr=lr,
                momentum=MOMENTUM, limit=f", limit: {limit}" if limit else ""))
        subprocess.run([regatta, "run", "accuracy.yaml"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with open(os.path.join(folder, "runs/accuracy/best/model.json"), encoding="utf-8") as stream:
            accuracy = json.load(stream)["metrics"]["test_accuracy"]
        with open(os.path.join(folder, "runs/accuracy/best/model.safetensors"), "rb") as stream:
            header = json.loads(stream.read(struct.unpack("<Q", stream.read(8))[0]))
            values = stream.read()
    weights = {}
    for name, tensor in header.items():
        if name != "__metadata__":
            begin, end = tensor["data_offsets"]
            numbers = numpy.frombuffer(values[begin:end], numpy.float32).reshape(tensor["shape"])
            weights[name] = torch.from_numpy(numbers.copy())
    return accuracy, weights


def train_ours(regatta, network, seed, options):
    return run_ours(regatta, network, seed, options.epochs, LEARNING_RATE, options.limit)[0]


def read_images(part):
    with gzip.open(f"{DATA}/{part}-images-idx3-ubyte.gz") as stream:
        images = numpy.frombuffer(stream.read(), numpy.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(f"{DATA}/{part}-labels-idx1-ubyte.gz") as stream:
        labels = numpy.frombuffer(stream.read(), numpy.uint8, offset=8)
    return torch.from_numpy(images.astype(numpy.float32)), torch.from_numpy(labels.astype(numpy.int64))


def torch_network(network, weights):
    if network == "mlp":
        layers = [nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10)]
    else:
        layers = [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1),
                  nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, 10)]
    counts = {"conv": 0, "dense": 0}
    for layer in layers:
        if hasattr(layer, "weight"):
            kind = "conv" if isinstance(layer, nn.Conv2d) else "dense"
            counts[kind] += 1
            layer.weight.data = weights[f"{kind}{counts[kind]}.weight"]
            layer.bias.data = weights[f"{kind}{counts[kind]}.bias"]
    return nn.Sequential(*layers)


def train_theirs(regatta, network, seed, options, data):
    torch.manual_seed(seed)
    (images, labels), (test_images, test_labels) = data
    if options.limit:
        chosen = torch.randperm(len(images))[: options.limit]
        images, labels = images[chosen], labels[chosen]
    mean, deviation = images.mean(), images.std(unbiased=False)
    # A rate of learning of zero leaves the initial weights as they are.
    model = torch_network(network, run_ours(regatta, network, seed, 1, 0, BATCH)[1])
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    criterion = nn.CrossEntropyLoss()
    for _ in range(options.epochs):
        order = torch.randperm(len(images))
        for step in range(len(images) // BATCH):
            rows = order[step * BATCH : (step + 1) * BATCH]
            optimizer.zero_grad()
            criterion(model((images[rows] - mean) / deviation), labels[rows]).backward()
            optimizer.step()
    right = 0
    with torch.no_grad():
        for begin in range(0, len(test_images), BATCH):
            outputs = model((test_images[begin : begin + BATCH] - mean) / deviation)
            right += int((outputs.argmax(1) == test_labels[begin : begin + BATCH]).sum())
    return right / len(test_images)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("regatta")
    parser.add_argument("--networks", nargs="+", choices=sorted(LAYERS), default=["mlp", "cnn"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--limit", type=int, help="train on so many samples only")
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error("the noise needs at least two seeds")
    regatta = os.path.abspath(options.regatta)
    torch.set_num_threads(1)
    data = (read_images("train"), read_images("t10k"))
    print(f"test accuracy after {options.epochs} epochs, {options.seeds} seeds: mean (standard deviation)")
    print(f"{'':<5}{'Regatta':>18}{'PyTorch':>18}{'difference':>12}{'noise':>9}")
    for network in options.networks:
        ours = [train_ours(regatta, network, seed, options) for seed in range(options.seeds)]
        theirs = [train_theirs(regatta, network, seed, options, data) for seed in range(options.seeds)]
        noise = 2 * math.sqrt((statistics.variance(ours) + statistics.variance(theirs)) / options.seeds)
        cells = [f"{statistics.mean(x):.4f} ({statistics.stdev(x):.4f})" for x in (ours, theirs)]
        difference = statistics.mean(ours) - statistics.mean(theirs)
        print(f"{network:<5}{cells[0]:>18}{cells[1]:>18}{difference:>+12.4f}{noise:>9.4f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
