#!/usr/bin/python3
"""What `resources.bind` is worth on this machine: epochs of real studies, bound to cores and not, in turns.

    benchmarks/train/binding.py build/release/regatta

A ratio above 1 says that binding is faster: the seconds of an epoch with `bind: none` over those with `auto`, each the median
of all rounds. It is a matter of the machine: run it alone on the host, and again beside whatever the host is to run.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile

EXPERIMENT = """\
name: {name}
seed: 1
objective: {{maximize: val_accuracy}}
search: {{sampler: random, scheduler: {{type: fifo, max_epochs: {epochs}}}, stop: {{trials: {crews}}}}}
space: {{lr: {{float: [0.01, 0.02]}}}}
data: {{format: idx, path: /usr/share/datasets/fashion-mnist, validation: 0.1, normalize: true}}
model: {model}
train: {{optimizer: {{type: sgd, lr: $lr, momentum: 0.9}}, batch_size: 256}}
resources: {{crews: {crews}, ranks: {ranks}, threads: {threads}, device: cpu, bind: {bind}}}
"""
CNN = "{layers: [conv: {filters: 32}, relu, max_pool: 2, conv: {filters: 64}, relu, max_pool: 2, dense: 128, relu, dense: 10]}"
MODELS = {"mlp": "{layers: [dense: 512, relu, dense: 256, relu, dense: 10]}", "cnn": CNN}


def layouts(cores):
    """(crews, ranks, threads) that fill the cores."""
    return sorted({(cores, 1, 1), (1, cores, 1), (1, 1, cores)})


def epoch_seconds(regatta, model, layout, epochs, bind):
    crews, ranks, threads = layout
    with tempfile.TemporaryDirectory() as folder:
        text = EXPERIMENT.format(name="binding", epochs=epochs, crews=crews, ranks=ranks, threads=threads, bind=bind,
                                 model=MODELS[model])
        with open(os.path.join(folder, "exp.yaml"), "w", encoding="utf-8") as stream:
            stream.write(text)
        subprocess.run([regatta, "run", "exp.yaml"], cwd=folder, check=True, capture_output=True)
        listed = subprocess.run([regatta, "trials", "runs/binding", "--json"], cwd=folder, check=True,
                                capture_output=True, text=True)
        return statistics.mean(trial["seconds"] / trial["epochs"] for trial in json.loads(listed.stdout))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("regatta")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    regatta = os.path.abspath(options.regatta)
    print("model   crews x ranks x threads   none (s an epoch)   auto   ratio")
    for model in options.models:
        for layout in layouts(len(os.sched_getaffinity(0))):
            seconds = {"none": [], "auto": []}
            for number in range(options.rounds):
                for bind in ("none", "auto") if number % 2 == 0 else ("auto", "none"):
                    epochs = options.epochs if model == "cnn" else 4 * options.epochs
                    seconds[bind].append(epoch_seconds(regatta, model, layout, epochs, bind))
            none, auto = (statistics.median(seconds[bind]) for bind in ("none", "auto"))
            print(f"{model:7} {' x '.join(map(str, layout)):25} {none:10.3f} {auto:13.3f} {none / auto:7.3f}", flush=True)


if __name__ == "__main__":
    main()
