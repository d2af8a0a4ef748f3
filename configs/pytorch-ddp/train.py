#!/usr/bin/python3
"""Trains a small network on handwritten digits with DistributedDataParallel, as one trial of a study.

What makes a script a trial is marked with (1) to (3); the rest is ordinary PyTorch.
"""
import argparse
import json
import os
import pathlib
import sys

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch.nn.parallel import DistributedDataParallel

GLOBAL_BATCH = 64
VALIDATION_SAMPLES = 360
MAX_EPOCHS = 1000  # the scheduler ends a trial long before


def state_file(epoch):
    return pathlib.Path(os.environ["REGATTA_CHECKPOINT_DIR"]) / f"epoch-{epoch:03}.pt"


def save(epoch, model, optimizer):
    """Written beside the target and renamed: killed at any moment, the file is whole or not there."""
    draft = state_file(epoch).with_suffix(".tmp")
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, draft)
    draft.rename(state_file(epoch))


def forget_states_before(epoch):
    for state in state_file(epoch).parent.glob("epoch-*.pt"):
        if int(state.stem.removeprefix("epoch-")) < epoch:
            state.unlink()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--lr", type=float, required=True)
    arguments.add_argument("--width", type=int, required=True)
    arguments.add_argument("--momentum", type=float, default=0)
    options = arguments.parse_args()

    dist.init_process_group("gloo")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(int(os.environ["REGATTA_SEED"]) % 2**63)

    digits = load_digits()
    inputs = torch.tensor(digits.data, dtype=torch.float32) / 16
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(0))
    validation, training = order[:VALIDATION_SAMPLES], order[VALIDATION_SAMPLES:]

    network = torch.nn.Sequential(
        torch.nn.Linear(64, options.width), torch.nn.ReLU(), torch.nn.Linear(options.width, 10))
    model = DistributedDataParallel(network)
    optimizer = torch.optim.SGD(model.parameters(), lr=options.lr, momentum=options.momentum)
    loss_function = torch.nn.CrossEntropyLoss()

    # (1) Go on from the last epoch whose report counts; 0 means from the start.
    epoch = int(os.environ["REGATTA_RESUME_EPOCH"])
    if epoch > 0:
        state = torch.load(state_file(epoch))
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    # Later states stay: the next start may name any epoch from this one on, not only the last reported.
    if rank == 0:
        forget_states_before(epoch)

    while epoch < MAX_EPOCHS:
        shuffled = training[torch.randperm(len(training), generator=torch.Generator().manual_seed(epoch))]
        model.train()
        for first in range(0, len(shuffled) - GLOBAL_BATCH + 1, GLOBAL_BATCH):
            mine = shuffled[first:first + GLOBAL_BATCH][rank::ranks]
            optimizer.zero_grad()
            loss_function(model(inputs[mine]), labels[mine]).backward()
            optimizer.step()
        epoch += 1

        model.eval()
        with torch.no_grad():
            outputs = model(inputs[validation])
            val_loss = loss_function(outputs, labels[validation]).item()
            val_accuracy = (outputs.argmax(1) == labels[validation]).float().mean().item()

        # (2) Save, then report one JSON line; rank 0's reports count.
        if rank == 0:
            save(epoch, model, optimizer)
            report = {"epoch": epoch, "val_loss": val_loss, "val_accuracy": val_accuracy}
            print(json.dumps(report), flush=True)

        # (3) Every rank reads the answer: "continue", "stop" or "pause".
        answer = sys.stdin.readline()
        if not answer or json.loads(answer)["decision"] != "continue":
            break

    dist.destroy_process_group()


if __name__ == "__main__":
    main()
