"""A study's folder seen by two hosts: one coordinator at a time, and a dead one's study goes to another host."""

import contextlib
import json
import os
import signal
import sqlite3

from support import EXPERIMENT, StudyCase, as_host, main, make_csv, wait_until, why_no_other_host

# A trial takes some seconds: the study is to be there still when a host has looked whether another lives.
SLOWER = EXPERIMENT.replace("max_epochs: 3", "max_epochs: 400").replace("trials: 6", "trials: 8")


class AStudyOnStorageThatTwoHostsSee(StudyCase):
    def setUp(self):
        super().setUp()
        if why := why_no_other_host():
            self.skipTest(why)
        make_csv(self.path("made.csv"), rows=12000, features=16)
        self.write("exp.yaml", SLOWER)

    def facts(self):
        with contextlib.closing(self.database()) as database:
            return database.execute("SELECT seq, kind, body FROM regatta_events ORDER BY seq").fetchall()

    def coordinator(self):
        with open(self.path("runs/tiny/coordinator.json"), encoding="utf-8") as stream:
            return json.load(stream)

    def test_is_refused_while_its_coordinator_lives_and_taken_over_when_that_stands_still(self):
        running = self.start("run", "exp.yaml", prefix=as_host("node1"))
        self.wait_for_ended(1)
        crew = self.workers()[0]
        os.kill(crew, signal.SIGSTOP)  # so that the study does not end meanwhile
        refused = self.regatta("resume", self.path("runs/tiny"), code=2, prefix=as_host("node2"))
        self.assertIn("waiting up to 30 s to see whether it lives", refused.stderr)
        self.assertIn(f"in use by process {self.coordinator()['process_id']} on host node1", refused.stderr)

        self.stop_between_writes(running)
        os.kill(crew, signal.SIGCONT)
        successor = self.start("resume", self.path("runs/tiny"), prefix=as_host("node2"))
        wait_until(lambda: self.coordinator()["host"] == "node2", 120, "another host's coordinator")
        # Until it writes: the displaced one then goes on, in the midst of it.
        self.wait_for_ended(self.ended_trials() + 1)
        running.send_signal(signal.SIGCONT)
        self.assertIn("on host node2", self.finish(running, code=1, timeout=60))
        self.assertIn("its lock is taken over in", self.finish(successor))

        trials = [json.loads(body)["trial"] for _, kind, body in self.facts() if kind == "trial_proposed"]
        self.assertEqual(trials, list(range(8)))
        self.assertEqual([seq for seq, _, _ in self.facts()], list(range(1, len(self.facts()) + 1)))
        self.regatta("run", "exp.yaml", "--name", "undisturbed", "--runs-dir", self.path("runs"))
        self.assert_same_trials(self.trials(), self.trials("runs/undisturbed"))

    def stop_between_writes(self, coordinator):
        """In a write it would hold the database, and its successor would be refused."""
        def is_stopped():
            with open(f"/proc/{coordinator.pid}/stat", encoding="utf-8") as stream:
                return stream.read().rsplit(")", 1)[1].split()[0] == "T"

        def stops():
            coordinator.send_signal(signal.SIGSTOP)
            wait_until(is_stopped, 60, "a stopped coordinator")
            try:
                with contextlib.closing(sqlite3.connect(self.path("runs/tiny/study.db"), timeout=0)) as database:
                    database.execute("BEGIN IMMEDIATE")
                return True
            except sqlite3.OperationalError:
                coordinator.send_signal(signal.SIGCONT)
                return False
        wait_until(stops, 60, "a coordinator stopped between two writes")


if __name__ == "__main__":
    main()
