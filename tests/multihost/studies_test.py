"""Whole studies over several hosts: equal results, hosts that are cut off, one mpirun for all."""

import json
import os
import signal

from hosts import main
from study_hosts import HostsCase
from support import EXPERIMENT, REGATTA, endless, make_csv, processes_of, read_safetensors, wait_until

ENDLESS = endless(EXPERIMENT.replace("max_epochs: 3", "max_epochs: 4"))
# Of crews that end with their one mpirun, which nothing but its study's end ends cleanly.
LONGER = EXPERIMENT.replace("max_epochs: 3", "max_epochs: 30").replace("trials: 6", "trials: 20")
WORLD = EXPERIMENT.replace("batch_size: 16", "batch_size: 16, deterministic: world")


class CrewsOverHosts(HostsCase):
    count = 4

    def study(self, name, experiment):
        self.write("exp.yaml", experiment)
        self.regatta("run", "exp.yaml", "--name", name, "--runs-dir", self.path("runs"))
        return self.trials(f"runs/{name}")

    def best_model(self, name):
        return read_safetensors(self.path("runs", name, "best", "model.safetensors"))

    def test_train_to_the_same_curve_as_on_one_host(self):
        alone = self.study("alone", EXPERIMENT.replace("ranks: 1", "ranks: 2"))
        over = self.study("over", self.on((1, 1), ranks=2))
        for one, other in zip(alone, over, strict=True):
            self.assertEqual(one["parameters"], other["parameters"])
            self.assertAlmostEqual(one["value"], other["value"], delta=0.021)  # one sample of 48

    def test_give_the_same_bits_over_two_and_four_hosts_where_that_is_asked_for(self):
        alone = self.study("alone", WORLD)
        for name, slots in (("two", (1, 1)), ("four", (1, 1, 1, 1))):
            self.assert_same_trials(self.study(name, self.on(slots, ranks=len(slots), base=WORLD)), alone)
            self.assertEqual(self.best_model(name), self.best_model("alone"), name)


class AHostThatIsCutOff(HostsCase):
    def setUp(self):
        super().setUp()
        make_csv(self.path("made.csv"), rows=12000, features=16)
        self.addCleanup(self.hosts.mend, 2)

    def cut_off(self, experiment):
        """A study of this experiment that has lost an attempt with the second host."""
        self.write("exp.yaml", experiment)
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(2)
        self.hosts.cut(2)
        wait_until(self.lost, 120, "a lost attempt")
        return running

    def end(self, running):
        """Once it has gone on for a while."""
        self.wait_for_ended(self.ended_trials() + 4, seconds=120)
        self.regatta("stop", self.path("runs/tiny"))
        output = self.finish(running, code=130)
        self.assertEqual(self.lost(), 1, output)
        return output

    def test_costs_its_crew_one_attempt_and_the_study_goes_on_with_the_others(self):
        running = self.cut_off(self.on((1, 1), base=ENDLESS))
        self.assertIn("2 crews of 1: 1 on 10.77.0.1, 1 on 10.77.0.2", self.end(running))
        self.write("exp.yaml", ENDLESS)
        self.assert_ended_as_undisturbed()

    def test_costs_a_crew_over_hosts_one_attempt_and_is_used_again(self):
        world = ENDLESS.replace("}, batch_size: 16}", "}, batch_size: 16, deterministic: world}")
        running = self.cut_off(self.on((1, 1), ranks=2, base=world))
        wait_until(lambda: not self.workers(), 60, "the crew's end on both hosts")
        self.hosts.mend(2)
        self.assertIn("it is started again", self.end(running))
        self.write("exp.yaml", world)
        self.assert_ended_as_undisturbed()


class AKilledCoordinator(HostsCase):
    def test_takes_over_its_crews_on_other_hosts_when_it_is_resumed(self):
        make_csv(self.path("made.csv"), rows=12000, features=16)
        self.write("exp.yaml", self.on((1, 2), ranks=3, base=ENDLESS))
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(2)
        workers = self.workers()
        self.kill(running)
        self.assertEqual(len(workers), 3)
        count = self.ended_trials() + 4
        self.regatta("resume", self.path("runs/tiny"), "--set", f"search.stop.trials={count}")
        self.assertGreaterEqual(len(self.trials()), count)
        self.assertEqual(self.lost(), 0)
        self.assertEqual(os.listdir(self.path("runs/tiny/logs")).count("crew-0.1.log"), 1)
        self.assertNotIn("crew-0.2.log", os.listdir(self.path("runs/tiny/logs")))
        self.assertEqual(self.workers(), [])

    def test_ends_its_crews_on_other_hosts_when_it_is_interrupted(self):
        make_csv(self.path("made.csv"), rows=12000, features=16)
        self.write("exp.yaml", self.on((1, 1), base=ENDLESS))
        running = self.start("run", "exp.yaml")
        self.wait_for_ended(1)
        self.interrupt(running)
        wait_until(lambda: not self.workers(), 60, "the end of all ranks")
        self.assertEqual(self.lost(), 0)


class OneMpirunOverHosts(HostsCase):
    def setUp(self):
        super().setUp()
        make_csv(self.path("made.csv"), rows=12000, features=16)
        self.write("exp.yaml", LONGER.replace("ranks: 1", "ranks: 2"))

    def on_the_first(self, command):
        """The command as the first host runs it."""
        line = " ".join(command)
        return ["ip", "netns", "exec", "regatta-node1", "unshare", "--uts", "sh", "-c",
                f"hostname regatta-node1; exec {line}"]

    def resume(self):
        command = self.on_the_first([REGATTA, "resume", self.path("runs/tiny")])
        self.assertIn("finished", self.finish(self.start_process(command)))
        self.assertEqual([trial["state"] for trial in self.trials()], ["complete"] * 20)

    def begin(self, *more):
        command = self.hosts.mpirun_command((3, 2), [REGATTA, "run", self.path("exp.yaml"), "--runs-dir",
                                                     self.path("runs")], "--oversubscribe", *more)
        running = self.start_process(self.on_the_first(command))
        self.wait_for_ended(2)
        return running

    def leader(self, crew):
        with open(self.path("runs/tiny/crews", f"{crew}.json"), encoding="utf-8") as stream:
            return json.load(stream)

    def ranks(self):
        """Process ids of all ranks that run, rank 0 too."""
        return [process for process, line in processes_of(self.folder).items() if line.startswith(f"{REGATTA} run")]

    def test_puts_each_crew_whole_on_a_host_and_with_recovery_a_dead_rank_costs_its_crew_only(self):
        running = self.begin("--enable-recovery")
        hosts = {crew: self.leader(crew)["host"] for crew in ("crew-0.1", "crew-1.1")}
        self.assertEqual(sorted(hosts.values()), ["regatta-node1", "regatta-node2"])
        before = len(self.ranks())
        os.kill(self.leader("crew-1.1")["process_id"], signal.SIGKILL)
        wait_until(lambda: len(self.ranks()) == before - 2, 60, "the end of the crew's other rank")
        output, _ = running.communicate(timeout=120)
        self.assertIn("has died", output)
        self.assertIn("the other crews go on", output)
        self.assertIn("finished in", output)
        self.assertEqual(self.ranks(), [])
        self.assertEqual(self.lost(), 1)
        self.assertEqual(len(self.trials()), 20)

    def test_ends_resumable_when_no_crew_is_left(self):
        running = self.begin("--enable-recovery")
        for crew in ("crew-0.1", "crew-1.1"):
            os.kill(self.leader(crew)["process_id"], signal.SIGKILL)
        output, _ = running.communicate(timeout=120)
        self.assertIn("no crew is left", output)
        self.assertIn("resume ", output)
        self.resume()

    def test_ends_as_one_without_recovery_and_says_how_to_go_on(self):
        running = self.begin()
        os.kill(self.leader("crew-1.1")["process_id"], signal.SIGKILL)
        output, _ = running.communicate(timeout=120)
        self.assertNotEqual(running.returncode, 0)
        self.assertIn("go on with: ", output)
        self.resume()


if __name__ == "__main__":
    main()
