"""Which CPUs the ranks of real crews run on, as Linux tells. Needs two CPUs, and nobody else who binds threads."""

import json
import os
import shutil
import subprocess
import unittest

from support import ENVIRONMENT, REGATTA, StudyCase, main, wait_until

CPUS = sorted(os.sched_getaffinity(0))[:2]
ON_TWO = ("taskset", "-c", ",".join(map(str, CPUS)))

# A rank's program: leaves word of what it has inherited.
PROGRAM = """\
import json, os
seen = {"cpus": sorted(os.sched_getaffinity(0)), "threads": os.environ["OMP_NUM_THREADS"]}
with open(f"seen-{os.environ['RANK']}.json", "w") as stream:
    json.dump(seen, stream)
print(json.dumps({"epoch": 1, "loss": 1.0}))
"""
EXPERIMENT = """\
name: program
objective: {minimize: loss}
search: {sampler: random, stop: {trials: 1}}
space: {lr: {float: [0.1, 1]}}
command: [/usr/bin/python3, program.py, $lr]
"""


def allowed_of_main(process):
    """Of the process's first thread; those of MPI are older than the division."""
    try:
        return sorted(os.sched_getaffinity(process))
    except ProcessLookupError:
        return []


def allowed(process):
    """Of each of the process's threads."""
    sets = []
    for thread in os.listdir(f"/proc/{process}/task"):
        with open(f"/proc/{process}/task/{thread}/status", encoding="utf-8") as stream:
            line = next(line for line in stream if line.startswith("Cpus_allowed_list:"))
        cpus = []
        for part in line.split()[1].split(","):
            first, _, last = part.partition("-")
            cpus += range(int(first), int(last or first) + 1)
        sets.append(cpus)
    return sets


def cpu_limit():
    """Cores that the container has time for, or that Slurm gave, where there is a limit."""
    if "SLURM_CPUS_ON_NODE" in os.environ:
        return int(os.environ["SLURM_CPUS_ON_NODE"])
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="utf-8") as stream:
            quota, period = stream.read().split()
        return None if quota == "max" else -(-int(quota) // int(period))
    except OSError:
        return None


BOUND_BY_OTHERS = [name for name in ("OMP_PLACES", "OMP_PROC_BIND", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")
                   if name in ENVIRONMENT]


@unittest.skipIf(len(CPUS) < 2 or (cpu_limit() or 2) < 2, "one CPU: there is nothing to choose from")
@unittest.skipIf(BOUND_BY_OTHERS, f"threads are bound already, by {BOUND_BY_OTHERS}")
class RanksOfCrews(StudyCase):
    def wait_for_cpus(self, expected):
        """Until the ranks' threads, of all crews, run on these sets of CPUs: one a rank, in any order."""
        seen = []

        def as_expected():
            nonlocal seen
            try:
                seen = [allowed(worker) for worker in self.workers()]
            except OSError:
                return False  # one has just ended
            alike = all(threads and all(cpus == threads[0] for cpus in threads) for threads in seen)
            return alike and sorted(threads[0] for threads in seen) == expected
        try:
            wait_until(as_expected, 60, "ranks at work")
        except AssertionError as late:
            raise AssertionError(f"{late}; seen: {seen}") from None

    def start_long(self, crews, ranks, threads=1, bind="auto", prefix=()):
        settings = ("search.scheduler.max_epochs=1000000", f"resources.crews={crews}", f"resources.ranks={ranks}",
                    f"resources.threads={threads}", f"resources.bind={bind}")
        process = self.start("run", "exp.yaml", *(word for setting in settings for word in ("--set", setting)),
                             prefix=(*ON_TWO, *prefix))
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

    def test_of_two_crews_have_a_core_each(self):
        self.start_long(crews=2, ranks=1)
        self.wait_for_cpus([[CPUS[0]], [CPUS[1]]])

    def test_of_one_crew_have_a_core_each(self):
        self.start_long(crews=1, ranks=2)
        self.wait_for_cpus([[CPUS[0]], [CPUS[1]]])

    def test_with_several_threads_have_them_on_their_cores(self):
        self.start_long(crews=1, ranks=1, threads=2)
        self.wait_for_cpus([CPUS])

    def what_programs_see(self, resources, prefix=()):
        self.write("program.py", PROGRAM)
        self.write("program.yaml", EXPERIMENT + f"resources: {resources}\n")
        shutil.rmtree(self.path("runs"), ignore_errors=True)
        self.regatta("run", "program.yaml", prefix=(*ON_TWO, *prefix))
        seen = []
        for name in sorted(os.listdir(self.folder)):
            if name.startswith("seen-"):
                with open(self.path(name), encoding="utf-8") as stream:
                    seen.append(json.load(stream))
                os.remove(self.path(name))
        return seen

    def test_hand_their_cpus_and_threads_to_programs(self):
        self.assertEqual(self.what_programs_see("{crews: 1, ranks: 2, threads: 1}"),
                         [{"cpus": [CPUS[0]], "threads": "1"}, {"cpus": [CPUS[1]], "threads": "1"}])

    def test_are_left_to_the_system_where_that_is_asked_for_or_there_are_too_few(self):
        for resources in ("{crews: 1, ranks: 2, threads: 1, bind: none}", "{crews: 1, ranks: 2, threads: 2}"):
            for seen in self.what_programs_see(resources):
                self.assertEqual(seen["cpus"], CPUS, resources)

    def test_under_one_mpirun_share_what_it_leaves_them(self):
        mpirun = ("mpirun", "--oversubscribe", "--bind-to", "none", "-n", "3")
        self.assertEqual(self.what_programs_see("{ranks: 2, threads: 1}", prefix=mpirun),
                         [{"cpus": [CPUS[0]], "threads": "1"}, {"cpus": [CPUS[1]], "threads": "1"}])

    def test_of_a_crew_that_has_its_cpus_alone_divide_them(self):
        self.start_long(crews=1, ranks=1, bind="none")
        wait_until(lambda: self.workers() and os.path.exists(self.path("runs/tiny/coordinator.json")), 60, "a study")
        others = self.workers()
        crew = subprocess.Popen([*ON_TWO, "mpirun", "--oversubscribe", "--bind-to", "none", "-n", "2", REGATTA, "worker",
                                 "--study", self.path("runs/tiny"), "--crew", "crew-9.1", "--divide-cpus"],
                                env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(crew.wait)
        self.addCleanup(crew.kill)

        def ranks():
            mains = [allowed_of_main(worker) for worker in self.workers() if worker not in others]
            return sorted(mains) == [[CPUS[0]], [CPUS[1]]]
        wait_until(ranks, 60, "ranks on a CPU each")

    def test_of_guests_are_theirs_alone(self):
        # The coordinator has left its own crew to the system, and so the cores to whoever asks for them.
        own_folder = ("env", f"TMPDIR={self.folder}")
        self.start_long(crews=1, ranks=1, prefix=(*own_folder, "OMP_PROC_BIND=false"))
        wait_until(lambda: self.exists("runs/tiny/coordinator.json"), 60, "a study")
        guests = []
        for expected in ([CPUS[0]], [CPUS[1]], CPUS):
            guest = self.start("join", self.path("runs/tiny"), "--threads", "1", prefix=(*own_folder, *ON_TWO))
            guests.append(guest)
            self.addCleanup(guest.stdout.close)
            self.addCleanup(guest.wait)
            self.addCleanup(guest.kill)
            name = f"runs/tiny/crews/guest-{os.uname().nodename}-{guest.pid}.json"
            wait_until(lambda: self.exists(name), 60, "a guest")
            self.assertEqual(allowed_of_main(guest.pid), expected)
        self.assertIn("guests' on this host", guests[0].stdout.readline())
        self.assertIn("1 ranks of 1 threads;", guests[2].stdout.readline())
        self.assertIn("other crews have too many of the CPUs", guests[2].stdout.readline())

    def test_of_guests_under_one_mpirun_are_what_the_coordinators_crews_leave(self):
        own_folder = ("env", f"TMPDIR={self.folder}")
        self.start_long(crews=1, ranks=1, prefix=("taskset", "-c", str(CPUS[0]), *own_folder))
        wait_until(lambda: self.exists("runs/tiny/coordinator.json"), 60, "a study")
        guest = self.start("join", self.path("runs/tiny"), prefix=(*own_folder, *ON_TWO, "mpirun", "--oversubscribe",
                                                                   "--bind-to", "none", "-n", "1"))
        self.addCleanup(guest.stdout.close)
        self.addCleanup(guest.wait)
        self.addCleanup(guest.kill)

        def allowed_of_guest():
            if not self.exists("runs/tiny/crews"):
                return []
            names = [name.removesuffix(".json") for name in os.listdir(self.path("runs/tiny/crews"))
                     if name.startswith("guest-") and name.endswith(".json")]
            return [allowed_of_main(int(name.rsplit("-", 1)[1])) for name in names]
        self.assertEqual(wait_until(allowed_of_guest, 60, "a guest"), [[CPUS[1]]])

    def test_of_guests_are_not_those_of_a_rank_that_no_coordinator_of_this_host_has_dealt_them(self):
        own_folder = ("env", f"TMPDIR={self.folder}")
        self.start_long(crews=1, ranks=1, prefix=(*own_folder, "OMP_PROC_BIND=false"))
        wait_until(lambda: self.exists("runs/tiny/coordinator.json"), 60, "a study")
        self.start_process([*own_folder, "taskset", "-c", str(CPUS[0]), REGATTA, "worker", "--study",
                            self.path("runs/tiny"), "--crew", "crew-9.1"])
        claims = self.path(f"regatta-claims-{os.geteuid()}")
        wait_until(lambda: os.path.exists(claims) and any(name.endswith(".0") for name in os.listdir(claims)), 60,
                   "the crew's claim")
        guest = self.start("join", self.path("runs/tiny"), "--threads", "1", prefix=(*own_folder, *ON_TWO))
        wait_until(lambda: self.exists(f"runs/tiny/crews/guest-{os.uname().nodename}-{guest.pid}.json"), 60, "a guest")
        self.assertEqual(allowed_of_main(guest.pid), [CPUS[1]])

    def test_that_another_study_has_too_are_told(self):
        self.start_long(crews=1, ranks=1, prefix=ON_TWO)
        wait_until(lambda: self.exists("runs/tiny/coordinator.json"), 60, "a study")
        told = self.regatta("run", "exp.yaml", "--name", "other", "--set", "search.stop.trials=1", prefix=ON_TWO).stderr
        self.assertIn("of this host too, and all of them will be slower", told)

    def test_are_told_before_they_start(self):
        text = self.regatta("devices", "exp.yaml", "--set", "resources.crews=2", prefix=ON_TWO).stdout
        rows = [line.split() for line in text.split("tiny:\n")[1].splitlines()]
        self.assertEqual([row[-1] for row in rows if row[0].isdigit()], [str(CPUS[0]), str(CPUS[1])])
        text = self.regatta("devices", "exp.yaml", "--set", "resources.crews=3", prefix=ON_TWO).stdout
        self.assertIn("the system chooses the CPUs: there are more threads than CPUs", text)


if __name__ == "__main__":
    main()
