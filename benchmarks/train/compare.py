#!/usr/bin/python3
"""Training speed and memory, ours beside PyTorch's, in turns within one run: samples a second for a global batch of
256, one core and one thread a process. Ratios are medians over rounds, with their range; a round measures every way
once. Where others use the machine, look at the ratios by CPU time (of one rank, its input thread included).

    benchmarks/train/compare.py build/release/benchmarks/train/train-benchmark [WORK …] [--rounds N] [--seconds S]
"""

import argparse
import datetime
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile

FOLDER = os.path.dirname(os.path.abspath(__file__))
WORKS = ("mlp", "tabular", "cnn", "resnet", "lstm", "transformer")
GLOBAL_BATCH = 256


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Contestant:
    """Processes that train so many steps for each line that they are sent: through the standard input, or, where
    mpirun stands between, through a pipe of each rank in a folder."""

    def __init__(self, name, commands, trials=1, pipes=()):
        self.name = name
        self.trials = trials  # that one step serves
        self.processes = [subprocess.Popen(command, env={**os.environ, **env}, stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE, text=True, start_new_session=True,
                                           preexec_fn=lambda core=core: core is None or os.sched_setaffinity(0, {core}))
                          for command, env, core in commands]
        self.orders = [open(pipe, "w", encoding="ascii") for pipe in pipes] or [p.stdin for p in self.processes]
        self.bytes = int(self.read())
        self.steps = 10
        self.rates = []
        self.cpu_rates = []

    def read(self):
        line = self.processes[0].stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended without an answer")
        return line

    def burst(self):
        for order in self.orders:
            order.write(f"{self.steps}\n")
            order.flush()
        return [float(text) for text in self.read().split()]

    def aim(self, seconds):
        self.steps = max(3, round(self.steps * seconds / self.burst()[1]))

    def measure(self):
        wall, cpu = self.burst()
        samples = GLOBAL_BATCH * self.trials * self.steps
        self.rates.append(samples / wall)
        self.cpu_rates.append(samples / cpu)

    def end(self):
        for order in self.orders:
            order.close()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def ours(name, program, work, extra=(), trials=1):
    return Contestant(name, [([program, work, *extra], {}, 0)], trials)


def ours_on_ranks(name, program, work, folder, extra=()):
    # Every rank reads the lines, because a rank that waits for another's word would use its core meanwhile.
    prefix = os.path.join(folder, "rank")
    pipes = [f"{prefix}{rank}" for rank in range(2)]
    for pipe in pipes:
        os.mkfifo(pipe)
    command = ["mpirun", "-n", "2", "--bind-to", "core", program, work, "--ranks", prefix, *extra]
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return Contestant(name, [(command, root, None)], pipes=pipes)


def torch(name, work, ranks=1):
    command = ["/usr/bin/python3", os.path.join(FOLDER, "peers", "pytorch.py"), work]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "OMP_NUM_THREADS": "1"}
    return Contestant(name, [(command, {**place, "RANK": str(rank), "WORLD_SIZE": str(ranks)}, rank)
                             for rank in range(ranks)])


def spread(over, under):
    ratios = sorted(a / b for a, b in zip(over, under))
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} … {ratios[-1]:.2f})"


def ratio(over, under):
    return (f"{over.name + ' / ' + under.name:<28} {spread(over.rates, under.rates)}, "
            f"by CPU time {spread(over.cpu_rates, under.cpu_rates)}")


def contestants_for(program, work, options, folder):
    contestants = {
        "fp32": ours("ours", program, work),
        "torch": torch("PyTorch", work),
    }
    if options.bf16:
        contestants["bf16"] = ours("ours, bf16", program, work, ("--precision", "bf16"))
    if not options.single:
        contestants["ranks"] = ours_on_ranks("ours, 2 ranks", program, work, folder)
        contestants["ddp"] = torch("DDP, 2 ranks", work, 2)
    if options.lanes > 1:
        contestants["lanes"] = ours(f"ours, {options.lanes} lanes", program, work, ("--lanes", str(options.lanes)),
                                    options.lanes)
    return contestants


def compare(program, work, options, folder):
    contestants = contestants_for(program, work, options, folder)
    try:
        for contestant in contestants.values():
            contestant.aim(options.seconds)
        for _ in range(options.rounds):
            for contestant in contestants.values():
                contestant.measure()
    finally:
        for contestant in contestants.values():
            contestant.end()
    print(f"{work}")
    for contestant in contestants.values():
        low, high = min(contestant.rates), max(contestant.rates)
        print(f"  {contestant.name:<16} {statistics.median(contestant.rates):>9.0f} samples/s "
              f"({low:.0f} … {high:.0f}), {contestant.bytes / 2**20:.1f} MiB a step")
    pairs = [("fp32", "torch"), ("bf16", "torch"), ("bf16", "fp32"), ("ranks", "fp32"), ("ranks", "ddp"), ("ddp", "torch"), ("lanes", "fp32")]
    for over, under in pairs:
        if over in contestants and under in contestants:
            print(f"  {ratio(contestants[over], contestants[under])}")
    print(f"  memory, ours / PyTorch: {contestants['fp32'].bytes / contestants['torch'].bytes:.2f}", flush=True)
    return {key: {"name": contestant.name, "samples_per_second": contestant.rates,
                  "samples_per_cpu_second": contestant.cpu_rates, "step_bytes": contestant.bytes}
            for key, contestant in contestants.items()}


def processor():
    with open("/proc/cpuinfo", encoding="ascii") as info:
        return next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), "unknown")


def write_results(path, works):
    torch_version = subprocess.run(["/usr/bin/python3", "-c", "import torch; print(torch.__version__)"],
                                   capture_output=True, text=True, check=True).stdout.strip()
    with open(path, "w", encoding="ascii") as file:
        json.dump({"date": datetime.date.today().isoformat(), "command": " ".join(sys.argv), "processor": processor(),
                   "cores": os.cpu_count(), "torch": torch_version, "works": works}, file, indent=1)
        file.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="train-benchmark")
    parser.add_argument("works", nargs="*", default=WORKS, metavar="WORK", help=f"of {', '.join(WORKS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1, help="of each way in each round")
    parser.add_argument("--single", action="store_true", help="one process only")
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--lanes", type=int, default=8, help="trials in one engine against as many alone")
    parser.add_argument("--json", metavar="FILE", help="write every round's figures there, too")
    options = parser.parse_args()
    works = {}
    for work in options.works:
        with tempfile.TemporaryDirectory() as folder:
            works[work] = compare(os.path.abspath(options.program), work, options, folder)
    if options.json:
        write_results(options.json, works)


if __name__ == "__main__":
    main()
