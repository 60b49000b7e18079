"What a user does wrong ends in one line that says what, where and what to do; nothing is lost."

import os
import resource
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, expect_failure, run, set_params
from mlops_kit.core.params import RENAMED


def test_unknown_parameter(sample) -> None:
    folder = sample(None)
    set_params(folder, {"ingest.max_rwos": 5})
    expect_failure(folder, "ingest", "ingest.max_rwos", "did you mean max_rows", "knows:")


@pytest.mark.parametrize("old", ["gate.max_loss", "monitor.alerts.least", "retrain.gate.max_loss"])
def test_a_renamed_parameter_is_refused_with_its_new_name(sample, old: str) -> None:
    folder, words = sample(None), f"{old} is called {RENAMED[old]} now"
    set_params(folder, {old: 1})
    expect_failure(folder, "ingest", f"{words}; rename it in params.yaml")
    result = run(["mlops-nb", "repro"], folder)
    assert result.returncode == 1 and result.stderr.count("\n") == 1 and words in result.stderr


def test_grid_refuses_a_renamed_parameter() -> None:
    result = run(["mlops-nb", "grid", "-S", "gate.max_loss=0.1,0.2"], ROOT)
    assert result.returncode == 1 and "gate.max_loss is called gate.non_inf" in result.stderr


def test_unknown_section(sample) -> None:
    folder = sample(None)
    set_params(folder, {"trian.rounds": 5})
    expect_failure(folder, "ingest", "trian", "did you mean train")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ingest.max_rows", "many", ("'many'", "int")),
        ("ingest.max_rows", True, ("True", "int")),
        ("validate.max_bad_rows", "1e-3", ("'1e-3'", "1.0e-3")),
        ("train.model", "xgboost", ("'xgboost'", "hist_gradient_boosting")),
        ("evaluate.slice_columns", "carrier", ("list[str]",)),
    ],
)
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


def test_damaged_parquet(sample) -> None:
    folder = sample("ingest")
    path = sorted((folder / "data/raw").glob("*.parquet"))[0]
    path.write_bytes(path.read_bytes()[:1000])
    expect_failure(folder, "validate", path.name, "cannot be read")


def test_source_that_is_not_there(sample) -> None:
    folder = sample(None)
    set_params(folder, {"data.source": "no/such/*.csv"})
    expect_failure(folder, "ingest", "no/such/*.csv", "there is no such file")


def test_broken_contract(sample) -> None:
    folder = sample("ingest")
    text = (folder / "contract.yaml").read_text()
    (folder / "contract.yaml").write_text(text.replace("nullable: ", "nulable: ", 1))
    expect_failure(folder, "validate", "nulable", "did you mean nullable")


def test_model_of_other_versions(sample) -> None:
    import json
    import zipfile

    folder = sample("train")
    path = folder / "models/model.skops"
    with zipfile.ZipFile(path) as old:
        members = {n: old.read(n) for n in old.namelist()}
    members["versions.json"] = json.dumps(
        json.loads(members["versions.json"]) | {"scikit-learn": "1.2.3"}
    ).encode()
    with zipfile.ZipFile(path, "w") as new:
        for name, content in members.items():
            new.writestr(name, content)
    expect_failure(folder, "evaluate", "scikit-learn 1.2.3 (here ", "train again")


def test_disk_without_room(sample) -> None:
    folder = sample("validate")
    before = sorted(p.name for p in (folder / "data").rglob("*"))
    code = (
        "from conftest import *; from mlops_kit.notebooks.test_sample import run_in; r = "
        f"run_in(Path({str(folder)!r}), 'features'); sys.stderr.write(r.stderr); "
        "sys.exit(r.returncode)"
    )

    # coverage would want to write, too
    quiet = {k: v for k, v in os.environ.items() if not k.startswith("COV")}

    def little_room() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    result = subprocess.run(
        [str(ROOT / ".venv/bin/python") if (ROOT / ".venv").exists() else "python", "-c", code],
        cwd=ROOT / "tests",
        env=quiet,
        preexec_fn=little_room,
        capture_output=True,
        text=True,
    )
    assert (
        result.returncode == 1
        and "cannot write" in result.stderr
        and "MB free" in result.stderr
        and "Traceback" not in result.stderr
    ), result.stderr
    assert before == sorted(
        p.name for p in (folder / "data").rglob("*") if "features" not in p.parts[-2:]
    )


def test_command_line_mistakes(tmp_path: Path) -> None:
    for command, word in (
        (["stage", "nonsense"], "unknown stage nonsense"),
        (["why", "nonsense"], "unknown stage nonsense"),
        (["nonsense"], "No such command"),
    ):
        result = run(["mlops-nb", *command], ROOT)
        assert result.returncode != 0 and word in result.stderr and "Traceback" not in result.stderr
    result = run(["mlops-nb", "gate"], tmp_path)
    assert (
        result.returncode == 1
        and "no project at or above" in result.stderr
        and len(result.stderr.strip().splitlines()) == 1
    )


def test_an_unknown_parameter_stops_the_pipeline_before_it_starts(sample) -> None:
    folder = sample(None)
    set_params(folder, {"train.round": 5})
    result = run(["mlops-nb", "repro"], folder)
    assert (
        result.returncode == 1
        and "did you mean rounds" in result.stderr
        and len(result.stderr.strip().splitlines()) == 1
    )
