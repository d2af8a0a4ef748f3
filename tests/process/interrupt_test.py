"""Ctrl-C once saves and ends, twice ends at once; either way the study goes on later."""

import signal
import time

from support import EXPERIMENT, StudyCase, main, make_csv, processes_of, wait_until


class AnInterruptedStudy(StudyCase):
    def setUp(self):
        super().setUp()
        make_csv(self.path("made.csv"), rows=12000, features=16)
        self.write("exp.yaml", EXPERIMENT.replace("max_epochs: 3", "max_epochs: 4").replace("trials: 6", "trials: 10"))

    def interrupt(self, *signals):
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(2)
        for number in signals:
            running.send_signal(number)
            time.sleep(0.02)
        began = time.monotonic()
        output = self.finish(running, code=130)
        self.assertLess(time.monotonic() - began, 20)
        self.assertIn("regatta resume", output)
        wait_until(lambda: not processes_of(self.folder), 10, "no process is left")
        self.assertLess(self.ended_trials(), 10)

    def check_resumed(self):
        self.assertIn("interrupted", self.regatta("status", self.path("runs/tiny")).stdout)
        self.regatta("resume", self.path("runs/tiny"))
        self.regatta("run", "exp.yaml", "--name", "undisturbed", "--runs-dir", self.path("runs"))
        self.assert_same_trials(self.trials(), self.trials("runs/undisturbed"))

    def test_by_one_ctrl_c(self):
        self.interrupt(signal.SIGINT)
        self.check_resumed()

    def test_by_sigterm(self):
        self.interrupt(signal.SIGTERM)
        self.check_resumed()

    def test_by_two_ctrl_c(self):
        self.interrupt(signal.SIGINT, signal.SIGINT)
        self.regatta("resume", self.path("runs/tiny"))
        self.assertEqual(len(self.trials()), 10)


if __name__ == "__main__":
    main()
