"""regatta join: crews from outside come to a running study and go again."""

import os
import shutil
import signal

from support import EXPERIMENT, StudyCase, as_host, endless, main, make_csv, wait_until, why_no_other_host

# Epochs are a hundredth of a trial, and a trial is long beside a look at the study.
SLOWER = EXPERIMENT.replace("max_epochs: 3", "max_epochs: 75").replace("trials: 6", "trials: 8")
MPIRUN = ("mpirun", "--oversubscribe", "--bind-to", "none")


class JoinCase(StudyCase):
    def setUp(self):
        super().setUp()
        make_csv(self.path("made.csv"), rows=12000, features=16)
        self.write("exp.yaml", SLOWER)

    def join(self, *arguments, prefix=()):
        return self.start("join", self.path("runs/tiny"), *arguments, prefix=prefix)

    def guests(self):
        """The guests that have begun an attempt."""
        return {event["crew"] for event in self.events("attempt_started") if event["crew"].startswith("guest-")}

    def run_with_guest(self, *arguments, prefix=(), guests=1):
        """A study and so many guests of it that have each begun an attempt."""
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(1)
        let_go = self.hold_crew()
        guest = self.join(*arguments, prefix=prefix)
        wait_until(lambda: len(self.guests()) == guests, 60, "guests with an attempt")
        let_go()
        return running, guest

    def check_trials(self):
        trials = self.trials()
        self.assert_same_trials(trials, self.undisturbed(len(trials)))


class AGuest(JoinCase):
    def test_takes_its_part_of_the_trials_and_goes_when_the_study_has_ended(self):
        running, guest = self.run_with_guest()
        status = self.regatta("status", self.path("runs/tiny")).stdout
        self.assertIn(f"crew     guest-{os.uname().nodename}-{guest.pid} on host {os.uname().nodename}", status)
        self.finish(running)
        self.assertIn("nothing is left to do", self.finish(guest))
        self.assertEqual(set(self.outcomes()), {"complete"})
        self.assertEqual(os.listdir(self.path("runs/tiny/crews")), [])
        self.check_trials()

    def test_is_told_that_a_study_has_ended(self):
        self.regatta("run", "exp.yaml", "--set", "search.stop.trials=1", "--runs-dir", self.path("runs"))
        self.assertIn("has ended", self.regatta("join", self.path("runs/tiny")).stdout)

    def test_that_is_asked_to_go_saves_and_costs_no_attempt(self):
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            with self.subTest(signal=number):
                running, guest = self.run_with_guest()
                guest.send_signal(number)
                self.assertIn("its trials go on elsewhere", self.finish(guest))
                self.finish(running)
                self.assertNotIn("lost", self.outcomes())
                self.check_trials()
                shutil.rmtree(self.path("runs/tiny"))

    def test_that_is_killed_costs_one_attempt(self):
        running, guest = self.run_with_guest()
        self.kill(guest)
        self.finish(running)
        self.assertEqual(self.outcomes().count("lost"), 1)
        self.assertEqual(self.outcomes().count("complete"), 8)
        self.check_trials()

    def test_outlives_a_killed_coordinator(self):
        running, guest = self.run_with_guest()
        self.kill(running)
        self.regatta("resume", self.path("runs/tiny"))
        self.finish(guest)
        self.check_trials()

    def test_waits_for_a_coordinator_that_is_taken_away_and_works_for_the_next(self):
        self.write("exp.yaml", endless(SLOWER))
        running, guest = self.run_with_guest()
        self.interrupt(running, signal.SIGTERM)
        self.assertIsNone(guest.poll())
        before = len(self.events("attempt_started"))
        successor = self.start("resume", self.path("runs/tiny"))
        wait_until(lambda: any(event["crew"].startswith("guest-") for event in self.events("attempt_started")[before:]),
                   60, "the guest at work again")
        self.regatta("stop", self.path("runs/tiny"))
        self.finish(successor, code=130)
        self.finish(guest)
        self.assert_ended_as_undisturbed()

    def test_goes_when_a_user_stops_the_study(self):
        self.write("exp.yaml", endless(SLOWER))
        running, guest = self.run_with_guest()
        self.regatta("stop", self.path("runs/tiny"))
        self.finish(running, code=130)
        self.finish(guest)

    def test_on_another_host_is_told_how_the_coordinator_would_be_reached(self):
        if why := why_no_other_host():
            self.skipTest(why)
        self.write("exp.yaml", endless(SLOWER))
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(1)
        refused = self.regatta("join", self.path("runs/tiny"), code=2, prefix=as_host("node7"))
        self.assertIn("resources.listen=all", refused.stderr)
        self.kill(running)

    def test_that_cannot_do_what_the_study_needs_is_refused_before_it_costs_a_trial(self):
        self.write("exp.yaml", endless(SLOWER.replace("batch_size: 16", "batch_size: 16, deterministic: world")))
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(1)
        refused = self.regatta("join", self.path("runs/tiny"), code=2, prefix=(*MPIRUN, "-n", "3"))
        self.assertIn("virtual shards cannot be divided among 3 ranks", refused.stderr)
        self.regatta("stop", self.path("runs/tiny"))
        running.communicate()
        self.assertNotIn("failed", self.outcomes())

    def test_alone_cannot_be_a_crew_of_several_ranks(self):
        self.regatta("run", "exp.yaml", "--set", "search.stop.trials=1", "--runs-dir", self.path("runs"))
        refused = self.regatta("join", self.path("runs/tiny"), "--ranks", "2", code=2)
        self.assertIn("mpirun -n 2 regatta join", refused.stderr)


class GuestsUnderMpirun(JoinCase):
    def test_are_one_crew_of_all_ranks(self):
        running, guest = self.run_with_guest(prefix=(*MPIRUN, "-n", "2"))
        self.finish(running)
        self.finish(guest)
        self.assertEqual(len(self.guests()), 1)
        self.assertEqual(set(self.outcomes()), {"complete"})

    def test_are_split_into_crews_of_the_ranks_that_are_asked_for(self):
        running, guest = self.run_with_guest("--ranks", "1", prefix=(*MPIRUN, "-n", "2"), guests=2)
        self.finish(running)
        self.finish(guest)
        self.assertEqual(len(self.guests()), 2)
        self.assertEqual(set(self.outcomes()), {"complete"})

    def test_save_and_leave_on_a_signal_to_mpirun(self):
        running, guest = self.run_with_guest(prefix=(*MPIRUN, "-n", "2"))
        guest.send_signal(signal.SIGUSR1)
        self.finish(guest)
        self.finish(running)
        self.assertNotIn("lost", self.outcomes())


if __name__ == "__main__":
    main()
