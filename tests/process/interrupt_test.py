"""Ctrl-C once saves and ends, twice ends at once; either way the study goes on later."""

import signal
import time

from support import EXPERIMENT, StudyCase, endless, main, make_csv, processes_of, wait_until


class AnInterruptedStudy(StudyCase):
    def setUp(self):
        super().setUp()
        make_csv(self.path("made.csv"), rows=12000, features=16)
        self.write("exp.yaml", endless(EXPERIMENT.replace("max_epochs: 3", "max_epochs: 4")))

    def interrupt_with(self, *signals):
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(2)
        for number in signals:
            running.send_signal(number)
            time.sleep(0.02)  # two signals of one kind that come at once are one
        self.assertIn("regatta resume", self.finish(running, code=130))
        wait_until(lambda: not processes_of(self.folder), 60, "no process is left")
        self.assertIn("interrupted", self.regatta("status", self.path("runs/tiny")).stdout)
        self.go_on()

    def test_by_one_ctrl_c(self):
        self.interrupt_with(signal.SIGINT)

    def test_by_sigterm(self):
        self.interrupt_with(signal.SIGTERM)

    def test_by_two_ctrl_c(self):
        self.interrupt_with(signal.SIGINT, signal.SIGINT)


if __name__ == "__main__":
    main()
