"What the tests share: the project's root, samples of it, and a way to run a stage and look at its one line."

import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mlops_kit.core.files import read_yaml
from mlops_kit.core.params import sample_params
from mlops_kit.notebooks.sample import sample_copy
from mlops_kit.notebooks.runner import stage_command

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture
def sample():
    "Give a function that makes a sample project in which stages up to one have run."
    made = []

    def make(after: str | None) -> Path:
        made.append(sample_copy(ROOT, after, sample_params(ROOT)))
        return made[-1]

    yield make
    for folder in made:
        shutil.rmtree(folder.parent, ignore_errors=True)


# a fork of this very process would hang where OpenMP's threads have been at work
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "mlops_kit.notebooks.runner",
        "mlops_nb.train",
        "IPython",
        "matplotlib.pyplot",
        "pyarrow.csv",
        "papermill",
        "mlops_kit.registry.versions",
        "dvc.repo",
    ]
)


def forked_stage(folder: Path, stage: str) -> None:
    "Run a stage in a fresh child, its output in two files."
    for number, path in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder.parent / path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), number)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
    os.chdir(folder)
    os.environ["MLOPS_NB_ROOT"] = str(folder)
    os.environ.pop("IN_TEST", None)
    code = stage_command(stage)
    sys.stdout.flush(), sys.stderr.flush()
    sys.exit(code)


def run_forked(folder: Path, stage: str) -> tuple[int, str, str]:
    """Run a stage as the command line does, in a fork of a process that has imported the libraries
    and done nothing with them.
    """
    child = FORKS.Process(target=forked_stage, args=(folder, stage))
    child.start()
    child.join(300)
    assert child.exitcode is not None, f"{stage} in {folder} did not end within 300 s"
    return (
        child.exitcode,
        (folder.parent / "stdout").read_text(),
        (folder.parent / "stderr").read_text(),
    )


def expect_failure(folder: Path, stage: str, *words: str) -> str:
    "Run a stage that must fail with one line holding the words; give the line."
    code, out, err = run_forked(folder, stage)
    lines = err.strip().splitlines()
    assert code == 1, (code, out, err)
    assert len(lines) == 1 and "Traceback" not in err, err
    for word in words:
        assert word in lines[0], lines[0]
    return lines[0]


def set_params(folder: Path, changes: dict) -> None:
    "Change parameters of a sample project: {'train.rounds': 3}; None takes a parameter away."
    params = read_yaml(folder / "params.yaml")
    for name, value in changes.items():
        *sections, key = name.split(".")
        target = params
        for section in sections:
            target = target.setdefault(section, {})
        if value is None:
            target.pop(key)
        else:
            target[key] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def run(command: list[str], folder: Path, **env: str) -> subprocess.CompletedProcess:
    "Run a command of the environment in a folder."
    path = Path(sys.executable).parent / command[0]
    return subprocess.run(
        [str(path), *command[1:]],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=600,
    )


def make_project(folder: Path, changes: dict | None = None) -> Path:
    """Make a whole project with git and DVC on the sample's parameters, some of them changed (see
    `set_params`), and bring it up to date.
    """
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for file in [
        f
        for f in files
        if (ROOT / f).is_file() and f != "dvc.lock" and not f.startswith("metrics/")
    ]:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, folder / file)
    if (ROOT / "data/source").is_dir():
        shutil.copytree(ROOT / "data/source", folder / "data/source")
    small = sample_params(ROOT)
    (
        small["train"]["rounds"],
        small["evaluate"]["resamples"],
        small["evaluate"]["importance_rows"],
    ) = 15, 20, 100
    small["train"]["search"] = {
        "method": "tpe",
        "seconds": 0,
        "trials": 3,
        "space": {
            "hist_gradient_boosting": {"leaves": [4, 31], "l2": [0.0, 5.0]},
            "random_forest": {"min_rows_per_leaf": [1, 50]},
            "linear": {"l2": [0.01, 10.0]},
        },
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(small, sort_keys=False))
    set_params(folder, changes or {})
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
        subprocess.run([*git, *command], cwd=folder, check=True, capture_output=True)
    result = repro(folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "gate: " in result.stdout and "reports/index.html" in result.stdout
    return folder


def repro(folder: Path, **env: str) -> subprocess.CompletedProcess:
    "Bring a project up to date."
    return run(["mlops-nb", "repro"], folder, PYTHONPATH=str(folder), **env)


def ran(result: subprocess.CompletedProcess) -> list[str]:
    "List the stages that a run ran."
    assert result.returncode == 0, result.stdout + result.stderr
    return [
        line.split("'")[1]
        for line in result.stdout.splitlines()
        if line.startswith("Running stage '")
    ]
