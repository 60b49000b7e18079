"What the tests share: the project's root, samples of it, one made project that is copied, and a way to run a stage and look at its one line."

import atexit
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest
import yaml
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from mlops_kit.core.files import only_one, read_yaml
from mlops_kit.core.params import sample_params
from mlops_kit.core.project import project_notebooks, read_notebook
from mlops_kit.notebooks.test_sample import sample_copy
from mlops_kit.notebooks.runner import stage_command

ROOT = Path(__file__).resolve().parents[1]
GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]

# what one run of the tests makes once, for all its workers; whoever starts first removes it
if "TESTS_SHARED" not in os.environ:
    os.environ["TESTS_SHARED"] = tempfile.mkdtemp(prefix="mlops_nb-tests-")
    atexit.register(shutil.rmtree, os.environ["TESTS_SHARED"], ignore_errors=True)

# files whose tests work on one project in turn: one worker runs them
IN_TURN = "actions docs experiments extend pipeline reports reruns update versions"
TOGETHER = {f"test_{name}" for name in IN_TURN.split()}
# files with the longest tests: they begin, so that the short ones fill both workers to the end;
# the first makes the project that others copy, while the second worker runs `init`, which needs none
LONGEST = (
    "experiments init versions actions pipeline reruns extend update bytes stages registry "
    "workflows"
)


class ByProject(LoadScopeScheduling):
    "Hands out such a file as a whole, every other test on its own."

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if Path(file).stem in TOGETHER else nodeid


# xdist 3.8's own marks for groups have no effect under pytest 9
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByProject:
    return ByProject(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = [f"test_{name}" for name in LONGEST.split()]
    items.sort(key=lambda i: order.index(i.path.stem) if i.path.stem in order else len(order))


@pytest.fixture(autouse=True)
def environment():
    "Put the environment back as it was, whatever a test or a notebook's cell sets."
    with patch.dict(os.environ):
        yield


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
        "pytest",
        "xdist.scheduler",
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


def copy_project(folder: Path, leave_out: tuple[str, ...] = ()) -> list[str]:
    "Copy what git knows or would take into a folder, but for some paths' beginnings; list it."
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    files = [f for f in listed if (ROOT / f).is_file() and not f.startswith(leave_out)]
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, folder / file)
    return files


def commit(folder: Path) -> str:
    "Put all of a folder into a new repository's first commit; give the commit."
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
        subprocess.run([*GIT, *command], cwd=folder, check=True, capture_output=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True)
    return head.stdout.strip()


def small_params() -> dict:
    "Take the sample's parameters with fewer rounds, draws and trials."
    small = sample_params(ROOT)
    small["train"]["rounds"] = 15
    small["evaluate"] |= {"resamples": 20, "importance_rows": 100}
    small["gate"]["non_inferiority_margin"] = 9.0  # a few rounds fewer are good enough
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
    return small


def base_project() -> Path:
    "Give the whole project that tests copy: made once by a run of the tests, not to be changed."
    shared = Path(os.environ["TESTS_SHARED"]) / ROOT.name
    with only_one(shared / "lock", "making the project"):
        if not (shared / "base").is_dir():
            making = shared / "in the making"
            copy_project(making, ("dvc.lock", "metrics/"))
            if (ROOT / "data/source").is_dir():
                shutil.copytree(ROOT / "data/source", making / "data/source")
            (making / "params.yaml").write_text(yaml.safe_dump(small_params(), sort_keys=False))
            commit(making)
            check_whole(repro(making))
            making.rename(shared / "base")
    return shared / "base"


def make_project(folder: Path, changes: dict | None = None) -> Path:
    """Copy the whole project with git and DVC, change some parameters (see `set_params`), and bring
    it up to date.
    """
    shutil.copytree(base_project(), folder, symlinks=True, dirs_exist_ok=True)
    if changes:
        set_params(folder, changes)
        command = [*GIT, "commit", "-q", "--amend", "-m", "start", "params.yaml"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        check_whole(repro(folder))
    return folder


def check_whole(result: subprocess.CompletedProcess) -> None:
    "See that a run went through to its report."
    assert result.returncode == 0, result.stdout + result.stderr
    assert "gate: " in result.stdout and "reports/index.html" in result.stdout


def edit(folder: Path, name: str, old: str, new: str) -> None:
    "Change the text of a project's notebook, wherever it holds the old one."
    path = project_notebooks(folder)[name]
    notebook = read_notebook(path)
    hits = 0
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if old in text:
            cell["source"], hits = text.replace(old, new).splitlines(True), hits + 1
    assert hits, f"{old!r} is not in {path.name}"
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


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
