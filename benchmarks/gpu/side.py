"""A process that answers lines of JSON: ours (gpu-benchmark) or PyTorch's (peers/pytorch.py)."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading


class Failed(Exception):
    """A request that got no answer, or an answer that is an error. The message is a sentence. `refused`: the side knew
    beforehand; after anything else a device may be left in a state in which later work fails, too."""

    def __init__(self, message, refused=False):
        super().__init__(message)
        self.refused = refused


class Side:
    """Started when it is first asked, and again after it has died or was ended for being late. Then all that it had
    prepared is gone: `generation` is another one."""

    def __init__(self, name, command, log_path, environment=None):
        self.name = name
        self.command = command
        self.log_path = log_path
        self.environment = environment
        self.process = None
        self.generation = 0
        self.doubtful = False  # whether it may answer wrongly from now on, until it is ended

    def start(self):
        self.generation += 1
        with open(self.log_path, "a", encoding="utf-8") as log:
            try:
                self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                                text=True, start_new_session=True, env=self.environment)
            except OSError as error:
                raise Failed(f"{self.name} cannot be started: {error}") from error
        self.answers = queue.Queue()
        threading.Thread(target=self.listen, args=(self.process, self.answers), daemon=True).start()

    @staticmethod
    def listen(process, answers):
        with process.stdout:
            for line in process.stdout:
                answers.put(line)
        answers.put(None)

    def ask(self, timeout, **order):
        if self.process is None:
            self.start()
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
            line = self.answers.get(timeout=max(timeout, 0.1))
        except queue.Empty:
            self.end()
            raise Failed(f"{self.name} did not answer within {timeout:.0f} s") from None
        except OSError:
            line = None
        if line is None:
            status = self.end(patience=20)
            raise Failed(f"{self.name} ended with status {status}: {self.last_words()}")
        try:
            answer = json.loads(line)
        except ValueError:
            raise Failed(f"{self.name} answered what is no JSON: {line.strip()[:200]}") from None
        if "error" in answer:
            raise Failed(answer["error"], answer.get("refused", False))
        return answer

    def last_words(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            lines = [line.strip() for line in log if line.strip()]
        return lines[-1][:300] if lines else "it said nothing"

    def end(self, patience=0):
        """The exit status; a process that has not ended by itself within so many seconds is killed."""
        self.doubtful = False
        if self.process is None:
            return None
        process, self.process = self.process, None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with the compilers that PyTorch starts
        with contextlib.suppress(OSError):  # what was not written yet
            process.stdin.close()
        return process.wait()
