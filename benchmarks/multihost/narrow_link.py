#!/usr/bin/python3
"""What the 16-bit wire and the overlap with backward bring where the network is narrow: two hosts (network namespaces
of this machine), one rank on each, a link of 1 Gbit/s between them, beside the same link unnarrowed. Samples a second
for a global batch of 256; the ways are measured in turns, and ratios are medians over rounds, with their range.

    benchmarks/multihost/narrow_link.py build/release/benchmarks/train/train-benchmark [WORK …] [--json FILE]

Needs root. Both ranks share this machine's cores, as on two hosts they would not.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path[:0] = [os.path.join(ROOT, "tests", "multihost"), os.path.join(ROOT, "benchmarks", "train")]
from compare import Contestant, processor, spread  # noqa: E402
from hosts import Hosts, why_not  # noqa: E402

WAYS = (("fp32", "off"), ("fp32", "on"), ("bf16", "off"), ("bf16", "on"))
PAIRS = ((("bf16", "off"), ("fp32", "off")), (("fp32", "on"), ("fp32", "off")), (("bf16", "on"), ("bf16", "off")),
         (("bf16", "on"), ("fp32", "off")))
TUNING_STEPS = 40  # the way of overlapping is chosen within them


def set_rate(rate):
    """Of the link of each host, both ways; None: as fast as it is."""
    for number in (1, 2):
        device = f"regatta-o{number}"  # all that goes to the host goes out here
        subprocess.run(["tc", "qdisc", "delete", "dev", device, "root"], capture_output=True, check=False)
        if rate:
            subprocess.run(["tc", "qdisc", "add", "dev", device, "root", "tbf", "rate", rate, "burst", "1mbit",
                            "latency", "50ms"], check=True)


def start(hosts, program, work, way, folder):
    wire, overlap = way
    prefix = os.path.join(folder, f"{wire}-{overlap}-")
    pipes = [f"{prefix}{rank}" for rank in range(2)]
    for pipe in pipes:
        os.mkfifo(pipe)
    command = hosts.mpirun_command((1, 1), [program, work, "--wire", wire, "--overlap", overlap, "--ranks", prefix])
    return Contestant(f"{wire}, overlap {overlap}", [(command, hosts.environment(), None)], pipes=pipes)


def measure(hosts, program, work, options, folder):
    set_rate(options.rate)
    contestants = {way: start(hosts, program, work, way, folder) for way in WAYS}
    narrow = {way: [] for way in WAYS}
    free = {way: [] for way in WAYS}
    try:
        for contestant in contestants.values():
            contestant.steps = TUNING_STEPS
            contestant.aim(options.seconds)
        for _ in range(options.rounds):
            for rate, rates in ((options.rate, narrow), (None, free)):
                set_rate(rate)
                for way, contestant in contestants.items():
                    contestant.measure()
                    rates[way].append(contestant.rates[-1])
    finally:
        for contestant in contestants.values():
            contestant.end()
    return narrow, free


def tell(work, rate, narrow, free):
    print(work)
    for way in WAYS:
        print(f"  wire {way[0]}, overlap {way[1]:<4} {statistics.median(narrow[way]):>8.0f} samples/s at {rate}, "
              f"{statistics.median(free[way]):>8.0f} unnarrowed; narrowed / unnarrowed {spread(narrow[way], free[way])}")
    for over, under in PAIRS:
        print(f"  {'%s, overlap %s / %s, overlap %s' % (*over, *under):<42} at {rate} "
              f"{spread(narrow[over], narrow[under])}, unnarrowed {spread(free[over], free[under])}", flush=True)


def figures(rates):
    return {f"{wire}, overlap {overlap}": values for (wire, overlap), values in rates.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="train-benchmark")
    parser.add_argument("works", nargs="*", default=("mlp", "cnn"), metavar="WORK")
    parser.add_argument("--rate", default="1gbit", help="of the narrowed link")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1, help="of each way in each round")
    parser.add_argument("--json", metavar="FILE", help="write every round's figures there, too")
    options = parser.parse_args()
    if reason := why_not():
        sys.exit(f"cannot be measured here: {reason}")
    works = {}
    with Hosts(2) as hosts:
        for work in options.works:
            with tempfile.TemporaryDirectory() as folder:
                narrow, free = measure(hosts, os.path.abspath(options.program), work, options, folder)
            tell(work, options.rate, narrow, free)
            works[work] = {"narrowed": figures(narrow), "unnarrowed": figures(free)}
    if options.json:
        with open(options.json, "w", encoding="ascii") as file:
            json.dump({"date": datetime.date.today().isoformat(), "command": " ".join(sys.argv),
                       "processor": processor(), "cores": os.cpu_count(), "rate": options.rate,
                       "unit": "samples a second, a figure a round", "works": works}, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
