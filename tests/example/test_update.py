"A later release of the template reaches a project that its users edited; what both changed is shown as a conflict."

import json
import os
import shutil
import signal
import subprocess
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

import nbformat
import pandas as pd
import pytest
from conftest import ROOT, run

from mlops_kit.core.files import UserError, load_json, read_yaml
from mlops_kit.core.params import all_declared, resolve_parameters
from mlops_kit.localci.fake_github import TOKEN, World, open_world, world_environment, world_git
from mlops_kit.localci.local_run import copy_stand_ins
from mlops_kit.scaffold import merge
from mlops_kit.scaffold.update import check_updatable, update_project

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


def library_notebook(folder: Path, module: str) -> Path:
    "Find the notebook of a library module, whatever its number."
    room, name = module.split(".")
    (path,) = (folder / "lib/nbs" / room).glob(f"[0-9]*_{name}.ipynb")
    return path


def append_cells(path: Path, *cells: tuple[str, str]) -> None:
    "Add cells (kind, source) to a notebook."
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for number, (kind, source) in enumerate(cells):
        cell = {"cell_type": kind, "id": f"own{number}", "metadata": {}, "source": [source]}
        more = {"outputs": [], "execution_count": None} if kind == "code" else {}
        notebook["cells"].append(cell | more)
    path.write_text(json.dumps(notebook, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def cell_sources(path: Path) -> str:
    "Read a notebook that JupyterLab can open; give its cells' text."
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    return "\n\n".join(cell["source"] for cell in notebook["cells"])


def copy_template(folder: Path) -> Path:
    "Copy this template and tag its state."
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for file in listed.splitlines():
        if (ROOT / file).is_file():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, folder / file)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "earlier")
    git(folder, "tag", "v0.1.0")
    return folder


def write_table(path: Path) -> Path:
    "Write a small table with an answer."
    columns = {"x": range(200), "z": [i % 7 for i in range(200)]}
    table = pd.DataFrame(columns | {"y": [i % 3 > 0 for i in range(200)]})
    table.sample(frac=1, random_state=1).to_csv(path, index=False)
    return path


OLD, NEW = "min_gain", "min_improvement"  # a parameter of `gate` that the later release renames
MIGRATION = f"""#| export
@migration("99.0.0", "gate.{OLD} is called gate.{NEW}")
def rename_for_the_test(project: Path) -> list[str]:
    "Rename a parameter."
    return rename_parameters(project, {{"gate.{OLD}": "gate.{NEW}"}})
"""


def release(template: Path) -> None:
    "Make a later release: prose, a chapter's cell, a function, values, a renamed parameter."
    gate = template / "nbs/06_gate.ipynb"
    edit(gate, "## All checks together", "## All checks together, anew")
    gate.write_text(gate.read_text(encoding="utf-8").replace(OLD, NEW), encoding="utf-8")
    limit = f"  {NEW}: 0.005   # sure: "
    edit(template / "params.yaml", f"  {OLD}: 0.005           # ", limit)
    append_cells(library_notebook(template, "scaffold.migrations"), ("code", MIGRATION))
    edit(template / "nbs/04_train.ipynb", "# Train", "# Train, anew")
    edit(template / "nbs/11_retrain.ipynb", "# ", "# Anew: ")
    splitting = library_notebook(template, "data.splitting")
    edit(splitting, "#| export\\n", '#| export\\n",\n    "NEW = 1\\n')
    assert mlops(template, "code").returncode == 0
    edit(template / "params.yaml", "show_slices: 8", "show_slices: 9")
    # the line below one that the project changed
    edit(template / "params.yaml", "leaves: 31", "leaves: 29")
    for file in ("settings.ini", "lib/settings.ini"):
        edit(template / file, "version = 0.1.0", "version = 99.0.0")
    edit(template / "CHANGELOG.md", "## 0.1.0", "## 99.0.0\n\n- It is later now.\n\n## 0.1.0")
    git(template, "commit", "-qam", "later")
    git(template, "tag", "v99.0.0")


class Made(NamedTuple):
    "The template as it was, a project of that, and the template's later release."

    template: Path
    project: Path
    later: Path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    "Make a project from a tagged state; edit notebooks, parameters, contract; add a chapter."
    place = tmp_path_factory.mktemp("update")
    template, project = copy_template(place / "template"), place / "p"
    table = str(write_table(place / "t.csv"))
    words = ["--data", table, "--target", "y", "--name", "mine"]
    done = mlops(template, "init", str(project), *words)
    assert done.returncode == 0, done.stderr
    assert len(git(project, "ls-files").splitlines()) <= 80
    params, gate = project / "params.yaml", project / "nbs/06_gate.ipynb"
    edit(params, "learning_rate: 0.1", "learning_rate: 0.07")
    edit(params, f"  {OLD}: {read_yaml(params)['gate'][OLD]} ", f"  {OLD}: 0.03 ")
    edit(params, "gate:\n", "# limits that we agreed on\ngate:\n")
    edit(project / "contract.yaml", "meaning: to be written", "meaning: how much")
    edit(gate, "## Minimum score", "## Minimum score, as we see it")
    edit(gate, f"{OLD}: float = -", f"{OLD}: float = -1")
    own = f'print("our limit", {OLD}, params["{OLD}"])  # {OLD}, as ever'
    append_cells(gate, ("markdown", f"We like `{OLD}`."), ("code", own))
    shutil.copy(project / "nbs/06_gate.ipynb", project / "nbs/08_mine.ipynb")
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (project / "nbs/08_mine.ipynb").write_text(json.dumps(notebook))
    source = f"#| export\ndef ours({OLD}: int) -> int:\n    return {OLD} + 1"
    cells = ("# Ours", "#| default_exp mine", source, "assert ours(1) == 2")
    kinds = ("markdown", "code", "code", "code")
    append_cells(project / "nbs/08_mine.ipynb", *zip(kinds, cells, strict=True))
    git(project, "add", "-A")
    git(project, "commit", "-qm", "ours")
    later = shutil.copytree(template, place / "later")
    release(later)
    return Made(template, project, later)


@pytest.fixture
def project(made: Made, tmp_path: Path) -> Path:
    "Copy the project."
    return shutil.copytree(made.project, tmp_path / "p", symlinks=True)


@pytest.fixture
def later(made: Made) -> Path:
    return made.later


def update(template: Path, project: Path) -> str:
    "Update a project; give what was said."
    done = mlops(template, "update", str(project))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def untouched(project: Path, head: str) -> bool:
    "Tell whether a project is exactly as its commit says."
    return git(project, "rev-parse", "HEAD") == head and not git(project, "status", "--porcelain")


def test_edits_are_kept_and_the_release_arrives(made: Made, project: Path) -> None:
    before = {p.name for p in (project / "vendor").iterdir()}
    said = update(made.later, project)
    assert "took the template's release over" in said and "conflict" not in said
    assert f"migration 99.0.0: gate.{OLD} is called gate.{NEW} (params.yaml, nbs/06_gate" in said
    params, gate = read_yaml(project / "params.yaml"), cell_sources(project / "nbs/06_gate.ipynb")
    assert (params["train"]["learning_rate"], params["train"]["leaves"]) == (0.07, 29)
    assert params["index"]["show_slices"] == 9
    assert params["gate"][NEW] == 0.03 and OLD not in params["gate"]
    text = (project / "params.yaml").read_text()
    assert "# limits that we agreed on\ngate:\n" in text and "# sure: " in text
    resolve_parameters("gate", params, all_declared(project))
    assert "how much" in (project / "contract.yaml").read_text()
    assert "Minimum score, as we see it" in gate and "All checks together, anew" in gate
    assert f"{NEW}: float = -1" in gate and f"We like `{OLD}`." in gate
    assert f'print("our limit", {NEW}, params["{NEW}"])  # {OLD}, as ever' in gate
    assert f'limits["{NEW}"]' in (project / "mine/gate.py").read_text()
    assert f"def ours({OLD}: int)" in (project / "mine/mine.py").read_text()
    assert "Train, anew" in cell_sources(project / "nbs/04_train.ipynb")
    assert "99.0.0" in (project / "mine/__init__.py").read_text()
    (wheel,) = (project / "vendor").iterdir()
    assert "99.0.0" in wheel.name and wheel.name not in before
    with zipfile.ZipFile(wheel) as held:
        assert b"NEW = 1" in held.read("mlops_kit/data/splitting.py")
        (source,) = (n for n in held.namelist() if n.endswith("_splitting.ipynb"))
        assert b"NEW = 1" in held.read(source)
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "worktree", "list").count("\n") == 1
    assert len(git(project, "ls-files").splitlines()) <= 80
    assert "up to date" in update(made.later, project)


def test_what_both_changed_is_a_conflict(made: Made, project: Path) -> None:
    edit(project / "nbs/04_train.ipynb", "# Train", "# Train, in our words")
    git(project, "commit", "-qam", "ours too")
    before = git(project, "rev-parse", "HEAD")
    said = update(made.later, project)
    assert "1 conflict to resolve" in said and "nbs/04_train.ipynb" in said, said
    text = cell_sources(project / "nbs/04_train.ipynb")
    assert "in our words" in text and "Train, anew" in text
    assert read_yaml(project / "params.yaml")["gate"][NEW] == 0.03
    again = mlops(made.later, "update", str(project))
    assert again.returncode == 1 and "a merge is in progress" in again.stderr
    assert "as it was" in mlops(made.later, "update", str(project), "--abort").stdout
    assert untouched(project, before)
    update(made.later, project)
    git(project, "checkout", "--theirs", "nbs/04_train.ipynb")
    exported = run(["mlops-nb", "code"], project)
    assert exported.returncode == 0, exported.stdout + exported.stderr
    git(project, "add", "-A")
    git(project, "commit", "-q", "--no-edit")
    assert git(project, "log", "-1", "--format=%s").startswith("Take over the template: 0.1.0")
    assert f'limits["{NEW}"]' in (project / "mine/gate.py").read_text()
    assert "up to date" in update(made.later, project)


def test_deleted_chapters_stay_away_and_line_ends_are_no_edit(made: Made, project: Path) -> None:
    git(project, "rm", "-q", "nbs/11_retrain.ipynb")
    for file in ("nbs/06_gate.ipynb", "params.yaml"):
        path = project / file
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    git(project, "commit", "-qam", "ours, from another system")
    said = update(made.later, project)
    assert "nbs/11_retrain.ipynb: you deleted it, and it stays away" in said, said
    assert "conflict" not in said and not (project / "nbs/11_retrain.ipynb").exists()
    gate = cell_sources(project / "nbs/06_gate.ipynb")
    assert "All checks together, anew" in gate and "as we see it" in gate
    params = read_yaml(project / "params.yaml")
    assert params["gate"][NEW] == 0.03 and params["index"]["show_slices"] == 9
    assert git(project, "status", "--porcelain") == ""


def test_a_squashed_update_is_still_known(made: Made, project: Path, tmp_path: Path) -> None:
    start = git(project, "rev-parse", "HEAD").strip()
    update(made.later, project)
    git(project, "branch", "update")
    git(project, "reset", "-q", "--hard", start)
    git(project, "merge", "-q", "--squash", "update")
    git(project, "commit", "-qm", "Take it over (#7)\n\nRendered-From: 99.0.0 abc")
    still = shutil.copytree(made.later, tmp_path / "still")
    edit(still / "params.yaml", "show_slices: 9", "show_slices: 10")
    git(still, "commit", "-qam", "later still")
    assert "conflict" not in update(still, project)
    params = read_yaml(project / "params.yaml")
    assert params["index"]["show_slices"] == 10 and params["train"]["learning_rate"] == 0.07
    assert git(project, "replace", "-l") == ""


def test_what_cannot_be_updated_is_said_in_one_line(
    made: Made, project: Path, tmp_path: Path
) -> None:
    head = git(project, "rev-parse", "HEAD")
    shallow, detached, twice = (tmp_path / n for n in ("shallow", "detached", "twice"))
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{project}", "shallow")
    for folder in (detached, twice):
        git(tmp_path, "clone", "-q", str(project), folder.name)
    git(detached, "checkout", "-q", "--detach")
    edit(twice / "params.yaml", f"  {OLD}:", f"  {NEW}: 1\n  {OLD}:")
    git(twice, "commit", "-qam", "both names")
    (project / "params.yaml").write_text("changed: 1\n")
    for folder, word in (
        (project, "uncommitted"),
        (made.template, "no .origin.yaml"),
        (shallow, "git fetch --unshallow"),
        (detached, "git switch -c update"),
    ):
        with pytest.raises(UserError, match=word) as error:
            update_project(folder, made.later)
        assert "\n" not in str(error.value)
    for folder, word in (
        (tmp_path / "nowhere", "no folder"),
        (twice, f"holds both gate.{OLD} and its later name gate.{NEW}"),
    ):
        done = mlops(made.later, "update", str(folder))
        lines = done.stderr.strip().splitlines()
        assert done.returncode == 1 and len(lines) == 1 and word in lines[0], done.stderr
    git(project, "checkout", "-q", "params.yaml")
    assert untouched(project, head) and not git(twice, "status", "--porcelain")


def killed_at(project: Path, result: merge.Merged, call: int) -> bool:
    "Put a merge into a project in a child that is killed at its n-th call of git; False: it ended."
    if not (child := os.fork()):
        start, count = merge.run_git, iter(range(1, 100))

        def run_or_die(*words, **more):
            if next(count) == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return start(*words, **more)

        merge.run_git = run_or_die
        try:
            merge.put_into(project, result, "Take over the template: x")
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_killed_at_any_step_one_command_goes_back(made: Made, project: Path) -> None:
    edit(project / "nbs/04_train.ipynb", "# Train", "# Train, in our words")
    git(project, "commit", "-qam", "ours too")
    head = git(project, "rev-parse", "HEAD")
    update(made.later, project)
    files, stages = merge.open_files(project), git(project, "ls-files", "-u", "-z")
    theirs = git(project, "rev-parse", "MERGE_HEAD").strip()
    git(project, "add", "-A")
    tree = git(project, "write-tree").strip()
    git(project, "reset", "-q", "--hard", head.strip())
    whole = merge.Merged(tree, theirs, [], "", [])
    for result, steps in ((whole._replace(conflicts=files, stages=stages), 6), (whole, 2)):
        calls = 0
        while killed_at(project, result, calls + 1):
            calls += 1
            if untouched(project, head) and not merge.git_file(project, merge.NOTE).exists():
                continue
            with pytest.raises(UserError, match="`mlops-nb update --abort` there goes back"):
                check_updatable(project)
            merge.go_back(project)
            assert untouched(project, head), calls
        assert calls >= steps and merge.open_files(project) == result.conflicts
        if result.conflicts:
            assert "as it was" in merge.go_back(project) and untouched(project, head)
    assert git(project, "log", "-1", "--format=%P").split() == [head.strip(), theirs]


def test_killed_before_the_end_the_project_is_as_it_was(made: Made, project: Path) -> None:
    head, program = git(project, "rev-parse", "HEAD"), Path(shutil.sys.executable).parent
    command = [str(program / "mlops-nb"), "update", str(project)]
    for seconds in (1.0, 2.5):
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(
            command, cwd=made.later, stdout=quiet, stderr=quiet, start_new_session=True
        )
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert untouched(project, head)
    assert "took the template's release over" in update(made.later, project)
    assert git(project, "worktree", "list").count("\n") == 1


def test_whether_there_is_a_newer_template(made: Made, project: Path, tmp_path: Path) -> None:
    check = lambda *words: run(["mlops-nb", "update", "--check", *words], project / "nbs")
    same = check()  # the recorded template
    assert same.returncode == 0 and same.stdout.startswith("up to date: this project has 0.1.0")
    newer = check("--from", str(made.later))
    assert newer.returncode == 1, newer.stdout + newer.stderr
    assert newer.stdout.startswith("newer: 99.0.0 (this project has 0.1.0 ")
    assert "- It is later now." in newer.stdout and "- Notebooks 01 to 07" not in newer.stdout
    assert f"migration 99.0.0: gate.{OLD} is called gate.{NEW}" in newer.stdout
    facts = json.loads(check("--from", str(made.later), "--json").stdout)
    assert (facts["state"], facts["newer"], facts["version"]) == ("newer", ["99.0.0"], "0.1.0")
    for address in (str(tmp_path / "gone"), "https://127.0.0.1:1/none.git"):
        gone = check("--from", address)
        assert gone.returncode == 2 and "cannot be reached" in gone.stderr, gone.stderr
        assert len(gone.stderr.strip().splitlines()) == 1 and not gone.stdout
    assert not git(project, "status", "--porcelain")


def test_a_project_updates_itself_by_its_own_library(
    made: Made, project: Path, tmp_path: Path
) -> None:
    (wheel,) = (project / "vendor").iterdir()
    with zipfile.ZipFile(wheel) as held:
        held.extractall(tmp_path / "site")
    command = ["python", "-c", "from mlops_kit.cli.main import main; main()", "update"]
    call = lambda *words: run([*command, *words], project, PYTHONPATH=str(tmp_path / "site"))
    assert "up to date" in call().stdout
    done = call("--from", str(made.later))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "took the template's release over" in done.stdout
    assert read_yaml(project / "params.yaml")["gate"][NEW] == 0.03
    assert read_yaml(project / ".origin.yaml")["template"] == str(made.later)
    assert "up to date" in call().stdout and not git(project, "status", "--porcelain")


def test_the_library_is_ejected_and_updated(made: Made, project: Path, tmp_path: Path) -> None:
    (wheel,) = (project / "vendor").iterdir()
    with zipfile.ZipFile(wheel) as held:
        held.extractall(tmp_path / "site")
    command = ["python", "-c", "from mlops_kit.cli.main import main; main()", "eject"]
    bad = run([*command, "moon"], project, PYTHONPATH=str(tmp_path / "site"))
    assert bad.returncode == 1 and "no package 'moon'" in bad.stderr
    done = run([*command, "data"], project, PYTHONPATH=str(tmp_path / "site"))
    assert done.returncode == 0 and "edit lib/nbs/data" in done.stdout, done.stdout + done.stderr
    assert git(project, "status", "--porcelain") == "" and not (project / "vendor").exists()
    assert "deps: [nbs, lib/nbs]" in (project / "dvc.yaml").read_text()
    assert "./vendor/" not in (project / "requirements.txt").read_text()
    edit(library_notebook(project, "data.splitting"), "# ", "# Ours: ")
    git(project, "commit", "-qam", "the library as we like it")
    assert "conflict" not in update(made.later, project)
    text = library_notebook(project, "data.splitting").read_text()
    assert "Ours: " in text and "NEW = 1" in text
    assert "NEW = 1" in (project / "lib/mlops_kit/data/splitting.py").read_text()


def propose(world: World, template: Path, *words: str) -> subprocess.CompletedProcess:
    "Do what the workflow does, with a stand-in for gh and a repository to push to."
    env = {k: v for k, v in world_environment(world).items() if k != "GITHUB_ACTIONS"}
    more = {"GH_TOKEN": TOKEN, "GITHUB_REF_NAME": "main"}
    command = ["mlops-nb", "update", "--pull-request", "--from", str(template), *words]
    done = run(command, world.clone, **(env | more))
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stdout + done.stderr
    return done


def test_an_update_is_offered_as_one_pull_request(
    made: Made, project: Path, tmp_path: Path
) -> None:
    world = open_world(project, tmp_path / "world")
    copy_stand_ins(world)
    known = lambda: load_json(world.folder / "hub.json")
    tip = lambda: world_git(world, world.bare, "rev-parse", "refs/heads/mlops-nb-update")
    assert "cannot be reached" in propose(world, tmp_path / "gone").stdout
    assert "up to date" in propose(world, made.template).stdout
    assert (
        "would take it: Template: 0.1.0 becomes 99.0.0"
        in propose(world, made.later, "--dry-run").stdout
    )
    assert known()["pulls"] == [] == known()["issues"]
    propose(world, made.later)
    (pull,) = known()["pulls"]
    assert pull["title"] == "Template: 0.1.0 becomes 99.0.0" and pull["head"] == "mlops-nb-update"
    assert "- It is later now." in pull["body"] and "migration 99.0.0" in pull["body"]
    first, main = tip(), world_git(world, world.bare, "rev-parse", "refs/heads/main")
    assert world_git(world, world.bare, "rev-parse", f"{first}^1") == main
    assert f"{NEW}: 0.03" in world_git(world, world.bare, "show", f"{first}:params.yaml")
    propose(world, made.later)
    assert tip() == first and len(known()["pulls"]) == 1
    edit(world.clone / "nbs/04_train.ipynb", "# Train", "# Train, in our words")
    world_git(world, world.clone, "commit", "-qam", "ours too")
    propose(world, made.later)
    (issue,) = known()["issues"]
    assert issue["title"] == "Template: 0.1.0 becomes 99.0.0, by hand"
    assert "- `nbs/04_train.ipynb`" in issue["body"] and tip() == first
    assert world_git(world, world.clone, "status", "--porcelain") == ""


FLAT = "90086ea"  # the last release that put the library's notebooks into a project


def test_a_project_of_the_flat_release_is_brought_over(made: Made, tmp_path: Path) -> None:
    flat, folder = tmp_path / "flat", tmp_path / "old"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(flat)], check=True)
    if subprocess.run(["git", "checkout", "-q", FLAT], cwd=flat, capture_output=True).returncode:
        pytest.skip("this clone is shallow: it does not hold the flat release")
    table = str(write_table(tmp_path / "t.csv"))
    words = ["init", str(folder), "--data", table, "--target", "y"]
    command = ["python", "-c", "from mlops_nb.project import main; main()"]
    begun = run([*command, *words], flat, PYTHONPATH=str(flat))
    assert begun.returncode == 0, begun.stderr
    edit(folder / "params.yaml", "learning_rate: 0.1", "learning_rate: 0.07")
    limit = read_yaml(folder / "params.yaml")["gate"][OLD]
    edit(folder / "params.yaml", f"  {OLD}: {limit}", f"  {OLD}: 0.03")
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
    said = update(made.later, folder)
    assert "conflict" not in said and "nbs/08j_drift.ipynb: you edited it" in said, said
    assert "`mlops-nb eject monitoring`" in said and "migration 99.0.0" in said
    gate = read_yaml(folder / "params.yaml")["gate"]
    assert gate[NEW] == 0.03 and OLD not in gate
    assert "migration 0.2.0" in said and "non_inferiority_margin" in gate
    params = read_yaml(folder / "params.yaml")
    for name, declared in (every := all_declared(folder)).items():
        assert resolve_parameters(name, params, every).keys() == declared.keys()
    assert read_yaml(folder / "params.yaml")["train"]["learning_rate"] == 0.07
    assert "how much" in (folder / "contract.yaml").read_text()
    assert "def twice" in (folder / "old/features.py").read_text()
    assert len(list((folder / "nbs").glob("*.ipynb"))) <= 16 and not (folder / "lib").exists()
    assert git(folder, "status", "--porcelain") == "" and list((folder / "vendor").iterdir())
