#!/usr/bin/python3
"""How much sooner the last bracket of the quickstart study ends when idle crews join others.

    benchmarks/elastic/tail.py build/release/regatta [--crews 2] [--skip-simulator]

Runs the last bracket of configs/fashion-mnist.yaml twice in real processes, with `elastic: false` and without: its
scheduler's second bracket, 5 trials of 3 epochs of which the best goes on to 9. Prints, as a ratio, the time from the
first start of a trial to the end of the last one; the same from the moment at which a crew had nothing to do; what is
the best that these crews could reach, all work spread evenly; and where the seconds of the handover went. Then the
same study in the simulator for more crews. The reports of both runs are compared.
"""

import argparse
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile

CONFIG = os.path.join(os.path.dirname(__file__), "..", "..", "configs", "fashion-mnist.yaml")
# The quickstart's last bracket alone: a ladder from 3 to 9 epochs begins with it, and 5 trials fill it.
LAST_BRACKET = ["--set", "search.scheduler.min_epochs=3", "--set", "search.stop.trials=5"]


def events(folder):
    with sqlite3.connect(f"file:{folder}/study.db?mode=ro", uri=True) as database:
        rows = database.execute("SELECT at, kind, body FROM regatta_events ORDER BY sequence").fetchall()
    return [(at / 1e6, kind, json.loads(body)) for at, kind, body in rows]


class Run:
    """What the events of one study say."""

    def __init__(self, folder, crews):
        self.reports, self.seconds = {}, {}
        running, self.first, self.last, self.idle_from = {}, None, None, None
        self.handovers = []
        interrupted = {}
        for at, kind, body in events(folder):
            if kind == "attempt_started":
                self.first = self.first or at
                running[body["attempt"]] = body["crew"]
                self.idle_from = None if len(running) == crews else self.idle_from
                if body["trial"] in interrupted:
                    self.handovers.append([body["trial"], at - interrupted.pop(body["trial"])])
            elif kind == "reported":
                self.reports[body["trial"], body["epoch"]] = body["metrics"]
                self.seconds[body["trial"], body["epoch"]] = body["seconds"]
            elif kind == "attempt_ended":
                running.pop(body["attempt"])
                self.last = at
                if body["outcome"] == "interrupted":
                    interrupted[body["trial"]] = at
                elif self.idle_from is None:
                    self.idle_from = at
        self.total = self.last - self.first

    def tail_from(self, moment):
        return self.last - moment
