"Experiments on a real project: DVC's own and a grid's, a verdict of no is a result, what is restored is what was run."

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import edit, make_project, ran, repro, run

from mlops_kit.experiments.history import collect_experiments


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("experiments") / "ein Projekt")


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def rows(folder: Path) -> dict[str, dict]:
    return {r["name"]: r for r in collect_experiments(folder)["rows"]}


def test_a_mistake_starts_nothing(project: Path) -> None:
    for words, said in {
        ("train.roundz=1",): "did you mean rounds",
        ("train.rounds=",): "no value",
        ("train.rounds=many",): "allowed is int",
        ("train.rounds=[",): "no list of YAML values",
        ("train.rounds=1", "train.rounds=2"): "given twice",
    }.items():
        result = run(["mlops-nb", "grid", *[w for s in words for w in ("-S", s)]], project)
        assert (
            result.returncode == 1
            and said in result.stderr
            and len(result.stderr.strip().splitlines()) == 1
        ), result.stderr
    assert not (project / ".dvc/tmp/grid").exists()


def test_dvc_runs_the_temporary_copys_own_code_and_a_failing_gate_is_a_result(
    project: Path,
) -> None:
    edit(
        project,
        "gate",
        '"Judge a model against the limits."',
        '"Judge a model against the limits."\n    assert True',
    )
    assert ran(repro(project)) == ["code", "gate", "index"]
    before = git(project, "status", "--porcelain")
    result = run(
        ["dvc", "exp", "run", "--temp", "--name", "strict", "-S", "gate.min_score=1.01"], project
    )
    assert result.returncode == 0, result.stdout + result.stderr
    row = rows(project)["strict"]
    assert row["passed"] is False and row["rank"] and row["differs"] == "gate.min_score 1.01"
    assert git(project, "status", "--porcelain") == before


def test_a_grid_runs_what_is_missing_and_agrees_with_dvc(project: Path) -> None:
    before = git(project, "status", "--porcelain")
    result = run(
        ["mlops-nb", "grid", "-S", "gate.min_score=-9,1.01", "-S", "train.rounds=5"], project
    )
    assert result.returncode == 0 and "2 of 2 experiments are there" in result.stdout, (
        result.stdout + result.stderr
    )
    again = run(["mlops-nb", "grid", "-S", "train.rounds=5", "-S", "gate.min_score=1.01"], project)
    assert "1 experiments, 1 there already, 0 to run" in again.stdout
    found = [r for r in rows(project).values() if r["name"].startswith("grid-")]
    assert (
        len(found) == 2
        and all(r["rank"] for r in found)
        and not next(r for r in found if r["params"]["gate.min_score"] == 1.01)["passed"]
    )
    native = run(
        [
            "dvc",
            "exp",
            "run",
            "--temp",
            "--name",
            "native",
            "-S",
            "train.rounds=5",
            "-S",
            "gate.min_score=-9",
        ],
        project,
    )
    assert native.returncode == 0, native.stderr
    twin = next(r for r in found if r["params"]["gate.min_score"] == -9)
    assert git(project, "diff", "--stat", twin["commit"], rows(project)["native"]["commit"]) == ""
    assert (
        git(project, "status", "--porcelain") == before
        and git(project, "stash", "list") == ""
        and not (project / ".dvc/tmp/grid/work").exists()
    )


def test_a_failed_experiment_is_named_with_its_reason_and_log(project: Path) -> None:
    result = run(["mlops-nb", "grid", "-S", "features.min_rows=100000000"], project)
    line = result.stdout.strip().splitlines()[-1]
    assert result.returncode == 1 and "0 of 1 experiments are there" in result.stdout
    assert "failed: features: " in line and line.endswith("/log.txt"), line
    log = project / line.rpartition("log: ")[2]
    assert (
        "failed to reproduce 'features'" in log.read_text()
        and (log.parent / "features.html").is_file()
    )


def test_a_grid_works_where_dvc_exp_run_does_not(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "Größe · 尺寸"  # `dvc exp run --temp` of DVC 3.67 needs a path in ASCII
    shutil.copytree(project, copy)
    result = run(["mlops-nb", "grid", "-S", "gate.min_gain=-9"], copy)
    assert result.returncode == 0 and "1 of 1 experiments are there" in result.stdout, (
        result.stdout + result.stderr
    )


def test_the_table_and_the_page(project: Path) -> None:
    shown = run(["mlops-nb", "experiments"], project)
    lines = shown.stdout.splitlines()
    assert (
        shown.returncode == 0
        and all(len(line) <= 80 for line in lines)
        and "NO" in shown.stdout
        and "strict" in shown.stdout
    ), shown.stdout + shown.stderr
    page = (project / "reports/experiments.html").read_text()
    assert (
        page.count("<polyline") >= 4
        and page.count("<script") == 1
        and 'class="banner ' in page
        and str(project) not in page
        and "http" not in page
    )
    records = json.loads(run(["mlops-nb", "experiments", "--json"], project).stdout)
    assert [r["rank"] for r in records if r["rank"]] == sorted(
        r["rank"] for r in records if r["rank"]
    )
    assert (
        "dvc exp apply "
        f"{next((r['name'] for r in records if r['kind'] == 'experiment' and r['passed']), 'strict')}"
    ) in shown.stdout


def test_an_interrupted_grid_leaves_nothing_running(project: Path) -> None:
    before = git(project, "status", "--porcelain")
    command = [Path(sys.executable).parent / "mlops-nb", "grid", "-S", "seed=11,12"]
    # a shell that runs the tests in the background has it ignored
    hear = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    started = subprocess.Popen(
        command,
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear,
    )
    time.sleep(4)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=20)
    assert (
        started.returncode == 1
        and said.strip()
        == "mlops-nb: grid: stopped; what was complete is kept, the same command goes on from there"
    )
    time.sleep(1)
    assert not [
        p
        for p in Path("/proc").glob("[0-9]*/cwd")
        if os.path.realpath(p).startswith(str(project / ".dvc/tmp/grid"))
    ]
    assert git(project, "status", "--porcelain") == before


def test_apply_restores_the_exact_state(project: Path) -> None:
    twin = next(
        r
        for r in rows(project).values()
        if r["name"].startswith("grid-") and r["params"]["gate.min_score"] == -9
    )
    applied = run(["dvc", "exp", "apply", twin["name"]], project)
    assert applied.returncode == 0, applied.stderr
    for file in git(project, "ls-tree", "-r", "--name-only", "-z", twin["commit"]).split("\0")[:-1]:
        assert (
            subprocess.run(
                ["git", "show", f"{twin['commit']}:{file}"], cwd=project, capture_output=True
            ).stdout
            == (project / file).read_bytes()
        ), file
    assert ran(repro(project)) == []
    row = rows(project)["workspace"]
    assert (row["value"], row["rank"]) == (twin["value"], rows(project)[twin["name"]]["rank"])
