"A later release of the template reaches a project that its users edited; what both changed is shown as a conflict."

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, run

from mlops_kit.core.files import read_yaml

GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        [*GIT, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def mlops(template: Path, *words: str) -> subprocess.CompletedProcess:
    "Run the command line of a template's state."
    return run(["mlops-nb", *words], template)


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
    edit(
        folder / "nbs/06_gate.ipynb", "## Is it good enough?", "## Is it good enough, as we see it?"
    )
    git(folder, "commit", "-qam", "ours")
    return folder


def release(template: Path) -> None:
    "Make a later release: prose, a function, a parameter."
    edit(template / "nbs/06_gate.ipynb", "## The verdict", "## The verdict of all checks")
    edit(template / "nbs/04_train.ipynb", "# Train", "# Train, anew")
    edit(
        template / "lib/nbs/data/08_splitting.ipynb",
        "#| export\\n",
        '#| export\\n",\n    "NEW = 1\\n',
    )
    assert mlops(template, "code").returncode == 0
    edit(template / "params.yaml", "show_slices: 8", "show_slices: 9")
    # the line below one that the project changed
    edit(template / "params.yaml", "leaves: 31", "leaves: 29")
    edit(template / "settings.ini", "version = 0.1.0", "version = 0.2.0")
    git(template, "commit", "-qam", "later")


def test_edits_are_kept_and_the_release_arrives(template: Path, project: Path) -> None:
    assert "up to date" in mlops(template, "update", str(project)).stdout
    before = next((project / "vendor").iterdir()).read_bytes()
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
    assert "Is it good enough, as we see it?" in prose and "The verdict of all checks" in prose
    assert "Train, anew" in (project / "nbs/04_train.ipynb").read_text()
    assert "0.2.0" in (project / "mine/__init__.py").read_text()
    (wheel,) = (project / "vendor").iterdir()
    assert wheel.read_bytes() != before
    with zipfile.ZipFile(wheel) as held:
        assert b"NEW = 1" in held.read("mlops_kit/data/splitting.py")
        assert b"NEW = 1" in held.read("mlops_kit/_source/nbs/data/08_splitting.ipynb")
    assert (
        git(project, "status", "--porcelain") == ""
        and git(project, "worktree", "list").count("\n") == 1
    )
    assert "up to date" in mlops(template, "update", str(project)).stdout


def test_what_both_changed_is_a_conflict(template: Path, project: Path) -> None:
    edit(project / "nbs/04_train.ipynb", "# Train", "# Train, in our words")
    git(project, "commit", "-qam", "ours too")
    before = git(project, "rev-parse", "HEAD")
    release(template)
    done = mlops(template, "update", str(project))
    assert (
        done.returncode == 0 and "conflict" in done.stdout and "nbs/04_train.ipynb" in done.stdout
    ), done.stdout + done.stderr
    text = (project / "nbs/04_train.ipynb").read_text()
    assert "in our words" in text and "Train, anew" in text and json.loads(text)
    git(project, "merge", "--abort")
    assert git(project, "rev-parse", "HEAD") == before
    assert "in our words" in (project / "nbs/04_train.ipynb").read_text()


def test_a_squashed_update_is_still_known(template: Path, project: Path) -> None:
    start = git(project, "rev-parse", "HEAD").strip()
    release(template)
    assert mlops(template, "update", str(project)).returncode == 0
    git(project, "branch", "update")
    git(project, "reset", "-q", "--hard", start)
    git(project, "merge", "-q", "--squash", "update")
    git(project, "commit", "-qm", "Take it over (#7)\n\nRendered-From: 0.2.0 abc")
    assert "up to date" in mlops(template, "update", str(project)).stdout
    edit(template / "params.yaml", "show_slices: 9", "show_slices: 10")
    git(template, "commit", "-qam", "later still")
    done = mlops(template, "update", str(project))
    assert done.returncode == 0 and "conflict" not in done.stdout, done.stdout + done.stderr
    params = read_yaml(project / "params.yaml")
    assert params["index"]["show_slices"] == 10 and params["train"]["learning_rate"] == 0.07
    assert git(project, "replace", "-l") == ""


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


def test_the_library_is_ejected_and_updated(template: Path, project: Path, tmp_path: Path) -> None:
    (wheel,) = (project / "vendor").iterdir()
    with zipfile.ZipFile(wheel) as held:
        held.extractall(tmp_path / "site")
    command = ["python", "-c", "from mlops_kit.cli.main import main; main()", "eject"]
    bad = run([*command, "moon"], project, PYTHONPATH=str(tmp_path / "site"))
    assert bad.returncode == 1 and "no room 'moon'" in bad.stderr
    done = run([*command, "data"], project, PYTHONPATH=str(tmp_path / "site"))
    assert done.returncode == 0 and "edit lib/nbs/data" in done.stdout, done.stdout + done.stderr
    assert git(project, "status", "--porcelain") == "" and not (project / "vendor").exists()
    assert "deps: [nbs, lib/nbs]" in (project / "dvc.yaml").read_text()
    assert "./vendor/" not in (project / "requirements.txt").read_text()
    edit(project / "lib/nbs/data/08_splitting.ipynb", "# ", "# Ours: ")
    git(project, "commit", "-qam", "the library as we like it")
    release(template)
    done = mlops(template, "update", str(project))
    assert done.returncode == 0 and "conflict" not in done.stdout, done.stdout + done.stderr
    text = (project / "lib/nbs/data/08_splitting.ipynb").read_text()
    assert "Ours: " in text and "NEW = 1" in text
    assert "NEW = 1" in (project / "lib/mlops_kit/data/splitting.py").read_text()


FLAT = "90086ea"  # the last release that put the library's notebooks into a project


def test_a_project_of_the_flat_release_is_brought_over(template: Path, tmp_path: Path) -> None:
    flat, folder = tmp_path / "flat", tmp_path / "old"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(flat)], check=True)
    if subprocess.run(["git", "checkout", "-q", FLAT], cwd=flat, capture_output=True).returncode:
        pytest.skip("this clone is shallow: it does not hold the flat release")
    columns = {"x": range(200), "z": [i % 7 for i in range(200)]}
    table = pd.DataFrame(columns | {"y": [i % 3 > 0 for i in range(200)]})
    table.sample(frac=1, random_state=1).to_csv(tmp_path / "t.csv", index=False)
    words = ["init", str(folder), "--data", str(tmp_path / "t.csv"), "--target", "y"]
    command = ["python", "-c", "from mlops_nb.project import main; main()"]
    made = run([*command, *words], flat, PYTHONPATH=str(flat))
    assert made.returncode == 0, made.stderr
    edit(folder / "params.yaml", "learning_rate: 0.1", "learning_rate: 0.07")
    edit(folder / "contract.yaml", "meaning: to be written", "meaning: how much")
    edit(folder / "nbs/08j_drift.ipynb", "# ", "# Ours: ")
    path = folder / "nbs/02a_derived.ipynb"
    notebook = json.loads(path.read_text())
    source = (
        '#| export\n@feature\ndef twice(rows: pd.DataFrame) -> pd.Series:\n    return rows["x"] * 2'
    )
    cell = {"cell_type": "code", "id": "ours", "metadata": {}, "outputs": []}
    notebook["cells"].append(cell | {"source": [source], "execution_count": None})
    path.write_text(json.dumps(notebook, indent=1, sort_keys=True) + "\n")
    git(folder, "commit", "-qam", "ours")
    done = mlops(template, "update", str(folder))
    assert done.returncode == 0 and "conflict" not in done.stdout, done.stdout + done.stderr
    assert "nbs/08j_drift.ipynb: you edited it" in done.stdout
    assert "`mlops-nb eject monitoring`" in done.stdout
    assert read_yaml(folder / "params.yaml")["train"]["learning_rate"] == 0.07
    assert "how much" in (folder / "contract.yaml").read_text()
    assert "def twice" in (folder / "old/features.py").read_text()
    assert len(list((folder / "nbs").glob("*.ipynb"))) <= 16 and not (folder / "lib").exists()
    assert git(folder, "status", "--porcelain") == "" and list((folder / "vendor").iterdir())
