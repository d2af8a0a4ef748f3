"""One way to train that compare.py measures, in turns with others."""

import statistics

from side import Failed

PREPARE_S, RUN_S = 60, 30  # limits of an answer


def median_range(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f}…{max(values):.2f})"


def ratios(over, under):
    return [a / b for a, b in zip(over, under)]


class Contestant:
    """One way to train, prepared under a name on its side; a way that fails is out, and its reason kept."""

    def __init__(self, run, key, side, order, timeout=PREPARE_S):
        self.run, self.key, self.side = run, key, side
        self.blocks = []
        self.losses = []
        self.steps = 0
        self.failure = None
        self.facts = {}
        try:
            self.facts = side.ask(min(timeout, run.left()), do="prepare", **{"as": key}, warm_up=run.options.warm_up,
                                  **order)
            self.generation = side.generation
        except Failed as error:
            self.fail(error)

    def ask(self, what, steps):
        if self.generation != self.side.generation or self.side.process is None:
            raise Failed(f"{self.side.name} had to be started anew")
        return self.side.ask(min(RUN_S, max(1, self.run.left())), do=what, steps=steps, **{"as": self.key})

    def attempt(self, work):
        if self.failure is None:
            try:
                work()
            except Failed as error:
                self.fail(error)

    def fail(self, error):
        self.failure = str(error)
        self.side.doubtful = self.side.doubtful or not error.refused

    def aim(self):
        """So many steps as fill a block."""
        def measure():
            few = self.run.options.least_steps
            seconds = self.ask("run", few)["seconds"] / few
            self.steps = min(20000, max(few, round(self.run.options.seconds / max(seconds, 1e-7))))
        self.attempt(measure)

    def measure(self):
        def block():
            answer = self.ask("run", self.steps)
            self.blocks.append(answer["seconds"] / self.steps)
            self.losses.append(answer["loss"])
        self.attempt(block)

    def drop(self):
        """Leaves its memory to others; a side that is in doubt begins anew."""
        if self.side.doubtful:
            self.side.end()
        if self.failure is None and self.side.process is not None and self.generation == self.side.generation:
            try:
                self.side.ask(RUN_S, do="drop", **{"as": self.key})
            except Failed:
                self.side.end()

    def median(self):
        return statistics.median(self.blocks) if self.failure is None else None

    def record(self):
        if self.failure is not None:
            return {"failure": self.failure}
        return {"seconds_of_step": self.blocks, "steps_of_block": self.steps, "losses": self.losses, **self.facts}


def in_turns(run, contestants):
    """Blocks of each, one after another, so many times; then their median, the range being kept."""
    for contestant in contestants:
        contestant.aim()
    for _ in range(run.options.blocks):
        for contestant in contestants:
            contestant.measure()
