"A gate that gates: what is noise, or too little, or no better than a simple model, does not pass it."

import json

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from mlops_kit.core.files import read_yaml
from mlops_kit.registry.challenge import NO_CHAMPION
from mlops_kit.scaffold.contract_draft import draft_contract
from mlops_kit.scaffold.params_draft import draft_params
from mlops_kit.scaffold.profiling import profile_table
from mlops_nb.evaluate import evaluate
from mlops_nb.features import features
from mlops_nb.gate import gate
from mlops_nb.train import train


def judged(table: pd.DataFrame, target: str, **given) -> tuple[dict, dict, dict]:
    "Draft a project's contract and parameters, and run the stages: choice, evaluation, verdict."
    profile = profile_table([table.astype("str")])
    contract, typed, _ = draft_contract(profile, target, None, "auto", None, "t")
    contract = {"positive": None} | contract
    values, _, _ = draft_params(profile, contract, typed, "data/t.csv", "t")
    params = read_yaml(ROOT / "params.yaml")
    quick = {"evaluate.resamples": 100, "evaluate.importance_rows": 50, "train.rounds": 60}
    for name, value in (values | quick | given).items():
        section, _, key = name.partition(".")
        if key:
            params[section][key] = value
    cut = features(typed, contract, params["features"] | {"asof": params["data"]["asof"]})
    trained = train(cut, params["train"] | {"seed": 1})
    found = evaluate(trained, cut, NO_CHAMPION, params["evaluate"] | {"seed": 1}).result
    return trained.choice, found, gate(found, cut.findings, params["gate"])


def table(rows: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({f"x{i}": rng.normal(size=rows).round(4) for i in range(5)})


def answers(pull: pd.Series, seed: int = 1) -> np.ndarray:
    return np.where(pull + np.random.default_rng(seed).logistic(size=len(pull)) > 0, "yes", "no")


def three_classes(rows: int, seed: int) -> np.ndarray:
    "Noise, and one class of a single row, which once lowered the limit to .28."
    labels = np.random.default_rng(seed).choice(["red", "green", "blue"], rows)
    labels[0] = "violet"
    return labels


NOISE = {
    "a yes or no": lambda seed: answers(pd.Series(np.zeros(1600)), seed),
    "three classes and a row": lambda seed: three_classes(1600, seed),
    "a number": lambda seed: np.random.default_rng(seed).normal(size=1600).round(4),
    "heavy tails": lambda seed: np.random.default_rng(seed).standard_t(1.5, 1600).round(4),
    "few rows": lambda seed: answers(pd.Series(np.zeros(120)), seed),
}


@pytest.mark.parametrize("seed, kind", list(enumerate(NOISE, 11)))
def test_noise_does_not_pass(kind: str, seed: int) -> None:
    labels = NOISE[kind](seed + 100)  # not the draws of the columns
    _, found, verdict = judged(table(len(labels), seed).assign(y=labels), "y")
    assert not verdict["passed"], verdict
    assert found["gain_over_chance"]["low"] <= 0
    named = {"train.model": "hist_gradient_boosting", "train.rounds": 40}  # nor one that is named
    _, _, verdict = judged(table(len(labels), seed).assign(y=labels), "y", **named)
    assert not verdict["passed"], verdict


def test_where_the_simple_model_is_as_good_it_is_proposed() -> None:
    t = table(2500)
    kept = t.assign(y=answers(1.2 * t["x0"] + t["x1"]))
    choice, found, verdict = judged(kept, "y")
    taken = next(c for c in choice["candidates"] if c["chosen"])
    assert taken["model"] == "linear" and "linear" in choice["reason"]
    assert found["gain"]["value"] == 0 and verdict["state"] == "passed", verdict
    named = {"train.model": "hist_gradient_boosting"}
    _, found, verdict = judged(kept, "y", **named)
    assert found["gain"]["low"] < 0 and not verdict["passed"]
    assert "train.baseline_model" in str(verdict)


def test_where_boosting_is_better_it_is_taken_and_passes() -> None:
    t = table(3000)
    choice, found, verdict = judged(t.assign(y=answers(5 * t["x0"] * t["x1"])), "y")
    assert next(c for c in choice["candidates"] if c["chosen"])["model"] == "hist_gradient_boosting"
    assert found["gain"]["low"] > 0 and verdict["state"] == "passed", verdict


def test_rounds_are_chosen_by_what_is_judged() -> None:
    "Where a class is rare the log loss stops early, and macro F1 is what counts."
    t = table(3000, 5)
    pull = 1.2 * t["x0"] * t["x1"] + 0.8 * np.random.default_rng(2).normal(size=3000)
    y = np.select([pull > 1.6, pull < -1.6], ["rare", "seldom"], "usual")
    found = {}
    for model in ("hist_gradient_boosting", "linear"):
        named = {"train.model": model, "train.learning_rate": 0.3}
        found[model] = judged(t.assign(y=y), "y", **named)[1]["metrics"]["f1_macro"]["value"]
    assert found["hist_gradient_boosting"] > found["linear"] + 0.1, found


@pytest.mark.parametrize("rows, yes", [(60, 0.5), (400, 0.5), (9000, 0.007)])
def test_too_little_data_to_tell(rows: int, yes: float) -> None:
    t = table(rows, 3)
    pull = 4 * t["x0"] + np.random.default_rng(3).logistic(size=rows)
    y = np.where(pull > pull.quantile(1 - yes), "yes", "no")
    _, found, verdict = judged(t.assign(y=y), "y")
    assert (verdict["passed"], verdict["state"]) == (False, "undecided"), verdict
    first = verdict["checks"][0]["reason"]
    assert (
        first.startswith("too little data to tell: ") and "are needed (with the same split" in first
    )
    _, _, verdict = judged(t.assign(y=y), "y", **{"gate.min_test_rows": 0, "gate.min_rare_rows": 0})
    assert verdict["checks"][0]["passed"]  # who accepts less evidence says so in params.yaml


def test_the_same_data_give_the_same_choice() -> None:
    t = table(900)
    kept = t.assign(y=(t["x0"] * 3 + t["x1"] ** 2).round(3))
    assert json.dumps(judged(kept, "y")[0]) == json.dumps(judged(kept, "y")[0])


def test_drafted_limits_are_never_below_chance_or_the_simple_model() -> None:
    for rows in (60, 400, 5000):
        t = table(rows)
        for y in (answers(t["x0"]), three_classes(rows, 1), t["x0"].to_numpy()):
            profile = profile_table([t.drop(columns="x0").assign(y=y).astype("str")])
            contract, typed, _ = draft_contract(profile, "y", None, "auto", None, "t")
            values, _, _ = draft_params(profile, contract, typed, "data/t.csv", "t")
            chance = {"binary": 0.5, "multiclass": 1 / 3, "regression": 0.0}[contract["task"]]
            assert values["gate.min_score"] > chance and values["gate.min_gain"] >= 0
            assert values["gate.min_over_chance"] >= 0 and values["gate.min_test_rows"] == 300
            assert values["train.model"] == "auto"
