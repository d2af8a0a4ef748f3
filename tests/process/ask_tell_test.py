"""regatta ask-tell: the search as another process, asked and told in JSON lines."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

from support import ENVIRONMENT, REGATTA, StudyCase, main

SPACE = """\
objective: {minimize: loss}
search: {sampler: sobol, scheduler: %s, stop: {trials: %d}}
space:
  lr: {float: [0.001, 1], log: true}
  units: {int: [1, 64]}
  kind: {choice: [sgd, adam, 3, true]}
  beta: {float: [0, 1], when: kind == adam}
"""
DOCUMENT = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "ask-tell.md")


class Search:
    """One running `regatta ask-tell`."""

    def __init__(self, case, *arguments):
        self.process = subprocess.Popen([REGATTA, "ask-tell", case.path("space.yaml"), *arguments], cwd=case.folder,
                                        env=ENVIRONMENT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        case.addCleanup(self.close)

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def request(self, **what):
        return self.say(json.dumps(what))

    def close(self):
        for stream in (self.process.stdin, self.process.stdout):
            stream.close()
        return self.process.wait(timeout=30)


class AskTellCase(StudyCase):
    def space(self, scheduler="fifo", trials=10, **replace):
        text = SPACE % (scheduler, trials)
        for old, new in replace.items():
            text = text.replace(old, new)
        self.write("space.yaml", text)


class TheProtocol(AskTellCase):
    def test_asks_and_tells_until_done(self):
        self.space(trials=20)
        search = Search(self)
        values = {}
        for trial in range(20):
            work = search.request(ask=1)
            self.assertEqual(work["trial"], trial)
            params = work["params"]
            self.assertEqual(set(params) - {"beta"}, {"lr", "units", "kind"})
            self.assertEqual("beta" in params, params["kind"] == "adam")
            self.assertIsInstance(params["lr"], float)
            self.assertIs(type(params["units"]), int)
            self.assertIn(repr(params["kind"]), ("'sgd'", "'adam'", "3", "True"))
            values[trial] = params["lr"]
            self.assertEqual(search.request(tell=trial, value=params["lr"]), {"ok": True})
        self.assertEqual(search.request(ask=1), {"done": True})
        best = search.request(best=True)["best"]
        self.assertEqual(best["trial"], min(values, key=values.get))
        self.assertEqual(best["value"], min(values.values()))
        self.assertEqual(search.close(), 0)

    def test_the_seed_decides(self):
        self.space()
        first, same, other = Search(self), Search(self, "--seed", "0"), Search(self, "--seed", "5")
        points = [search.request(ask=5)["trials"] for search in (first, same, other)]
        self.assertEqual(points[0], points[1])
        self.assertNotEqual(points[0], points[2])

    def test_several_trials_are_open_at_once(self):
        self.space(trials=5)
        search = Search(self)
        trials = search.request(ask=4)["trials"]
        self.assertEqual([work["trial"] for work in trials], [0, 1, 2, 3])
        self.assertEqual(len({json.dumps(work["params"]) for work in trials}), 4)
        self.assertEqual(search.request(tell=2, value=1), {"ok": True})
        self.assertEqual(len(search.request(ask=4)["trials"]), 1)
        self.assertEqual(search.request(ask=4), {"done": True})
        self.assertEqual([work["trial"] for work in search.request(open=True)["trials"]], [0, 1, 3, 4])

    def test_what_is_not_a_number_is_a_failure(self):
        self.space(trials=9)
        search = Search(self)
        search.request(ask=9)
        for trial, value in enumerate(("null", '"nan"', "NaN", '"NaN"', "Infinity", "-Infinity", '"inf"')):
            self.assertEqual(search.say(f'{{"tell": {trial}, "value": {value}}}'), {"ok": True})
            self.assertIn("failed", search.request(tell=trial, value=1)["error"])
        self.assertEqual(search.request(best=True), {"best": None})
        self.assertEqual(search.say('{"report": 7, "epoch": 1, "value": NaN}'), {"decision": "stop"})
        self.assertIn("failed", search.request(report=7, epoch=2, value=1)["error"])

    def test_several_objectives_are_a_list_and_maximised_ones_stay_as_they_are(self):
        self.space(**{"{minimize: loss}": "[{maximize: accuracy}, {minimize: time}]"})
        search = Search(self)
        search.request(ask=3)
        self.assertIn("2 values", search.request(tell=0, value=0.5)["error"])
        self.assertEqual(search.request(tell=0, values=[0.5, 3]), {"ok": True})
        self.assertEqual(search.request(tell=1, values=[0.7, 4]), {"ok": True})
        self.assertEqual(search.request(tell=2, value=None), {"ok": True})
        answer = search.request(best=True)
        self.assertEqual(answer["best"]["values"], [0.7, 4])
        self.assertEqual(answer["front"][0], answer["best"])

    def test_paused_trials_come_back_with_their_epoch(self):
        self.space("{type: asha, max_epochs: 9}", trials=27)
        search = Search(self)
        trained, resumed, ends = {}, 0, []
        while True:
            work = search.request(ask=1)
            if "trial" not in work:
                break
            trial, epoch, until = work["trial"], work.get("epoch", 0), work["until"]
            self.assertEqual(epoch, trained.get(trial, 0))
            self.assertEqual(work.get("resume", False), trial in trained)
            resumed += work.get("resume", False)
            answer = {"decision": "continue"}
            while answer["decision"] == "continue":
                epoch += 1
                answer = search.request(report=trial, epoch=epoch, value=abs(work["params"]["lr"] - 0.1) + 1 / epoch)
                self.assertEqual(answer["decision"] == "continue", epoch < answer.get("until", until))
            trained[trial] = epoch
            if answer["decision"] == "stop":
                ends.append(epoch)
                self.assertEqual(search.request(tell=trial, value=0), {"ok": True})
        self.assertEqual(work, {"done": True})
        self.assertEqual(len(trained), 27)
        self.assertGreaterEqual(resumed, 3)
        self.assertEqual(set(ends), {9})
        self.assertEqual(set(trained.values()), {1, 3, 9})

    def test_it_waits_while_others_may_decide(self):
        self.space("{type: asha, max_epochs: 9}", trials=3)
        search = Search(self)
        search.request(ask=3)
        self.assertEqual(search.request(ask=1), {"wait": True})
        for trial in range(3):
            self.assertEqual(search.request(report=trial, epoch=1, value=trial), {"decision": "pause"})
        work = search.request(ask=1)
        self.assertEqual((work["trial"], work["resume"], work["epoch"], work["until"]), (0, True, 1, 3))
        self.assertEqual(search.request(report=0, epoch=2, value=0), {"decision": "continue", "until": 3})

    def test_without_a_stop_rule_it_never_says_done(self):
        self.write("space.yaml", "objective: {minimize: y}\nspace: {x: {float: [0, 1]}}\n")
        search = Search(self)
        for trial in range(300):
            self.assertEqual(search.request(ask=1)["trial"], trial)
            search.request(tell=trial, value=trial)

    def test_a_mistake_is_an_error_and_it_goes_on(self):
        self.space()
        search = Search(self)
        search.request(ask=1)
        for line, words in (("", "not JSON"), ("{", "not JSON"), ("[1]", "an object"), ("{}", "ask, report"),
                            ('{"aks": 1}', "did you mean 'ask'"), ('{"ask": 0}', "from 1"), ('{"ask": 1.5}', "whole"),
                            ('{"ask": true}', "whole"), ('{"ask": 1, "n": 2}', '"n" does not belong'),
                            ('{"tell": 0}', "value"), ('{"tell": 0, "value": "good"}', "good"),
                            ('{"tell": 0, "value": [1]}', "list"), ('{"tell": 7, "value": 1}', "no trial 7"),
                            ('{"tell": -1, "value": 1}', "-1"), ('{"tell": 0, "values": [1, 2]}', "expected 1 value"),
                            ('{"report": 0, "value": 1}', '"epoch" is missing'),
                            ('{"report": 0, "epoch": 0, "value": 1}', "at least 1"),
                            ('{"tell": 0, "invalid": false}', "true"), ("x" * 2_000_000, "bytes"),
                            ('{"tell": ' + "[" * 100_000 + "}", "JSON")):
            answer = search.say(line)
            self.assertEqual(list(answer), ["error"], line[:100])
            self.assertIn(words, answer["error"])
        self.assertEqual(search.request(tell=0, value=0.5), {"ok": True})
        self.assertEqual(search.request(ask=1)["trial"], 1)
        self.assertEqual(search.close(), 0)

    def test_a_mistake_in_the_file_is_told_at_once(self):
        self.space(sobol="sobl")
        done = self.regatta("ask-tell", "space.yaml", code=2)
        self.assertIn("space.yaml:2:19: 'sobl' is not a sampler", done.stderr)


class TheState(AskTellCase):
    def test_survives_that_the_process_is_killed(self):
        self.space("{type: asha, max_epochs: 9}", trials=12)
        told = []

        def steps(search):
            """One worker, a step at a time; yields after each."""
            while "trial" in (work := search.request(ask=1)):
                epoch, decision = work.get("epoch", 0), "continue"
                told.append(work)
                yield
                while decision == "continue":
                    epoch += 1
                    value = work["params"]["lr"] + 1 / epoch
                    decision = search.request(report=work["trial"], epoch=epoch, value=value)["decision"]
                    told.append((work["trial"], epoch, decision))
                    yield

        for _ in steps(Search(self)):
            pass
        undisturbed, told[:] = list(told), []

        class Restarted:
            def request(this, **what):
                return this.search.request(**what)

        restarted = Restarted()
        restarted.search = Search(self, "--state", "search.state")
        for count, _ in enumerate(steps(restarted)):
            if count % 3 == 0:
                restarted.search.process.send_signal(signal.SIGKILL)
                restarted.search.process.wait()
                restarted.search = Search(self, "--state", "search.state")
        self.assertEqual(told, undisturbed)

    def test_what_was_handed_out_is_still_open(self):
        self.space()
        search = Search(self, "--state", "search.state")
        trials = search.request(ask=2)["trials"]
        search.request(report=1, epoch=4, value=1)
        search.close()
        with open(self.path("search.state"), "a", encoding="utf-8") as stream:
            stream.write('{"tell": 0, "val')  # cut short by a crash
        again = Search(self, "--state", "search.state").request(open=True)["trials"]
        self.assertEqual(again, [trials[0], {**trials[1], "reported": 4}])

    def test_is_refused_for_another_search_and_a_second_process(self):
        self.space()
        search = Search(self, "--state", "search.state")
        search.request(ask=1)
        busy = self.regatta("ask-tell", "space.yaml", "--state", "search.state", code=2)
        self.assertIn("in use", busy.stderr)
        search.close()
        other = self.regatta("ask-tell", "space.yaml", "--state", "search.state", "--seed", "8", code=2)
        self.assertIn("search.state", other.stderr)
        self.assertIn("seed", other.stderr)


class TheDocument(AskTellCase):
    def test_its_example_runs(self):
        with open(DOCUMENT, encoding="utf-8") as stream:
            text = stream.read()
        blocks = dict(re.findall(r"```(yaml|python)\n(.*?)```", text, re.DOTALL))
        self.write("space.yaml", blocks["yaml"])
        self.write("example.py", blocks["python"])
        os.makedirs(self.path("bin"))
        os.symlink(shutil.which(REGATTA), self.path("bin", "regatta"))
        done = subprocess.run([sys.executable, "example.py"], cwd=self.folder, text=True, capture_output=True,
                              timeout=60, check=False,
                              env={**ENVIRONMENT, "PATH": self.path("bin") + os.pathsep + os.environ["PATH"]})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("'state': 'complete'", done.stdout)


if __name__ == "__main__":
    main()
