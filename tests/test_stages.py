"A stage is one function: who changes how `train` works has changed the pipeline, the replay and the retraining."

import json
import shutil
from pathlib import Path

from conftest import ROOT, commit, edit, run

from mlops_kit.core.sandbox import clone_commit, set_parameters
from mlops_kit.core.files import load_json
from mlops_kit.retraining.apply import work_folder
from mlops_kit.retraining.run import run_pipeline
from mlops_kit.storage.objects import open_store

OLD = "    rows, time, half_life = "
# a model that predicts the same for every row: its ROC AUC is 0.5, whatever the data; the chapter's
# own example, of one feature, keeps its model
NEW = '    params = params | ({"model": "dummy"} if len(features.names) > 1 else {})\n' + OLD


def command(folder: Path, *words: str) -> None:
    "Run a command of the project by the project's own package."
    done = run(["mlops-nb", *words], folder, PYTHONPATH=str(folder), MLOPS_NB_ROOT=str(folder))
    assert done.returncode == 0, done.stdout + done.stderr


def trained_score(folder: Path) -> float:
    "Read the score of the candidate on validation."
    return load_json(folder / "metrics/train.json")["valid"]["roc_auc"]


def test_one_line_changes_pipeline_replay_and_retraining(sample) -> None:
    project = sample("train")
    assert trained_score(project) > 0.55
    for name in ("mlops_nb", "lib", ".dvc"):
        ignored = shutil.ignore_patterns("__pycache__", "tmp", "cache", "*.local", "*.egg-info")
        shutil.copytree(ROOT / name, project / name, ignore=ignored, dirs_exist_ok=True)
    for name in (".gitignore", ".dvcignore", "environment.yaml"):
        shutil.copy(ROOT / name, project / name)
    command(project, "code")  # from here on an edit of a notebook is no edit of a module by hand
    edit(project, "train", OLD, NEW)
    command(project, "code")
    assert NEW in (project / "mlops_nb/train.py").read_text()

    command(project, "stage", "train")
    assert trained_score(project) == 0.5

    command(project, "replay", "--from", "2013-04", "--to", "2013-05", "--no-incident")
    replayed = json.loads((project / "metrics/replay.json").read_text())
    assert set(replayed["means"].values()) == {0.5}, replayed["means"]

    head, clone = commit(project), work_folder(project)
    clone_commit(project, clone, head, str(open_store(project).cache.parents[1]))
    set_parameters(clone / "params.yaml", {"data.asof": "2013-05-31"})
    run_pipeline(project, clone, print, "train")
    assert trained_score(clone) == 0.5
    assert load_json(clone / "data/features/features.json")["windows"]["test"]["to"] == "2013-05-31"
