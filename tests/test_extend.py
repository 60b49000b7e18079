"A model, a feature, a metric and a check of one's own are one cell each: the printed examples run in a project."

import json
import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
from conftest import ROOT, edit, run, set_params

from mlops_kit.core.extensions import CHAPTERS
from mlops_kit.core.files import load_json
from mlops_kit.core.params import sample_params
from mlops_kit.core.project import project_notebooks, read_notebook
from mlops_kit.monitoring.limits import Limits
from mlops_kit.notebooks.test_sample import sample_copy
from mlops_kit.scaffold.extend import write_example

PARAMETERS = "globals().update(stage_parameters("


def add_cell(folder: Path, chapter: str, source: str, name: str = "") -> None:
    "Put an exported cell into a chapter, below its parameters."
    path = project_notebooks(folder)[chapter]
    notebook = read_notebook(path)
    place = next(n for n, c in enumerate(notebook["cells"]) if PARAMETERS in "".join(c["source"]))
    cell = {"cell_type": "code", "id": f"own{name or chapter}", "metadata": {}, "source": source}
    notebook["cells"].insert(place + 1, cell | {"outputs": [], "execution_count": None})
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def command(folder: Path, *words: str) -> subprocess.CompletedProcess:
    return run(["mlops-nb", *words], folder, PYTHONPATH=str(folder), MLOPS_NB_ROOT=str(folder))


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "Give a sample project, validated, into which all printed examples are put."
    folder = sample_copy(ROOT, "validate", sample_params(ROOT))
    for name in ("mlops_nb", "lib"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored, dirs_exist_ok=True)
    command(folder, "code")  # from here on an edit of a notebook is no edit of a module by hand
    for kind, chapter in CHAPTERS.items():
        add_cell(folder, chapter, write_example(folder, kind)["cell"])
    done = command(folder, "code")
    assert done.returncode == 0, done.stdout + done.stderr
    derived = ["minute_of_day", "weekend"]
    search = {"method": "random", "seconds": 0, "trials": 2, "space": {}}
    set_params(
        folder,
        {
            **{"features.derived": derived, "train.model": "extra_trees", "train.rounds": 12},
            **{"train.settings": {"max_features": 0.3}, "train.search": search},
            **{"evaluate.resamples": 10, "evaluate.importance_rows": 100},
        },
    )
    for stage in ("features", "train", "evaluate", "gate", "package"):
        done = command(folder, "stage", stage)
        assert done.returncode == 0, done.stdout + done.stderr
    yield folder
    shutil.rmtree(folder.parent, ignore_errors=True)


def test_feature_model_metric_and_check_are_in_the_results(extended: Path) -> None:
    kinds = load_json(extended / "data/features/features.json")["features"]
    assert kinds["weekend"] == "category"
    trained = load_json(extended / "metrics/train.json")
    assert trained["model"] == "extra_trees" and trained["search"]["trials"] == 2
    assert 0.1 <= trained["settings"]["max_features"] <= 1.0
    evaluated = load_json(extended / "metrics/evaluate.json")
    error = evaluated["metrics"]["mean_error"]
    assert error["low"] <= error["value"] <= error["high"] and error["value"] > 0
    gain = evaluated["baseline"]["mean_error"] - error["value"]  # a smaller error is better
    assert abs(evaluated["gains"]["mean_error"]["value"] - gain) < 3e-6  # files have six digits
    verdicts = {c["name"]: c for c in load_json(extended / "metrics/gate.json")["checks"]}
    assert verdicts["enough_rows"]["passed"] and verdicts["enough_rows"]["limit"] == 50
    assert "extra_trees" in (extended / "MODEL_CARD.md").read_text()


def test_the_bundle_scores_in_a_new_process(extended: Path) -> None:
    script = (
        "import pandas as pd; from pathlib import Path\n"
        "from mlops_kit.models.serialization import load_model\n"
        "from mlops_kit.models.estimators import predict_scores\n"
        "from mlops_kit.core.files import load_json\n"
        "rows = pd.read_parquet('data/features/test.parquet')\n"
        "names = list(load_json(Path('models/bundle/features.json'))['features'])\n"
        "model = load_model(Path('models/bundle/model.skops'))\n"
        "scores = predict_scores(model, rows[names], {'task': 'binary', 'classes': []})\n"
        "print(type(model[-1]).__name__, len(scores), scores.min() >= 0, scores.std() > 0)\n"
    )
    done = run(["python", "-c", script], extended, PYTHONPATH=str(extended))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "ExtraTreesClassifier"
    assert done.stdout.split()[2:] == ["True", "True"]


def test_extend_lists_them_with_their_cells(extended: Path) -> None:
    listed = json.loads(command(extended, "extend", "--json").stdout)
    own = {
        kind: [e for e in found if e["cell"].startswith("own")] for kind, found in listed.items()
    }
    assert {kind: [e["name"] for e in found] for kind, found in own.items()} == {
        "feature": ["weekend"],
        "model": ["extra_trees"],
        "metric": ["mean_error"],
        "check": ["enough_rows"],
    }
    assert own["model"][0]["where"] == "nbs/04_train.ipynb"
    assert own["model"][0]["summary"] == "Extremely randomized trees."
    shown = command(extended, "extend").stdout
    assert "  linear: Ridge or logistic regression. (mlops_kit.models.model_types)" in shown
    refused = command(extended, "extend", "colour")
    assert refused.returncode == 1 and "kinds are: feature, model, metric, check" in refused.stderr


def test_a_misspelt_setting_ends_with_one_line(extended: Path) -> None:
    before = (extended / "params.yaml").read_text()
    set_params(extended, {"train.settings": {"max_feature": 1}})
    done = command(extended, "stage", "train")
    (extended / "params.yaml").write_text(before)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 1 and len(lines) == 1, done.stderr
    assert "unknown parameter train.settings.max_feature; did you mean max_features?" in lines[0]
    set_params(extended, {"train.model": "extra_tree"})
    done = command(extended, "stage", "train")
    (extended / "params.yaml").write_text(before)
    assert "train.model is 'extra_tree'; models are: hist_gradient_boosting" in done.stderr
    assert "extra_trees" in done.stderr and len(done.stderr.strip().splitlines()) == 1


OWN_CLASS = """#| export
from sklearn.linear_model import LogisticRegression


class Own(LogisticRegression):
    "A class of the project's own."


@model_types.model("own_class")
def make_own(context: model_types.ModelContext, *, l2: float) -> Any:
    "Logistic regression by another name."
    return Own(C=1 / (l2 + 1))
"""


def test_a_type_that_nobody_declared_is_not_written(extended: Path) -> None:
    add_cell(extended, "train", OWN_CLASS, "class")
    set_params(extended, {"train.model": "own_class", "train.settings": {}})
    set_params(extended, {"train.search": {"method": "none"}})
    assert command(extended, "code").returncode == 0
    done = command(extended, "stage", "train")
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 1 and len(lines) == 1, done.stderr
    assert "holds mlops_nb.train.Own" in lines[0]
    assert "write @model(…, trusted=['mlops_nb.train.Own'])" in lines[0]

    edit(extended, "train", '@model_types.model("own_class")', DECLARED)
    assert command(extended, "code").returncode == 0
    for stage in ("train", "evaluate"):  # evaluate reads it in a process of its own
        done = command(extended, "stage", stage)
        assert done.returncode == 0, done.stdout + done.stderr
    assert load_json(extended / "metrics/train.json")["model"] == "own_class"


DECLARED = '@model_types.model("own_class", trusted=["mlops_nb.train.Own"])'


def test_every_limit_of_monitoring_decides_something() -> None:
    folder = ROOT / "lib/mlops_kit"
    if not folder.is_dir():
        pytest.skip("the library is a wheel")
    rooms = [folder / "monitoring", folder / "backtest"]
    code = "".join(p.read_text() for r in rooms for p in r.glob("*.py") if p.stem != "limits")
    used = {f.name for f in fields(Limits) if re.search(rf"limits\.{f.name}\b", code)}
    derived = {"max_unit_residual"} if "limits.min_unit_effect" in code else set()
    assert used | derived == {f.name for f in fields(Limits)}


def test_a_limit_reaches_the_verdict_of_the_stage(extended: Path) -> None:
    set_params(
        extended, {"monitor.limits": {"min_labels": 10**6, "min_independent_windows": 10**4}}
    )
    done = command(extended, "stage", "monitor")
    assert done.returncode == 0, done.stdout + done.stderr
    drift = load_json(extended / "metrics/drift.json")
    assert drift["performance"][-1]["reason"].endswith("at least 1,000,000 are needed")
    assert any(note.startswith("cannot be judged: ") for note in drift["notes"])
    set_params(extended, {"monitor.limits": {"min_label": 1}})
    done = command(extended, "stage", "monitor")
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1
    assert "unknown parameter monitor.limits.min_label; did you mean min_labels?" in done.stderr
