"What a user does wrong ends in one line that says what, where and what to do; nothing is lost."
import os
import resource
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, expect_failure, run, set_params

from mlops_nb.sample import run_in


def change(folder: Path, where: str, edit) -> Path:
    "Rewrite one month of a sample project."
    path = sorted((folder / where).glob("*.parquet"))[1]
    edit(pd.read_parquet(path)).to_parquet(path, index=False)
    return path


def test_unknown_parameter(sample) -> None:
    folder = sample(None)
    set_params(folder, {"ingest.max_rwos": 5})
    expect_failure(folder, "ingest", "ingest.max_rwos", "did you mean max_rows", "knows:")


def test_unknown_section(sample) -> None:
    folder = sample(None)
    set_params(folder, {"trian.rounds": 5})
    expect_failure(folder, "ingest", "trian", "did you mean train")


@pytest.mark.parametrize(("name", "value", "words"), [
    ("ingest.max_rows", "many", ("'many'", "int")), ("ingest.max_rows", True, ("True", "int")), ("validate.max_bad_rows", "1e-3", ("'1e-3'", "1.0e-3")),
    ("train.model", "xgboost", ("'xgboost'", "hist_gradient_boosting")), ("evaluate.slice_columns", "carrier", ("list[str]",)),
])
def test_wrong_type_of_parameter(sample, name: str, value, words: tuple) -> None:
    folder = sample(None)
    set_params(folder, {name: value})
    expect_failure(folder, name.split(".")[0], name, *words)


def test_missing_parameter(sample) -> None:
    folder = sample(None)
    set_params(folder, {"validate.max_bad_rows": None})
    expect_failure(folder, "validate", "validate.max_bad_rows is missing")


def test_broken_params_file(sample) -> None:
    folder = sample(None)
    (folder / "params.yaml").write_text("train: [1, 2")
    expect_failure(folder, "ingest", "params.yaml line", "not valid YAML")


@pytest.mark.parametrize(("edit", "words"), [
    (lambda t: t.drop(columns="distance"), ("lacks the column `distance`",)),
    (lambda t: t.rename(columns={"distance": "distance_km"}), ("lacks the column `distance`", "`distance_km`", "renamed")),
    (lambda t: t.astype({"distance": "object"}).assign(distance=lambda t: t["distance"].where(t.index > 3, "far")).astype({"distance": "str"}), ("distance: not an integer", "'far'")),
    (lambda t: t.assign(temp=None), ("all values are missing in column `temp`",)),
    (lambda t: pd.concat([t, t.head(40)]), ("40 of", "duplicate of scheduled")),
    (lambda t: t.assign(carrier="ZZ"), ("carrier: not an allowed value", "'ZZ'")),
    (lambda t: t.assign(distance=-1), ("distance: outside 1 to 6000",)),
    (lambda t: t.assign(distance=float("inf")), ("distance: not an integer", "inf")),
])
def test_bad_data(sample, edit, words: tuple) -> None:
    folder = sample("ingest")
    path = change(folder, "data/raw", edit)
    before = {p: p.read_bytes() for p in (folder / "data/raw").iterdir()}
    expect_failure(folder, "validate", path.name, *words)
    assert before == {p: p.read_bytes() for p in (folder / "data/raw").iterdir()}


def test_few_bad_rows_are_kept_aside_with_the_reason(sample) -> None:
    folder = sample("ingest")
    set_params(folder, {"validate.max_bad_rows": 0.1})
    path = change(folder, "data/raw", lambda t: t.assign(distance=t["distance"].where(t.index > 2, -5)))
    assert run_in(folder, "validate").returncode == 0
    aside, clean = pd.read_parquet(folder / "data/quarantine" / path.name), pd.read_parquet(folder / "data/clean" / path.name)
    assert aside["reason"].tolist() == ["distance: outside 1 to 6000"] * 3
    assert len(aside) + len(clean) == len(pd.read_parquet(path))


def test_damaged_parquet(sample) -> None:
    folder = sample("ingest")
    path = sorted((folder / "data/raw").glob("*.parquet"))[0]
    path.write_bytes(path.read_bytes()[:1000])
    expect_failure(folder, "validate", path.name, "cannot be read")


def test_one_class_target(sample) -> None:
    folder = sample("validate")
    for path in (folder / "data/clean").glob("*.parquet"):
        pd.read_parquet(path).assign(late=False).astype({"late": "boolean"}).to_parquet(path, index=False)
    expect_failure(folder, "features", "only one answer", "late is False", "train window")


def test_empty_window(sample) -> None:
    folder = sample("validate")
    set_params(folder, {"data.asof": "2014-06-30"})
    expect_failure(folder, "features", "window", "is empty", "data.asof")


def test_a_window_of_three_rows(sample) -> None:
    folder = sample("validate")
    path = sorted((folder / "data/clean").glob("*.parquet"))[-1]
    pd.read_parquet(path).query("late.notna()").head(3).to_parquet(path, index=False)
    expect_failure(folder, "features", "test window", "3 labelled rows", "features.min_rows")


def test_clock_before_the_data_and_no_date(sample) -> None:
    folder = sample(None)
    for asof, word in (("2012-12-31", "2012-12-31"), ("2013-02-30", "expected a date")):
        set_params(folder, {"data.asof": asof})
        expect_failure(folder, "ingest", word)


def test_source_that_is_not_there(sample) -> None:
    folder = sample(None)
    set_params(folder, {"data.source": "no/such/*.csv"})
    expect_failure(folder, "ingest", "no/such/*.csv", "there is no such file")


def test_a_column_known_too_late_cannot_be_a_feature(sample) -> None:
    folder = sample("validate")
    set_params(folder, {"features.derived": ["dep_delay"]})
    expect_failure(folder, "features", "'dep_delay'", "defines")
    text = (folder / "contract.yaml").read_text()
    (folder / "contract.yaml").write_text(text.replace("nullable: true, max_missing: 0.3, known: false, sensitive: false, source: computed", "nullable: true, max_missing: 0.3, known: true, sensitive: false, source: computed"))
    expect_failure(folder, "features", "target late", "known: false")


def test_broken_contract(sample) -> None:
    folder = sample("ingest")
    text = (folder / "contract.yaml").read_text()
    (folder / "contract.yaml").write_text(text.replace("nullable: false", "nulable: false", 1))
    expect_failure(folder, "validate", "nulable", "did you mean nullable")


def test_model_of_other_versions(sample) -> None:
    import json
    import zipfile

    folder = sample("train")
    path = folder / "models/model.skops"
    with zipfile.ZipFile(path) as old:
        members = {n: old.read(n) for n in old.namelist()}
    members["versions.json"] = json.dumps(json.loads(members["versions.json"]) | {"scikit-learn": "1.2.3"}).encode()
    with zipfile.ZipFile(path, "w") as new:
        for name, content in members.items():
            new.writestr(name, content)
    expect_failure(folder, "evaluate", "scikit-learn 1.2.3 (here ", "train again")


def test_disk_without_room(sample) -> None:
    folder = sample("validate")
    before = sorted(p.name for p in (folder / "data").rglob("*"))
    code = f"from conftest import *; from mlops_nb.sample import run_in; r = run_in(Path({str(folder)!r}), 'features'); sys.stderr.write(r.stderr); sys.exit(r.returncode)"

    quiet = {k: v for k, v in os.environ.items() if not k.startswith("COV")}  # coverage would want to write, too

    def little_room() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    result = subprocess.run([str(ROOT / ".venv/bin/python") if (ROOT / ".venv").exists() else "python", "-c", code], cwd=ROOT / "tests", env=quiet, preexec_fn=little_room, capture_output=True, text=True)
    assert result.returncode == 1 and "cannot write" in result.stderr and "MB free" in result.stderr and "Traceback" not in result.stderr, result.stderr
    assert before == sorted(p.name for p in (folder / "data").rglob("*") if "features" not in p.parts[-2:])


def test_unwritable_data_folder(sample) -> None:
    folder = sample(None)
    (folder / "data").write_text("a file where the folder should be")
    expect_failure(folder, "ingest", "cannot write", "data/pieces", "permissions")
    assert (folder / "data").read_text() == "a file where the folder should be"


def test_command_line_mistakes(tmp_path: Path) -> None:
    for command, word in ((["stage", "nonsense"], "unknown stage nonsense"), (["why", "nonsense"], "unknown stage nonsense"), (["nonsense"], "No such command")):
        result = run(["mlops-nb", *command], ROOT)
        assert result.returncode != 0 and word in result.stderr and "Traceback" not in result.stderr
    result = run(["mlops-nb", "gate"], tmp_path)
    assert result.returncode == 1 and "no project at or above" in result.stderr and len(result.stderr.strip().splitlines()) == 1


def test_an_unknown_parameter_stops_the_pipeline_before_it_starts(sample) -> None:
    folder = sample(None)
    set_params(folder, {"train.round": 5})
    result = run(["mlops-nb", "repro"], folder)
    assert result.returncode == 1 and "did you mean rounds" in result.stderr and len(result.stderr.strip().splitlines()) == 1
