#!/usr/bin/python3
"""The simulator's prediction beside a real coordinator with real crews, in one go: programs that sleep.

    benchmarks/coordinator/confirm.py build/release [--crews 16] [--trials 608] [--seconds 1] [--json FILE]

1. coordinator-benchmark measures what the coordinator's own work takes, on the file system of --folder.
2. One crew runs a few trials alone: what a trial takes beyond its sleep, less what the simulator knows of the
   coordinator, is the start of a program (--start-seconds).
3. `regatta simulate` predicts the whole study, and `regatta run` runs it.

Makespans count from the first attempt's start to the last one's end. The overhead of a trial is the mean time
between two reports of a crew, less the sleep.
"""

import argparse
import glob
import json
import os
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile

EXPERIMENT = """\
name: sleepers
objective: {{minimize: loss}}
search: {{sampler: random, scheduler: {{type: fifo, max_epochs: 1}}, stop: {{trials: {trials}}}}}
space: {{x: {{float: [0.1, 1]}}}}
command: [sh, -c, "sleep {seconds}; echo '{{\\"epoch\\": 1, \\"loss\\": $x}}'"]
resources: {{crews: {crews}, ranks: 1, threads: 1}}
"""
ALONE = 20  # trials of the crew that is alone


def measured_costs(build, folder, trials):
    program = os.path.join(build, "benchmarks/coordinator/coordinator-benchmark")
    output = subprocess.run([program, "--folder", os.path.join(folder, "costs"), "--crews", "128", "--trials",
                             str(trials)], check=True, capture_output=True, text=True).stdout
    print(output)
    return next(line for line in output.splitlines() if line.startswith("--")).split()


def run(build, folder, name, **sizes):
    """(makespan, overhead of a trial) in seconds, from the times of the events."""
    file = os.path.join(folder, name + ".yaml")
    with open(file, "w", encoding="utf-8") as stream:
        stream.write(EXPERIMENT.format(**sizes))
    runs = os.path.join(folder, "runs-" + name)
    subprocess.run([os.path.join(build, "regatta"), "run", file, "--runs-dir", runs], check=True,
                   stdout=subprocess.DEVNULL)
    crews, last, cycles, times = {}, {}, [], []
    with sqlite3.connect(glob.glob(runs + "/*/study.db")[0]) as database:
        for at, kind, body in database.execute("SELECT at_us, kind, body FROM regatta_events ORDER BY seq"):
            event = json.loads(body)
            if kind == "attempt_started":
                crews[event["attempt"]] = event["crew"]
                times.append(at)
            elif kind == "reported":
                crew = crews[event["attempt"]]
                if crew in last:
                    cycles.append((at - last[crew]) / 1e6)
                last[crew] = at
                times.append(at)
    return (times[-1] - times[0]) / 1e6, statistics.mean(cycles) - sizes["seconds"]


def simulated(build, folder, name, costs, start, sizes):
    """The same of the simulator."""
    output = subprocess.run([os.path.join(build, "regatta"), "simulate", os.path.join(folder, name + ".yaml"),
                             "--epoch-seconds", str(sizes["seconds"]), "--epoch-spread", "0", "--start-seconds",
                             f"{start:.6f}", *costs], check=True, capture_output=True, text=True).stdout
    makespan = float(re.search(r"makespan .*\(([0-9.]+) s\)", output).group(1))
    return makespan, makespan * sizes["crews"] / sizes["trials"] - sizes["seconds"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", help="the build's folder")
    parser.add_argument("--crews", type=int, default=16)
    parser.add_argument("--trials", type=int, default=608)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--folder", help="for the studies; else a temporary one")
    parser.add_argument("--json", help="a file for the figures")
    options = parser.parse_args()
    build = os.path.abspath(options.build)
    sizes = {"crews": options.crews, "trials": options.trials, "seconds": options.seconds}
    alone = {"crews": 1, "trials": ALONE, "seconds": options.seconds}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        costs = measured_costs(build, folder, 2000)
        _, alone_overhead = run(build, folder, "alone", **alone)
        _, known = simulated(build, folder, "alone", costs, 0, alone)
        start = max(0, alone_overhead - known)
        print(f"one crew alone: {1000 * alone_overhead:.2f} ms a trial beyond its sleep, of which the coordinator "
              f"{1000 * known:.2f} ms and the start of a program {1000 * start:.2f} ms")
        makespan, overhead = run(build, folder, "together", **sizes)
        predicted, predicted_overhead = simulated(build, folder, "together", costs, start, sizes)
    ideal = sizes["trials"] * sizes["seconds"] / sizes["crews"]
    print(f"{sizes['crews']} crews, {sizes['trials']} trials of {sizes['seconds']:g} s: at best {ideal:.2f} s")
    print(f"{'':<26}{'predicted':>10}{'measured':>10}{'ratio':>7}")
    print(f"{'makespan, s':<26}{predicted:>10.3f}{makespan:>10.3f}{predicted / makespan:>7.3f}")
    print(f"{'overhead of a trial, ms':<26}{1000 * predicted_overhead:>10.2f}{1000 * overhead:>10.2f}"
          f"{predicted_overhead / overhead:>7.2f}")
    print(f"overhead: {100 * overhead / sizes['seconds']:.2f} % of the ideal")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as stream:
            json.dump({"command": sys.argv, "sizes": sizes, "costs": " ".join(costs), "start_seconds": start,
                       "alone_overhead_seconds": alone_overhead, "ideal_seconds": ideal,
                       "predicted": {"makespan_seconds": predicted, "overhead_seconds": predicted_overhead},
                       "measured": {"makespan_seconds": makespan, "overhead_seconds": overhead}}, stream, indent=2)
            stream.write("\n")


if __name__ == "__main__":
    main()
