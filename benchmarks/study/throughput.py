#!/usr/bin/python3
"""Trials per second of whole durable studies with a trivial objective: the study's events and Optuna's tables in
SQLite, random search, one value a trial looked up in a table (docs/experiment.md, `table`).

    benchmarks/study/throughput.py build/release/regatta [TRIALS]

Prints CPU time beside wall time: on a busy machine the first tells what the program costs.
"""

import os
import random
import resource
import subprocess
import sys
import tempfile
import time

EXPERIMENT = """\
objective: {{minimize: loss}}
search: {{sampler: random, stop: {{trials: {trials}}}}}
space:
  a: {{float: [0, 1]}}
  b: {{float: [0, 1]}}
  c: {{float: [0, 1]}}
  d: {{float: [0, 1]}}
  e: {{float: [0, 1]}}
table: {{path: points.csv, values: v1, repeat: true}}
resources: {{crews: {crews}}}
"""


def main():
    program = os.path.abspath(sys.argv[1])
    trials = int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
    print(f"{'crews':>5} {'trials':>8} {'wall s':>8} {'CPU s':>8} {'trials/s wall':>14} {'trials/s CPU':>13}")
    for crews in (1, 8):
        with tempfile.TemporaryDirectory() as folder:
            numbers = random.Random(1)
            with open(os.path.join(folder, "points.csv"), "w", encoding="utf-8") as stream:
                stream.write("a,b,c,d,e,v1\n")
                for _ in range(100):
                    point = [numbers.random() for _ in range(5)]
                    stream.write(",".join(f"{x:.6f}" for x in [*point, sum((x - 0.3) ** 2 for x in point)]) + "\n")
            file = os.path.join(folder, "throughput.yaml")
            with open(file, "w", encoding="utf-8") as stream:
                stream.write(EXPERIMENT.format(trials=trials, crews=crews))
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
            subprocess.run([program, "run", file, "--runs-dir", os.path.join(folder, "runs")], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(f"{crews:>5} {trials:>8} {wall:>8.2f} {cpu:>8.2f} {trials / wall:>14.0f} {trials / cpu:>13.0f}")


if __name__ == "__main__":
    main()
