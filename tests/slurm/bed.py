"""A real Slurm of two nodes on this machine: munged, slurmctld and a slurmd a node, all in a temporary folder.

    with Bed() as bed:
        bed.call("sinfo")

Nothing of it is known to the rest of the machine: ports are chosen at random, the clients find it by SLURM_CONF.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

CLIENTS = ("sbatch", "squeue", "scancel", "scontrol", "sinfo", "srun")
DAEMONS = ("munged", "slurmctld", "slurmd")
# cred_expire: a requeued job waits until the credential of its last life has expired.
CONFIGURATION = """\
ClusterName=regatta
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=200
SlurmdParameters=config_overrides
LaunchParameters=slurmstepd_memlock_all
ReturnToService=2
JobRequeue=1
KillWait=30
MinJobAge=300
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
SlurmctldDebug=verbose
SlurmdDebug=verbose
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs={cpus} RealMemory=2000
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=60 DefaultTime=10 PriorityTier=1 GraceTime=20 State=UP
PartitionName=brief Nodes=n1 MaxTime=5 PriorityTier=1 State=UP
PartitionName=urgent Nodes=n[1-2] MaxTime=60 PriorityTier=10 PreemptMode=OFF State=UP
"""


def why_not():
    """What is missing here, or None."""
    if os.geteuid() != 0:
        return "a Slurm of several nodes on one machine needs root"
    for program in (*CLIENTS, *DAEMONS):
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian: apt install slurm-wlm munge)"
    return None


def free_ports(count):
    """The first of so many free ports in a row."""
    for _ in range(50):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = probe.getsockname()[1]
        probes = []
        try:
            for port in range(first, first + count):
                probes.append(socket.socket())
                probes[-1].bind(("", port))
            return first
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()
    raise RuntimeError("no free ports")


class Bed:
    def __init__(self, cpus=2):
        self.cpus = cpus

    def __enter__(self):
        self.daemons = []
        self.folder = tempfile.mkdtemp(prefix="regatta-slurm-")
        os.chmod(self.folder, 0o755)
        first = free_ports(3)
        host = socket.gethostname()
        self.environment = {**os.environ, "SLURM_CONF": f"{self.folder}/slurm.conf"}
        for name in ("munge", "state"):
            os.mkdir(f"{self.folder}/{name}", 0o755)
        with open(f"{self.folder}/slurm.conf", "w", encoding="utf-8") as stream:
            stream.write(CONFIGURATION.format(folder=self.folder, host=host, controller=first, first=first + 1,
                                              last=first + 2, cpus=self.cpus))
        try:
            self.start_munge()
            self.start_daemon("slurmctld", "-D", "-i", "-f", f"{self.folder}/slurm.conf")
            for node in ("n1", "n2"):
                self.start_daemon("slurmd", "-D", "-N", node, "-f", f"{self.folder}/slurm.conf")
            self.wait_for_nodes()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if len(self.daemons) > 1:
            subprocess.run(["scancel", "--user", "root"], env=self.environment, capture_output=True, timeout=20,
                           check=False)
            limit = time.monotonic() + 15
            while time.monotonic() < limit and self.call("squeue", "--noheader", check=False).strip():
                time.sleep(0.3)
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.kill_leftovers()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill_leftovers(self):
        """slurmstepd outlives its slurmd; all have this bed's SLURM_CONF."""
        mark = f"SLURM_CONF={self.folder}/slurm.conf".encode()
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            try:
                with open(f"/proc/{entry}/environ", "rb") as stream:
                    ours = mark in stream.read().split(b"\0")
                if ours:
                    os.kill(int(entry), signal.SIGKILL)
            except OSError:
                continue

    def start_munge(self):
        key = f"{self.folder}/munge/key"
        with open(key, "wb") as stream:
            stream.write(os.urandom(1024))
        os.chmod(key, 0o600)
        parts = [f"--{name}={self.folder}/munge/{name.split('-', maxsplit=1)[0]}"
                 for name in ("key-file", "pid-file", "log-file", "seed-file", "socket")]
        self.start_daemon("munged", "--foreground", "--force", *parts)
        self.wait_for(lambda: os.path.exists(f"{self.folder}/munge/socket"), 60, "munged")

    def start_daemon(self, *command):
        with open(f"{self.folder}/{command[0]}.out", "ab") as output:
            self.daemons.append(subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL,
                                                 stdout=output, stderr=output, start_new_session=True))

    def wait_for_nodes(self):
        def idle():
            states = self.call("sinfo", "--noheader", "--Node", "-p", "main", "-o", "%T", check=False).split()
            return len(states) == 2 and all(state == "idle" for state in states)
        self.wait_for(idle, 60, "both nodes are idle")

    def wait_for(self, condition, seconds, what):
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            value = condition()
            if value:
                return value
            for daemon in self.daemons:
                if daemon.poll() is not None:
                    raise AssertionError(f"{daemon.args[0]} has ended: {self.logs()}")
            time.sleep(0.2)
        raise AssertionError(f"{what}: not within {seconds} s\n{self.logs()}")

    def logs(self):
        """The ends of all the daemons' logs, for a test that fails."""
        ends = []
        for name in sorted(os.listdir(self.folder)):
            if name.endswith((".log", ".out")):
                with open(f"{self.folder}/{name}", encoding="utf-8", errors="replace") as stream:
                    ends.append(f"--- {name}\n" + "".join(stream.readlines()[-40:]))
        return "\n".join(ends)

    def call(self, *command, check=True, timeout=60):
        """What a client prints."""
        done = subprocess.run(command, env=self.environment, text=True, capture_output=True, timeout=timeout,
                              check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def job(self, number):
        """{key: value} of a job, as scontrol prints it; {} once it is forgotten."""
        line = self.call("scontrol", "show", "job", "-o", str(number), check=False)
        return dict(part.split("=", 1) for part in line.split() if "=" in part)

    def wait_for_job(self, number, states, seconds):
        return self.wait_for(lambda: (job := self.job(number)) and job["JobState"] in states and job, seconds,
                             f"job {number} is {' or '.join(states)}")
