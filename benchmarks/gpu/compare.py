#!/usr/bin/env python3
"""Training on one GPU, ours beside this machine's PyTorch, in turns within one run. Nothing is built.

    benchmarks/gpu/compare.py build/release [--json FILE] [--only mlp,cnn:bf16] [--minutes 8]

The program gpu-benchmark is looked for in the given folder (of a build, or of benchmarks/gpu/bundle), or is given
itself. PyTorch is that of the python3 that runs this. Both sides keep their data on the device and take times with the
device's events; a ratio is PyTorch's time over ours, the median over blocks that alternate, with its range. Plans,
captures and compilation are made before. What does not fit into the minutes is left out and named. With --device cpu
and the emulated program nothing is fast, but everything runs.
"""

import argparse
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from contestant import PREPARE_S, Contestant, in_turns, median_range, ratios
from side import Failed, Side

FOLDER = os.path.dirname(os.path.abspath(__file__))
PRECISIONS = ("fp32", "tf32", "bf16")
WORKS = {"mlp": PRECISIONS, "cnn": PRECISIONS, "resnet18": PRECISIONS, "lstm": PRECISIONS, "gpt": ("tf32", "bf16")}
# torch.compile takes long: these first, the others while there is time.
COMPILED_FIRST = ("mlp:tf32", "cnn:tf32", "resnet18:bf16", "gpt:bf16", "lstm:tf32")
DISSECTED = ("mlp:tf32", "cnn:tf32", "resnet18:bf16", "lstm:tf32", "gpt:bf16")
LANE_WORKS = ("mlp", "cnn")
LANES = (1, 8, 32, 64, 128)
SAMPLES = {"gpt": 8192}  # all others:
MOST_SAMPLES = 65536
WARM_UP = 20
COMPILE_S = 150
LAST_SECONDS = 5  # for writing and printing


class OutOfTime(Exception):
    pass


class Run:
    """What is measured, how long it may take, and what came out so far."""

    def __init__(self, options):
        self.options = options
        self.end = time.monotonic() + 60 * options.minutes - LAST_SECONDS
        logs = options.logs or tempfile.mkdtemp(prefix="gpu-benchmark-")
        os.makedirs(logs, exist_ok=True)
        self.ours = Side("gpu-benchmark", [find_program(options.program)], os.path.join(logs, "gpu-benchmark.log"))
        peer = [sys.executable, os.path.join(FOLDER, "peers", "pytorch.py"), "--device", options.device]
        self.torch = Side("PyTorch", peer, os.path.join(logs, "pytorch.log"))
        self.result = {"date": datetime.date.today().isoformat(), "command": " ".join(sys.argv), "machine": {},
                       "clocks": [], "ceilings": {}, "works": {}, "lanes": {}, "parts": {}, "left_out": []}

    def left(self):
        return self.end - time.monotonic()

    def need(self, seconds):
        if self.left() < seconds:
            raise OutOfTime

    def leave_out(self, what, why):
        self.result["left_out"].append({"what": what, "why": str(why)})
        print(f"  left out: {what}: {why}", flush=True)

    def save(self):
        if self.options.json:
            with open(self.options.json, "w", encoding="utf-8") as file:
                json.dump(self.result, file, indent=1)
                file.write("\n")

    def note_clocks(self, when):
        self.result["clocks"].append({"when": when, **nvidia_smi("clocks.sm,clocks.mem,temperature.gpu,power.draw")})


def find_program(path):
    for name in (path, os.path.join(path, "gpu-benchmark"), os.path.join(path, "benchmarks/gpu/cuda/gpu-benchmark")):
        if os.path.isfile(name):
            return os.path.abspath(name)
    sys.exit(f"there is no gpu-benchmark in {path}: build the target gpu-benchmark where CUDA is, or give the program")


def nvidia_smi(fields):
    if shutil.which("nvidia-smi") is None:
        return {}
    try:
        answer = subprocess.run(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"],
                                capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(fields.split(","), (value.strip() for value in answer.splitlines()[0].split(","))))


def order_of(run, work, precision, **more):
    samples = run.options.samples or SAMPLES.get(work, MOST_SAMPLES)
    order = {"work": work, "precision": precision, "samples": samples, **more}
    if run.options.batch:
        order["batch"] = run.options.batch
    return order


def ours_of(run, work, precision, lanes=1, **more):
    return Contestant(run, f"L{lanes}", run.ours, order_of(run, work, precision, lanes=lanes, **more))


def peer_of(run, work, precision, mode):
    return Contestant(run, mode, run.torch, order_of(run, work, precision, mode=mode),
                      COMPILE_S if mode == "compile" else PREPARE_S)


def compare_cell(run, work, precision, modes):
    """Ours against PyTorch's ways, one trial; the record of each."""
    peers = {mode: peer_of(run, work, precision, mode) for mode in modes}
    ours = ours_of(run, work, precision)
    everyone = [ours, *peers.values()]
    in_turns(run, everyone)
    run.note_clocks(f"after {work}:{precision}")
    print_cell(run, f"{work} {precision}", ours, peers)
    for contestant in everyone:
        contestant.drop()
    return {"ours": ours.record(), **{mode: peer.record() for mode, peer in peers.items()}}


def print_cell(run, name, ours, peers):
    if ours.failure:
        print(f"  {name:<15} ours: {ours.failure}")
    else:
        print(f"  {name:<15} ours {1e6 * ours.median():>9.1f} us{reached(run, ours, name.rsplit(' ', 1)[-1])}")
    for mode, peer in peers.items():
        if peer.failure:
            print(f"    {mode:<8} {peer.failure}")
            continue
        line = f"    {mode:<8} {1e6 * peer.median():>9.1f} us"
        if not ours.failure:
            line += f", ours is {median_range(ratios(peer.blocks, ours.blocks))} times as fast"
        print(line + "".join(f"; {note}" for note in peer.facts.get("notes", [])))
    sys.stdout.flush()


def reached(run, ours, precision):
    """What of the card's ceilings a step reaches, and how far it is from the larger of both floors."""
    rate, copy = run.result["ceilings"].get(precision), run.result["ceilings"].get("copy")
    if not rate or not copy:
        return ""
    of_rate = ours.facts["flops"] / ours.median() / rate
    of_copy = ours.facts["bytes"] / ours.median() / copy
    ours.facts["of_matrix_rate"], ours.facts["of_bandwidth"] = of_rate, of_copy
    tokens = f", {ours.facts['tokens'] / ours.median():.0f} tokens/s" if ours.facts["tokens"] else ""
    return f"{tokens}, {of_rate:.1%} of the matrix rate, {of_copy:.1%} of the bandwidth"


def look_at_machine(run):
    run.note_clocks("before")
    machine = run.result["machine"]
    machine.update(nvidia_smi("name,driver_version"))
    machine["python"] = sys.version.split()[0]
    for side in (run.ours, run.torch):
        try:
            machine[side.name] = side.ask(120, do="machine")
        except Failed as error:
            machine[side.name] = {"failure": str(error)}
    for name, facts in machine.items():
        print(f"  {name}: {facts}")
    if not run.result["clocks"][0].get("clocks.sm"):
        print("  clocks are not told: nvidia-smi is not here")


def measure_ceilings(run):
    sizes = {"copy_bytes": 1 << 16, "product_side": 16} if run.options.device == "cpu" else {}
    try:
        ceilings = run.result["ceilings"] = run.ours.ask(PREPARE_S, do="ceilings", **sizes)
    except Failed as error:
        run.leave_out("ceilings", error)
        return
    print(f"  copy {ceilings['copy'] / 1e12:.3g} TB/s; products "
          + ", ".join(f"{name} {ceilings[name] / 1e12:.3g}" for name in PRECISIONS) + " TFLOP/s", flush=True)


def single_cells(run, cells):
    for cell in cells:
        try:
            run.need(20)
            work, precision = cell.split(":")
            run.result["works"][cell] = compare_cell(run, work, precision, run.options.peers)
        except OutOfTime:
            run.leave_out(cell, "no time is left")
        run.save()


def compare_lanes(run, work, precision):
    """Trial-steps a second of lanes, against the same trials one after another: each peer's own rate."""
    key = f"{work}:{precision}"
    peers = {mode: peer_of(run, work, precision, mode) for mode in run.options.peers if mode != "compile"}
    ours = {}
    for lanes in run.options.lanes:
        if run.left() < 30:
            run.leave_out(f"{lanes} lanes of {key}", "no time is left")
        else:
            ours[lanes] = ours_of(run, work, precision, lanes)
    in_turns(run, [*peers.values(), *ours.values()])
    run.note_clocks(f"after lanes of {key}")
    run.result["lanes"][key] = {"ours": {lanes: one.record() for lanes, one in ours.items()},
                                **{mode: peer.record() for mode, peer in peers.items()}}
    alone = {"ours alone": ours[1]} if 1 in ours else {}
    for lanes, one in ours.items():
        if one.failure:
            print(f"  {work} {precision}, {lanes} lanes: {one.failure}")
            continue
        of_trial = [seconds / lanes for seconds in one.blocks]
        line = f"  {work} {precision}, {lanes:>3} lanes {1 / statistics.median(of_trial):>10.0f} trial-steps/s"
        for name, single in {**alone, **peers}.items():
            line += f", {name} ×{median_range(ratios(single.blocks, of_trial))}" if not single.failure else ""
        print(line)
    sys.stdout.flush()
    for contestant in [*peers.values(), *ours.values()]:
        contestant.drop()


def dissect(run, cells):
    for cell in cells:
        work, precision = cell.split(":")
        try:
            run.need(15)
            ours = ours_of(run, work, precision, parts=True)
            ours.attempt(lambda: run.result["parts"].update({cell: ours.ask("parts", run.options.part_steps)}))
            if ours.failure:
                run.leave_out(f"parts of {cell}", ours.failure)
            else:
                parts = {name: statistics.median(values) for name, values in run.result["parts"][cell].items()}
                whole = max(sum(parts.values()), 1e-12)
                print(f"  {work} {precision}: " + ", ".join(
                    f"{name} {1e6 * seconds:.1f} us ({seconds / whole:.0%})" for name, seconds in parts.items()))
            ours.drop()
        except OutOfTime:
            run.leave_out(f"parts of {cell}", "no time is left")
        run.save()


def compile_cells(run, cells):
    """PyTorch's compiler may take minutes or fail: each work by itself, with a limit, while time is left."""
    peer = run.result["machine"]["PyTorch"]
    if not peer.get("compiles"):
        run.leave_out("torch.compile", f"PyTorch {peer.get('torch', 'is not here and')} has no torch.compile")
        return
    for cell in sorted(cells, key=lambda cell: COMPILED_FIRST.index(cell) if cell in COMPILED_FIRST else 99):
        work, precision = cell.split(":")
        try:
            run.need(25)
            found = compare_cell(run, work, precision, ("compile",))
            run.result["works"].setdefault(cell, {}).update(compile=found["compile"], ours_beside_compile=found["ours"])
            if "failure" in found["compile"]:
                run.leave_out(f"torch.compile of {cell}", found["compile"]["failure"])
        except OutOfTime:
            run.leave_out(f"torch.compile of {cell}", "no time is left")
        run.save()


def chosen_cells(only):
    if not only:
        return [f"{work}:{precision}" for work, precisions in WORKS.items() for precision in precisions]
    cells = []
    for item in only.split(","):
        work, _, precision = item.partition(":")
        cells += [item] if precision else [f"{work}:{known}" for known in WORKS.get(work, PRECISIONS)]
    return cells


def whole_run(run):
    options = run.options
    cells = chosen_cells(options.only)
    print("machine")
    look_at_machine(run)
    print("ceilings")
    measure_ceilings(run)
    print("one trial, microseconds a step")
    single_cells(run, cells)
    print("lanes, and how many times the rate of the same trials one after another")
    for work, precision in (cell.split(":") for cell in cells):
        if work in options.lane_works.split(",") and precision in options.lane_precisions.split(","):
            compare_lanes(run, work, precision)
            run.save()
    print("parts of our step, medians")
    dissect(run, [cell for cell in cells if cell in DISSECTED or options.only])
    if options.compile:
        print("torch.compile (max-autotune) in a CUDA graph")
        compile_cells(run, cells)
    run.note_clocks("after")
    run.save()


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="gpu-benchmark, or the folder where it is")
    parser.add_argument("--json", metavar="FILE", help="write every block's figures there; renewed after each work")
    parser.add_argument("--only", metavar="WORK[:PRECISION],…", help=f"of {', '.join(WORKS)}")
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--logs", metavar="FOLDER", help="for what both sides say")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--lanes", default=",".join(map(str, LANES)))
    parser.add_argument("--lane-works", default=",".join(LANE_WORKS))
    parser.add_argument("--lane-precisions", default="tf32")
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.15, help="of a block")
    for name, default in (("least-steps", 3), ("warm-up", WARM_UP), ("part-steps", 30), ("batch", 0),
                          ("samples", 0)):
        parser.add_argument(f"--{name}", type=int, default=default, help=argparse.SUPPRESS)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.lanes = [int(lanes) for lanes in options.lanes.split(",")]
    options.peers = ("eager", "graph")
    return options


def main():
    run = Run(read_options())
    try:
        whole_run(run)
    finally:
        run.save()
        for side in (run.ours, run.torch):
            side.end()
    measured = [cell for cell, found in run.result["works"].items() if "failure" not in found.get("ours", {})]
    return 0 if measured else 1


if __name__ == "__main__":
    sys.exit(main())
