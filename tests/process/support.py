"""What the process tests share: the program, made data, small experiments, and cleaning up.

The program's path stands in the variable REGATTA. Every test works in a temporary folder of its own; what is
left of its processes is killed with it.
"""

import atexit
import contextlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import unittest

REGATTA = os.environ.get("REGATTA", "build/release/regatta")
TEMPORARY = tempfile.mkdtemp(prefix="regatta-temp-")  # what they claim there is not in the way of the user's studies
atexit.register(shutil.rmtree, TEMPORARY, ignore_errors=True)
ENVIRONMENT = {**os.environ, "TMPDIR": TEMPORARY, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
               "OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_MCA_btl_vader_single_copy_mechanism": "none"}

EXPERIMENT = """\
name: tiny
seed: 3
objective: {maximize: val_accuracy}
search:
  sampler: random
  scheduler: {type: fifo, max_epochs: 3}
  stop: {trials: 6}
space:
  lr: {float: [0.01, 0.3], log: true}
  width: {int: [4, 16]}
data: {format: csv, path: made.csv, target: kind, validation: 0.2, test: 0.2}
model:
  layers:
    - dense: $width
    - relu
    - dense: 3
train: {optimizer: {type: sgd, lr: $lr}, batch_size: 16}
resources: {crews: 1, ranks: 1, threads: 1}
"""


# A study of so many trials runs until it is ended from outside, however fast the machine is.
ENDLESS = 1_000_000


def endless(experiment):
    return re.sub(r"trials: \d+", f"trials: {ENDLESS}", experiment)


def make_csv(path, rows=240, features=4):
    """Three overlapping clouds of points."""
    numbers = random.Random(7)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(",".join(f"x{i}" for i in range(features)) + ",kind\n")
        for row in range(rows):
            kind = row % 3
            values = [numbers.gauss(kind if i % 3 == kind else 0, 1) for i in range(features)]
            stream.write(",".join(f"{value:.4f}" for value in values) + f",{'abc'[kind]}\n")


def processes_of(folder):
    """{process id: command line} of running processes that have the folder in their command line."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                with open(f"/proc/{entry}/cmdline", encoding="utf-8", errors="replace") as stream:
                    line = stream.read().replace("\0", " ")
            except OSError:
                continue
            if folder in line:
                found[int(entry)] = line
    return found


def wait_until(condition, seconds, what):
    """Polls; the condition's value once it is true. Fails the test after the limit."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {seconds} s")


def why_no_other_host():
    """Why as_host() does not work here, or None."""
    made = subprocess.run(["unshare", "--uts", "true"], capture_output=True, text=True, check=False)
    return None if made.returncode == 0 else f"no host names for single processes: {made.stderr.strip()}"


def as_host(name):
    """The prefix of a command that takes itself to be on a host of this name."""
    return ("unshare", "--uts", "sh", "-c", f'hostname {name}; exec "$@"', "sh")


class StudyCase(unittest.TestCase):
    """A test with a folder that holds made.csv, exp.yaml and the studies under runs/."""

    undisturbed_trials = {}  # by experiment, of all tests: a longer study begins with the trials of a shorter one

    def setUp(self):
        self.started = []
        self.folder = tempfile.mkdtemp(prefix="regatta-test-")
        self.addCleanup(self.clean_up)
        make_csv(self.path("made.csv"))
        self.write("exp.yaml", EXPERIMENT)

    def clean_up(self):
        for _ in range(3):
            for process in processes_of(self.folder):
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.05)
        for process in self.started:
            process.kill()
            process.stdout.close()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as stream:
            stream.write(text)

    def regatta(self, *arguments, code=0, timeout=120, prefix=()):
        """Runs to the end; checks the exit code."""
        done = subprocess.run([*prefix, REGATTA, *arguments], cwd=self.folder, env=ENVIRONMENT, text=True,
                              capture_output=True, timeout=timeout, check=False)
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done

    def start(self, *arguments, prefix=()):
        # The folder in the command line lets processes_of() find it.
        runs = ("--runs-dir", self.path("runs")) if arguments[0] == "run" else ()
        return self.start_process([*prefix, REGATTA, *arguments, *runs])

    def start_process(self, command):
        """Killed, if it still runs, and closed at the end of the test."""
        process = subprocess.Popen(command, cwd=self.folder, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        self.started.append(process)
        return process

    def finish(self, process, code=0, timeout=120):
        output, _ = process.communicate(timeout=timeout)
        self.assertEqual(process.returncode, code, output)
        return output

    def trials(self, run="runs/tiny"):
        return json.loads(self.regatta("trials", self.path(run), "--json").stdout)

    def best(self, run="runs/tiny"):
        return json.loads(self.regatta("best", self.path(run), "--json").stdout)

    def database(self, run="runs/tiny"):
        return sqlite3.connect(f"file:{self.path(run, 'study.db')}?mode=ro", uri=True, timeout=30)

    def ended_trials(self, run="runs/tiny"):
        """As any viewer of the file sees them, while the study runs; 0 before there is a file."""
        try:
            with contextlib.closing(self.database(run)) as database:
                query = "SELECT count(*) FROM trials WHERE state IN ('COMPLETE', 'PRUNED', 'FAIL')"
                return database.execute(query).fetchone()[0]
        except sqlite3.Error:
            return 0

    def events(self, kind, run="runs/tiny"):
        """The stored facts of one kind, in order."""
        try:
            with contextlib.closing(self.database(run)) as database:
                query = "SELECT body FROM regatta_events WHERE kind = ? ORDER BY seq"
                return [json.loads(body) for (body,) in database.execute(query, (kind,))]
        except sqlite3.Error:
            return []

    def outcomes(self, run="runs/tiny"):
        """Of all attempts that have ended: complete, lost, …"""
        return [event["outcome"] for event in self.events("attempt_ended", run)]

    def exists(self, *parts):
        return os.path.exists(self.path(*parts))

    def wait_for_ended(self, count, run="runs/tiny", seconds=60):
        wait_until(lambda: self.ended_trials(run) >= count, seconds, f"{count} ended trials")

    def workers(self):
        """Process ids of the ranks of all crews, the mpiruns left out."""
        return sorted(process for process, line in processes_of(self.folder).items()
                      if " worker " in line and not line.startswith("mpirun"))

    def hold_crew(self):
        """Stops the study's only crew, so that the study does not end meanwhile; returns a call that lets it go on.
        After 30 s, its lease, its trial would be another's."""
        crew = wait_until(self.workers, 60, "a crew")
        for process in crew:
            os.kill(process, signal.SIGSTOP)

        def let_go():
            for process in crew:
                os.kill(process, signal.SIGCONT)
        return let_go

    def kill_crew(self):
        """One rank of a crew that is at work, or just started anew."""
        self.wait_for_ended(self.ended_trials() + 1)
        os.kill(wait_until(self.workers, 60, "a crew")[-1], signal.SIGKILL)

    def kill(self, process):
        process.kill()
        process.communicate()

    def interrupt(self, process, number=signal.SIGINT):
        process.send_signal(number)
        return self.finish(process, code=130)

    def go_on(self, run="runs/tiny", more=4):
        """Resumes a study that would not end by itself until it has some more trials, and compares these with
        those of one that nothing disturbed."""
        count = self.ended_trials(run) + more
        output = self.regatta("resume", self.path(run), "--set", f"search.stop.trials={count}").stdout
        self.assertIn("finished", output)
        trials = self.trials(run)
        self.assertGreaterEqual(len(trials), count)
        self.assert_same_trials(trials, self.undisturbed(len(trials)))
        return output

    def undisturbed(self, count, file="exp.yaml"):
        """The first trials of the experiment, as they are where nothing happens to the study."""
        with open(self.path(file), encoding="utf-8") as stream:
            known = (stream.read(), os.path.getsize(self.path("made.csv")))
        if len(self.undisturbed_trials.get(known, [])) < count:
            shutil.rmtree(self.path("runs", "undisturbed"), ignore_errors=True)
            self.regatta("run", file, "--name", "undisturbed", "--runs-dir", self.path("runs"), "--set",
                         f"search.stop.trials={count}")
            self.undisturbed_trials[known] = self.trials("runs/undisturbed")
        return self.undisturbed_trials[known][:count]

    def assert_ended_as_undisturbed(self, run="runs/tiny", file="exp.yaml"):
        """Of a study that was ended from outside: nothing was counted twice, and what has ended is as it is where
        nothing happens."""
        trials = self.trials(run)
        self.assertEqual([trial["trial"] for trial in trials], list(range(len(trials))))
        others = self.undisturbed(len(trials), file)
        for mine, other in zip(trials, others, strict=True):
            if mine["state"] == "complete":
                for key in ("parameters", "value", "epochs"):
                    self.assertEqual(mine[key], other[key], f"trial {mine['trial']}: {key}")

    def assert_same_trials(self, ours, others):
        """The same numbers, points, states and values: nothing was lost and nothing counted twice."""
        self.assertEqual([t["trial"] for t in ours], list(range(len(others))))
        for mine, other in zip(ours, others):
            for key in ("trial", "parameters", "state", "value", "epochs"):
                self.assertEqual(mine[key], other[key], f"trial {mine['trial']}: {key}")


def read_safetensors(path):
    """{name: (shape, floats as bytes)}; https://huggingface.co/docs/safetensors"""
    with open(path, "rb") as stream:
        data = stream.read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        assert entry["dtype"] == "F32", entry
        tensors[name] = (entry["shape"], data[8 + length + begin:8 + length + end])
    return tensors


def main():
    """Runs the tests; exits with 77, a skip, when all of them were skipped, and says why."""
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun > 0 and len(result.skipped) == result.testsRun:
        for case, reason in result.skipped:
            print(f"skipped: {case}: {reason}")
        sys.exit(77)
