"A model that has died is an alarm with an incident, and nothing is trained on its labels; one that is fine is none, however late its labels are."

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from mlops_kit.alerting.incidents import load_incidents
from mlops_kit.alerting.notify import send_alerts
from mlops_kit.backtest.simulator import monitor_period
from mlops_kit.ci import scheduled
from mlops_kit.core.contract import load_contract
from mlops_kit.core.files import read_yaml, save_table
from mlops_kit.models.encoding import encode_labels
from mlops_kit.models.estimators import fit_model, make_model, predict_scores
from mlops_kit.models.metrics import PRIMARY, primary_metric
from mlops_kit.models.outputs import LABEL, SENSITIVE, label_column, score_table
from mlops_kit.models.serialization import save_model
from mlops_kit.monitoring.batch import Delivery, compare_delivery
from mlops_kit.monitoring.reference import make_reference, save_reference
from mlops_kit.monitoring.summary import drift_lines
from mlops_kit.monitoring.verdict import NOT_JUDGED
from mlops_kit.retraining.due import gather_facts
from mlops_kit.retraining.policy import decision_line
from mlops_nb.monitor import monitor
from mlops_nb.retrain import retrain

CLASSES = ["low", "mid", "top"]
SPECS = {
    "binary": {"task": "binary", "classes": []},
    "multiclass": {"task": "multiclass", "classes": CLASSES},
    "regression": {"task": "regression", "classes": []},
}
TYPES = {"binary": "boolean", "multiclass": "category", "regression": "number"}
Fault = Callable[[pd.Series, np.ndarray, np.random.Generator], pd.Series]


def rows_of(first: str, days: int, task: str, seed: int) -> pd.DataFrame:
    "Rows of a toy, 150 a day."
    rng, n = np.random.default_rng(seed), days * 150
    x = rng.normal(5, 1, n).round(2)
    level = np.repeat(rng.normal(0, 0.2, days), 150)
    value = x + level + rng.normal(0, 0.7, n)
    y = {
        "binary": lambda: pd.Series(value > 5).astype("boolean"),
        "multiclass": lambda: pd.Series(pd.cut(value, [-99, 4.4, 5.6, 99], labels=CLASSES)).astype(
            "object"
        ),
        "regression": lambda: pd.Series(value.round(2)),
    }[task]()
    times = np.repeat(pd.date_range(first, periods=days), 150)
    return pd.DataFrame({"at": times, "x": x, "sex": rng.choice(["f", "m"], n), "y": y})


def make_bundle(folder: Path, task: str) -> dict:
    "Write the bundle of a model of April and May, tested in June; give its contract."
    spec, folder = SPECS[task], folder
    past, test = rows_of("2024-04-01", 61, task, 1), rows_of("2024-06-01", 30, task, 2)
    entry = {"nullable": True, "meaning": "m", "source": "s", "sensitive": False, "known": True}
    columns = {
        "at": entry | {"type": "datetime", "nullable": False},
        "x": entry | {"type": "number"},
        "sex": entry | {"type": "category", "sensitive": True},
        "y": entry | {"type": TYPES[task], "known": False},
    }
    agreed = {"time": "at", "target": "y", "task": task, "key": [], "columns": columns}
    (folder / "contract.yaml").write_text(yaml.safe_dump(agreed))
    settings = {"rounds": 5, "l2": 1.0, "learning_rate": 0.1, "leaves": 4, "min_rows_per_leaf": 5}
    model = make_model("linear", settings, (["x"], ["sex"], [], []), 1, spec)
    model = fit_model(model, past[["x", "sex"]], encode_labels(past["y"], spec))
    save_model(folder / "model.skops", model)
    scores = predict_scores(model, test[["x", "sex"]], spec)
    kept = score_table(test["at"], test["y"], scores, spec)
    save_table(folder / "test_scores.parquet", kept.assign(**{f"{SENSITIVE}sex": test["sex"]}))
    value = primary_metric(encode_labels(test["y"], spec), scores, spec)
    span = lambda rows: {"from": str(rows["at"].min().date()), "to": str(rows["at"].max().date())}
    windows = {"train": span(past), "valid": span(past), "test": span(test)}
    listing = {"time": "at", "target": "y", "spec": spec, "windows": windows, "labelled": len(past)}
    for name, content in {
        "features": listing | {"features": {"x": "number", "sex": "category"}},
        "train": {"threshold": 0.5, "rows": len(past)},
        "evaluate": {"metrics": {PRIMARY[task]: {"value": float(value)}}},
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    label, kind = label_column(past["y"], spec)
    known = past[["x", "sex"]].assign(**{LABEL: label})
    kinds = {"x": "number", "sex": "category", LABEL: kind}
    save_reference(folder, make_reference(known, kinds, past["at"], {"importance": {"x": 0.3}}))
    return load_contract(folder / "contract.yaml")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict]]:
    made = {}
    for task in SPECS:
        folder = tmp_path_factory.mktemp(task)
        made[task] = folder, make_bundle(folder, task)
    return made


@pytest.fixture(scope="module")
def params(root: Path) -> dict:
    return read_yaml(root / "params.yaml")["monitor"] | {"slice_columns": [], "persist": 1}


def newest(rows: pd.DataFrame, days: int = 14) -> np.ndarray:
    return (rows["at"] > rows["at"].max() - pd.Timedelta(days=days)).to_numpy()


def look(
    bundle: tuple[Path, dict],
    params: dict,
    fault: Fault | None,
    task: str = "binary",
    weeks: int = 4,
) -> dict:
    "Monitor the weeks after the test window, their labels treated by a fault."
    rows = rows_of("2024-07-01", 7 * weeks, task, 3)
    if fault:
        rows["y"] = fault(rows["y"], newest(rows), np.random.default_rng(4))
    days = pd.date_range("2024-07-01", periods=weeks, freq="7D")
    spans = [(d, d + pd.Timedelta(days=6)) for d in days]
    asof = f"{spans[-1][1]:%Y-%m-%d}"
    found = monitor(bundle[0], rows, spans, bundle[1], params | {"asof": asof}).result
    return {"asof": asof, "model": "v1.0.0"} | found


def shuffled(y: pd.Series, bad: np.ndarray, rng: np.random.Generator) -> pd.Series:
    y = y.copy()
    y[bad] = rng.permutation(y[bad].to_numpy())
    return y


def half_shuffled(y: pd.Series, bad: np.ndarray, rng: np.random.Generator) -> pd.Series:
    return shuffled(y, bad & (rng.random(len(y)) < 0.5), rng)


def partly(share: float) -> Fault:
    return lambda y, bad, rng: y.where(~bad | (rng.random(len(y)) < share))


FAULTS = {
    "random": ("binary", shuffled, "broken", "decay"),
    "inverted": ("binary", lambda y, bad, rng: y.where(~bad, ~y), "broken", "decay"),
    "one class": ("binary", lambda y, bad, rng: y & ~bad, "broken", "labels"),
    "shifted by a row": (
        "binary",
        lambda y, bad, rng: y.where(~bad, y.shift(1)),
        "broken",
        "decay",
    ),
    "half random": ("binary", half_shuffled, "changed and matters", "decay"),
    "classes exchanged": (
        "multiclass",
        lambda y, bad, rng: y.where(~bad, y.map(dict(zip(CLASSES, [*CLASSES[1:], CLASSES[0]])))),
        "broken",
        "decay",
    ),
    "times ten": ("regression", lambda y, bad, rng: y.where(~bad, y * 10), "broken", "decay"),
    "random numbers": ("regression", shuffled, "broken", "decay"),
    "one number": ("regression", lambda y, bad, rng: y.where(~bad, 5.0), "broken", "labels"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_wrong_labels_are_an_alarm(bundles: dict, params: dict, name: str) -> None:
    task, fault, severity, kind = FAULTS[name]
    found = look(bundles[task], params, fault, task)
    assert found["alarm"] and found["state"] == severity, (found["state"], found["findings"])
    assert (severity, kind) in {(f["severity"], f["what"]) for f in found["findings"]}
    assert "(alarm: yes)" in " ".join(drift_lines(found)[:3])


FINE = {
    "as they are": (None, "quiet", True),
    "two weeks late": (partly(0.0), "quiet", True),
    "for two thirds of the rows": (partly(0.67), "quiet", True),
    "for a tenth of the rows": (partly(0.1), "quiet", True),
    "all missing": (lambda y, bad, rng: y.where(np.zeros(len(y), bool)), NOT_JUDGED, False),
    "a few": (lambda y, bad, rng: y.where(np.arange(len(y)) < 30), NOT_JUDGED, False),
    "a little worse": (
        lambda y, bad, rng: y.where(rng.random(len(y)) > 0.02, ~y),
        "quiet",
        True,
    ),
}


@pytest.mark.parametrize("name", FINE)
def test_a_model_that_is_fine_is_no_alarm(bundles: dict, params: dict, name: str) -> None:
    fault, state, judged = FINE[name]
    found = look(bundles["binary"], params, fault)
    assert not found["alarm"] and (found["state"], found["judged"]["performance"]) == (
        state,
        judged,
    )
    said = " ".join(drift_lines(found))
    assert ("performance not judged" in said) != judged and ("performance judged" in said) == judged


def test_few_alarms_while_nothing_is_wrong(bundles: dict, params: dict) -> None:
    "Forty stretches of four weeks of each task, judged at the rate that is asked for."
    from mlops_kit.monitoring.assessment import name_windows, open_case
    from mlops_kit.monitoring.performance_verdict import judge_performance

    alarms = 0
    for task, (bundle, contract) in bundles.items():
        for seed in range(40):
            rows = rows_of("2024-07-01", 28, task, 100 + seed)
            days = pd.date_range("2024-07-01", periods=4, freq="7D")
            case = open_case(bundle, rows, contract, dated=True)
            named = name_windows(case, [(d, d + pd.Timedelta(days=6)) for d in days])
            alarms += any(c.alarm for c in judge_performance(case, named, contract, params)[0])
    assert alarms <= 2


def faulty_model(
    bundle: Path, change: Callable[[np.ndarray, pd.DataFrame], np.ndarray]
) -> Callable:
    from mlops_kit.monitoring import assessment

    real = assessment.predict_scores
    return lambda model, features, task: change(real(model, features, task), features)


@pytest.mark.parametrize(
    "kind, severity, change",
    [
        ("calibration", "changed and matters", lambda s, f: s / 2),
        ("decay", "broken", lambda s, f: np.full(len(s), 0.4)),
        ("fairness", "changed and matters", lambda s, f: np.where(f["sex"] == "f", s * 0.4, s)),
    ],
)
def test_a_faulty_model_is_an_alarm(
    bundles: dict,
    params: dict,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    severity: str,
    change: Callable,
) -> None:
    spoilt = faulty_model(bundles["binary"][0], change)
    monkeypatch.setattr("mlops_kit.monitoring.assessment.predict_scores", spoilt)
    found = look(bundles["binary"], params, None)
    assert (severity, kind) in {(f["severity"], f["what"]) for f in found["findings"]}
    assert found["alarm"]


def decided(root: Path, found: dict) -> dict:
    policy = read_yaml(root / "params.yaml")["retrain"]
    due = policy | {"triggers": policy["triggers"] | {"schedule": True}, "every": "1 week"}
    return retrain(gather_facts(found, 10**6), due, [])


def test_nothing_is_trained_on_labels_before_a_person_has_looked(
    bundles: dict, params: dict, root: Path
) -> None:
    line = decision_line(decided(root, look(bundles["binary"], params, shuffled)))
    assert line.startswith("no retraining although ") and "ROC AUC 0." in line
    assert "held back until a person has looked at the labels" in line
    assert '`mlops-nb retrain --why "labels checked"`' in line
    weaker = decided(root, look(bundles["binary"], params, half_shuffled))
    assert weaker["retrain"] and weaker["triggers"]["decay"]["fired"]


def test_the_issue_opens_and_stays_open(
    bundles: dict, params: dict, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, issue = SimpleNamespace(dry=False, say=print), {}
    for name in ("params.yaml",):
        (tmp_path / name).write_text((root / name).read_text())
    monkeypatch.delenv("MLOPS_NB_ALERTS", raising=False)
    monkeypatch.setattr(scheduled, "find_issue", lambda hub, label: issue or None)
    monkeypatch.setattr(
        scheduled, "upsert_issue", lambda h, l, title, body, c: issue.update(title=title, body=body)
    )
    monkeypatch.setattr(scheduled, "close_issue", lambda hub, label, words: issue.clear())

    def night(found: dict, week: int) -> None:
        day = f"{pd.Timestamp('2024-07-28') + pd.Timedelta(weeks=week):%Y-%m-%d}"
        found = found | {"asof": day, "window": found["window"] | {"to": day}}
        scheduled.restore_incidents(tmp_path, issue.get("body", ""))
        send_alerts(tmp_path, found, day)
        scheduled.update_drift_issue(tmp_path, hub, found, drift_lines(found), "no retraining")

    dead = look(bundles["binary"], params, shuffled)
    unknown = look(bundles["binary"], params, FINE["all missing"][0])
    fine = look(bundles["binary"], params, None)
    night(dead, 0)
    assert issue["title"] == "Drift since 2024-07-28: broken, (performance) (decay)"
    night(dead, 1)
    for week in (2, 3, 4):
        night(unknown, week)
        assert issue["title"].startswith("Drift since 2024-07-28: broken"), "no labels, no recovery"
    assert [i.kind for i in load_incidents(tmp_path).open().values()] == ["decay"]
    night(fine, 5)
    assert issue
    night(fine, 6)
    assert not issue, "two windows that were judged end it"


def test_a_file_and_the_replay_say_the_same(bundles: dict, params: dict) -> None:
    bundle, contract = bundles["binary"]
    rows = rows_of("2024-07-01", 7, "binary", 3)
    rows["y"] = shuffled(rows["y"], np.ones(len(rows), bool), np.random.default_rng(4))
    day = pd.Timestamp("2024-07-07")
    staged = monitor(
        bundle, rows, [(day - pd.Timedelta(days=6), day)], contract, params | {"asof": "2024-07-07"}
    ).result
    period = SimpleNamespace(asof="2024-07-07", start=pd.Timestamp("2024-07-01"))
    span = SimpleNamespace(params={"monitor": params}, contract=contract)
    replayed = monitor_period(span, SimpleNamespace(bundle=bundle), period, rows)
    delivery = Delivery(rows, pd.Series("", index=rows.index), [], [])
    filed = compare_delivery(bundle, "v1.0.0", delivery, params, 0.001)
    pick = lambda found: [f for f in found["findings"] if f["what"] == "decay"]
    assert pick(staged) and pick(staged) == pick(replayed) == pick(filed)
    assert staged["state"] == replayed["state"] == filed["state"] == "broken"
    assert "labels first" in " ".join(drift_lines(filed))
