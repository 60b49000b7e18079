"A later release of the template reaches a project that its users edited; what both changed is shown as a conflict."

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT

from mlops_kit.core.files import read_yaml

GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        [*GIT, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def mlops(template: Path, *words: str) -> subprocess.CompletedProcess:
    "Run the command line of a template's state."
    env = os.environ | {"PYTHONPATH": str(template)}
    return subprocess.run(
        [sys.executable, "-c", "from mlops_kit.cli.main import main; main()", *words],
        cwd=template,
        env=env,
        capture_output=True,
        text=True,
    )


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, (path, old)
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.fixture
def template(tmp_path: Path) -> Path:
    "Copy this template and tag its state."
    folder = tmp_path / "template"
    for file in subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines():
        if (ROOT / file).is_file():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, folder / file)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "earlier")
    git(folder, "tag", "v0.1.0")
    return folder


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    "Make a project from the tagged state, and edit notebook, parameters and contract."
    pd.DataFrame(
        {"x": range(200), "z": [i % 7 for i in range(200)], "y": [i % 3 > 0 for i in range(200)]}
    ).sample(frac=1, random_state=1).to_csv(tmp_path / "t.csv", index=False)
    made = mlops(
        template,
        "init",
        str(tmp_path / "p"),
        "--data",
        str(tmp_path / "t.csv"),
        "--target",
        "y",
        "--name",
        "mine",
    )
    assert made.returncode == 0, made.stderr
    folder = tmp_path / "p"
    edit(folder / "params.yaml", "learning_rate: 0.1", "learning_rate: 0.07")
    edit(folder / "contract.yaml", "meaning: to be written", "meaning: how much")
    edit(folder / "nbs/06_gate.ipynb", "## One check", "## One check, as we see it")
    git(folder, "commit", "-qam", "ours")
    return folder


def release(template: Path) -> None:
    "Make a later release: prose, a function, a parameter."
    edit(template / "nbs/06_gate.ipynb", "## All checks", "## All the checks there are")
    edit(
        template / "lib/nbs/data/08_splitting.ipynb",
        "Read the length of a window.",
        "Read how long a window is.",
    )
    edit(template / "params.yaml", "show_slices: 8", "show_slices: 9")
    # the line below one that the project changed
    edit(template / "params.yaml", "leaves: 31", "leaves: 29")
    edit(template / "settings.ini", "version = 0.1.0", "version = 0.2.0")
    git(template, "commit", "-qam", "later")


def test_edits_are_kept_and_the_release_arrives(template: Path, project: Path) -> None:
    assert "up to date" in mlops(template, "update", str(project)).stdout
    release(template)
    done = mlops(template, "update", str(project))
    assert done.returncode == 0 and "took the template's release over" in done.stdout, (
        done.stdout + done.stderr
    )
    params, gate = (
        read_yaml(project / "params.yaml"),
        json.loads((project / "nbs/06_gate.ipynb").read_text()),
    )
    prose = "".join("".join(c["source"]) for c in gate["cells"])
    assert (
        params["train"]["learning_rate"] == 0.07
        and params["index"]["show_slices"] == 9
        and params["train"]["leaves"] == 29
        and "how much" in (project / "contract.yaml").read_text()
    )
    assert "One check, as we see it" in prose and "All the checks there are" in prose
    assert (
        "Read how long a window is." in (project / "mine/split.py").read_text()
        and "0.2.0" in (project / "mine/__init__.py").read_text()
    )
    assert (
        git(project, "status", "--porcelain") == ""
        and git(project, "worktree", "list").count("\n") == 1
    )
    assert "up to date" in mlops(template, "update", str(project)).stdout


def test_what_both_changed_is_a_conflict(template: Path, project: Path) -> None:
    edit(
        project / "lib/nbs/data/08_splitting.ipynb",
        "Read the length of a window.",
        "Read a window's length, in our words.",
    )
    git(project, "commit", "-qam", "ours too")
    before = git(project, "rev-parse", "HEAD")
    release(template)
    done = mlops(template, "update", str(project))
    assert (
        done.returncode == 0 and "conflict" in done.stdout and "lib/nbs/data/08_splitting.ipynb" in done.stdout
    ), done.stdout + done.stderr
    text = (project / "lib/nbs/data/08_splitting.ipynb").read_text()
    assert "in our words" in text and "Read how long a window is." in text and json.loads(text)
    git(project, "merge", "--abort")
    assert (
        git(project, "rev-parse", "HEAD") == before
        and "in our words" in (project / "lib/nbs/data/08_splitting.ipynb").read_text()
    )


def test_what_cannot_be_updated_is_said_in_one_line(
    template: Path, project: Path, tmp_path: Path
) -> None:
    (project / "params.yaml").write_text("changed: 1\n")
    for folder, word in (
        (project, "uncommitted"),
        (tmp_path / "nowhere", "no folder"),
        (template, "no .origin.yaml"),
    ):
        done = mlops(template, "update", str(folder))
        assert (
            done.returncode == 1
            and word in done.stderr
            and len(done.stderr.strip().splitlines()) == 1
        ), done.stderr
