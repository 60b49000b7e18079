"A stage is one function: who changes how `train` works has changed the pipeline, the replay and the retraining."

import json
import shutil
from pathlib import Path

from conftest import ROOT, commit, edit, run, run_forked

from mlops_kit.core.sandbox import clone_commit, set_parameters
from mlops_kit.core.files import load_json, load_table, save_json
from mlops_kit.core.contract import load_contract
from mlops_kit.models.bundle import bundle_task, count_golden_mismatches
from mlops_kit.registry.champion import describe_task_change, is_trained_on_test
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


def make_old_style(bundle: Path) -> None:
    "Give a bundle the keys and file names of the release before they were renamed."
    listing = load_json(bundle / "features.json")
    save_json(bundle / "features.json", {"answer": listing.pop("spec")} | listing)
    evaluation, trained = load_json(bundle / "evaluate.json"), load_json(bundle / "train.json")
    save_json(bundle / "evaluate.json", {"simple": evaluation.pop("baseline")} | evaluation)
    save_json(bundle / "train.json", {"simple": trained.pop("baseline")} | trained)
    golden = load_table(bundle / "golden_predictions.parquet")
    golden.rename(columns={"label": "answer"}).to_parquet(bundle / "golden_answers.parquet")
    (bundle / "golden_predictions.parquet").unlink()
    scores = load_table(bundle / "test_scores.parquet")
    scores.rename(columns={"label": "answer"}).to_parquet(bundle / "test_scores.parquet")
    bins = load_json(bundle / "reference_bins.json")
    bins["bins"]["(answer)"] = bins["bins"].pop("(target)")
    (bundle / "reference_bins.json").write_text(json.dumps(bins))
    days = load_table(bundle / "reference_days.parquet")
    days["column"] = days["column"].replace("(target)", "(answer)")
    days.to_parquet(bundle / "reference_days.parquet")


def test_a_bundle_of_an_earlier_release_is_monitored_and_predicts_as_before(sample) -> None:
    project = sample("package")
    bundle = project / "models/bundle"
    assert run_forked(project, "monitor")[0] == 0
    found, spec = load_json(project / "metrics/drift.json"), bundle_task(bundle)
    assert found["performance"] and found["trained_rows"]

    make_old_style(bundle)
    (project / "metrics/drift.json").unlink()
    code, _, err = run_forked(project, "monitor")
    assert code == 0, err
    assert load_json(project / "metrics/drift.json") == found
    assert bundle_task(bundle) == spec and count_golden_mismatches(bundle) == 0
    contract = load_contract(project / "contract.yaml")
    assert describe_task_change(bundle, contract, spec) is None
    assert is_trained_on_test(bundle, "2013-01-01")
    rows = str(bundle / "golden_rows.parquet")
    done = run(["mlops-nb", "predict", rows, "--bundle", str(bundle), "--out", "p.csv"], project)
    assert done.returncode == 0 and "predicted_label" in (project / "p.csv").read_text(), (
        done.stderr
    )


def test_the_monitor_opens_only_the_months_of_its_windows(sample) -> None:
    project = sample("package")
    assert run_forked(project, "monitor")[0] == 0
    found = load_json(project / "metrics/drift.json")
    months = sorted((project / "data/clean").glob("*.parquet"))
    needed = {found["window"]["to"][:7], found["performance"][0]["window"][:7]}
    other = [file for file in months if file.stem[:7] not in needed]
    assert other and len(other) < len(months)
    for file in other:
        file.write_bytes(b"no table: whoever opens this month fails")
    (project / "metrics/drift.json").unlink()
    code, _, err = run_forked(project, "monitor")
    assert code == 0, err
    assert load_json(project / "metrics/drift.json") == found
