"""Opens a study with Optuna and compares what Optuna sees with what the study's writer knew.

usage: optuna_test.py STUDY.db EXPECTED.json
"""
import json
import math
import sys

import optuna


def main(database, expected_file):
    with open(expected_file, encoding="utf-8") as file:
        expected = json.load(file)
    storage = optuna.storages.RDBStorage(f"sqlite:///{database}", skip_compatibility_check=True)
    study = optuna.load_study(study_name=expected["name"], storage=storage)
    assert study.direction.name == expected["direction"], study.direction

    trials = study.get_trials()
    assert [trial.number for trial in trials] == list(range(len(expected["trials"])))
    for trial, wanted in zip(trials, expected["trials"]):
        assert trial.state.name == wanted["state"], (trial.number, trial.state, wanted["state"])
        assert trial.params == wanted["params"], (trial.number, trial.params, wanted["params"])
        seen = {str(step): value for step, value in trial.intermediate_values.items()}
        assert seen.keys() == wanted["reports"].keys(), (trial.number, seen)
        for step, value in wanted["reports"].items():
            value = float(value)
            same = seen[step] == value or (math.isnan(seen[step]) and math.isnan(value))
            assert same, (trial.number, step, seen[step], value)
        if wanted["value"] is None:
            assert trial.values is None, (trial.number, trial.values)
        else:
            assert trial.value == wanted["value"], (trial.number, trial.value, wanted["value"])
        if trial.state.is_finished():
            assert trial.datetime_start <= trial.datetime_complete, trial.number

    if expected["best"] is None:
        return
    assert study.best_trial.number == expected["best"], (study.best_trial.number, expected["best"])
    if expected["goes_on"]:
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
        assert len(study.trials) == len(trials) + 1


if __name__ == "__main__":
    main(*sys.argv[1:])
