#!/usr/bin/python3
"""How much sooner the last bracket of the quickstart study ends when idle crews join others.

    benchmarks/elastic/tail.py build/release/regatta [--crews 2]

Runs the quickstart, configs/fashion-mnist.yaml, less its first round: two brackets, of which the last, as in the whole
study, has 5 trials of 3 epochs, and the best goes on to 9. Twice in real processes, with `elastic: false` and without.
Prints the ratio of the times from the first start in the last bracket to the end of the last trial, beside the best ratio
that any division of the work could reach: the epochs of the first run from that start on, spread evenly over its crews.
Then the same from the moment at which a crew of the first run had nothing to do, and what the takeovers cost. The reports
of both runs are compared. Last, the whole quickstart study in the simulator, for more crews.
"""

import argparse
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile

CONFIG = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../configs/fashion-mnist.yaml"))
TWO_BRACKETS = {"search.stop.trials": "14"}  # 9 and 5


class Run:
    """What the events of a study say."""

    def __init__(self, folder, crews):
        with sqlite3.connect(f"file:{folder}/study.db?mode=ro", uri=True) as database:
            rows = database.execute("SELECT at_us, kind, body FROM regatta_events ORDER BY seq").fetchall()
        self.reports, self.takeovers = {}, []
        started, interrupted, running, last_bracket, epochs = {}, {}, set(), set(), []
        first = last = idle_from = None
        for at_us, kind, body in rows:
            at, body = at_us / 1e6, json.loads(body)
            if kind == "trial_proposed" and body["bracket"] == 1:
                last_bracket.add(body["trial"])
            elif kind == "attempt_started":
                first = at if first is None and body["trial"] in last_bracket else first
                running.add(body["attempt"])
                started[body["attempt"]] = (at, interrupted.pop(body["trial"], None))
                if len(running) == crews:
                    idle_from = None
            elif kind == "reported":
                self.reports[body["trial"], body["epoch"]] = dict(body["metrics"])
                epochs.append((at, body["seconds"]))
                began, before = started.pop(body["attempt"], (None, None))
                if before is not None:
                    self.takeovers.append((body["trial"], began - before, at - began - body["seconds"]))
            elif kind == "attempt_ended":
                running.discard(body["attempt"])
                last = at
                if body["outcome"] == "interrupted":
                    interrupted[body["trial"]] = at
                if idle_from is None:
                    idle_from = at
        self.total = last - first
        self.idle_from = idle_from - first
        self.work = sum(max(0, min(seconds, at - first)) for at, seconds in epochs)


def run(program, folder, crews, elastic):
    settings = {**TWO_BRACKETS, "resources.crews": crews, "resources.threads": 1,
                "resources.elastic": str(elastic).lower()}
    name = "elastic" if elastic else "rigid"
    arguments = [argument for key, value in settings.items() for argument in ("--set", f"{key}={value}")]
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    subprocess.run([program, "run", CONFIG, "--runs-dir", folder, "--name", name, *arguments], check=True,
                   env=environment, stdout=subprocess.DEVNULL)
    return Run(os.path.join(folder, name), crews)


def difference(one, other):
    """The largest of each metric, over all epochs of all trials; None where the runs trained others."""
    if set(one.reports) != set(other.reports):
        return None
    largest = {}
    for key, metrics in one.reports.items():
        for metric, value in metrics.items():
            largest[metric] = max(largest.get(metric, 0), abs(value - other.reports[key][metric]))
    return largest


def simulated(program, crews, elastic):
    done = subprocess.run([program, "simulate", CONFIG, "--crews", str(crews), "--epoch-seconds", "60",
                           "--set", f"resources.elastic={str(elastic).lower()}"],
                          check=True, capture_output=True, text=True)
    return (float(re.search(r"makespan .*\(([\d.]+) s\)", done.stdout)[1]),
            float(re.search(r"crew time\s+([\d.]+) % busy", done.stdout)[1]))


def compare_processes(program, crews):
    with tempfile.TemporaryDirectory() as folder:
        rigid, elastic = run(program, folder, crews, False), run(program, folder, crews, True)
    best = rigid.total / (rigid.work / crews)
    print(f"the last bracket, {crews} crews: {rigid.total:.1f} s -> {elastic.total:.1f} s, "
          f"{rigid.total / elastic.total:.2f} times sooner; at best {best:.2f} ({rigid.work:.1f} s of epochs "
          f"over {crews} crews)")
    tails = rigid.total - rigid.idle_from, elastic.total - rigid.idle_from
    print(f"from when a crew had nothing to do: {tails[0]:.1f} s -> {tails[1]:.1f} s, {tails[0] / tails[1]:.2f} times "
          f"sooner; at best {crews}")
    for trial, gap, begin in elastic.takeovers:
        print(f"takeover of trial {trial}: {gap:.2f} s between the two crews, then {begin:.2f} s beside training "
              "until its first report")
    largest = difference(rigid, elastic)
    if largest is None:
        sys.exit("the two runs did not train the same epochs")
    print("largest difference of any report: " + ", ".join(f"{name} {value:.2g}" for name, value in largest.items()))


def compare_simulations(program):
    print(f"\n{'crews':>6} {'makespan':>10} {'elastic':>10} {'ratio':>6} {'busy':>7} {'elastic':>8}   "
          "(simulated, epochs of a minute)")
    for crews in (2, 4, 8, 16):
        (rigid, busy), (elastic, busier) = (simulated(program, crews, grows) for grows in (False, True))
        print(f"{crews:>6} {rigid:>8.0f} s {elastic:>8.0f} s {rigid / elastic:>6.2f} {busy:>5.1f} % {busier:>6.1f} %")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--crews", type=int, default=2)
    arguments = parser.parse_args()
    program = os.path.abspath(arguments.program)
    compare_processes(program, arguments.crews)
    compare_simulations(program)


if __name__ == "__main__":
    main()
