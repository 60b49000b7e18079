"""Prove that a grid survives SIGKILL: 12 experiments over 3 families, killed at random moments, run again, all there, none twice, the best restored exactly.

    python tests/proofs/grid.py --kills 3 --seed 1

Three kinds of kill take turns: `group` ends the grid's process group at once, `alone` the grid's process only, `all` every process that it started as well.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from conftest import make_project, repro, run  # noqa: E402

from mlops_kit.experiments.grid_worker import GRID_VARIABLE  # noqa: E402
from mlops_kit.experiments.history import collect_experiments  # noqa: E402

GRID = [
    "-S",
    "train.model=hist_gradient_boosting,random_forest,linear",
    "-S",
    "train.rounds=5,10",
    "-S",
    "train.leaves=7,15",
    "--jobs",
    "2",
]
KINDS = ("group", "alone", "all")
LIMIT = 900  # seconds that one run may take


def git(folder: Path, *words: str) -> str:
    "Ask git."
    return subprocess.run(
        ["git", *words], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def start(folder: Path) -> subprocess.Popen:
    "Start the grid in a process group of its own."
    return subprocess.Popen(
        [ROOT / ".venv/bin/mlops-nb", "grid", *GRID],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def started_by(folder: Path) -> list[int]:
    "List the processes that a grid in this folder has started."
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if (
                process.environ().get(GRID_VARIABLE) == str(folder)
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process.pid)
    return found


def strike(kind: str, grid: subprocess.Popen, folder: Path) -> None:
    "Kill a grid in one of three ways."
    others = started_by(folder) if kind == "all" else []
    with suppress(ProcessLookupError):
        os.killpg(grid.pid, signal.SIGKILL) if kind == "group" else grid.kill()
    for pid in others:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    grid.communicate()


def trouble_after_kill(folder: Path, before: tuple[str, str]) -> str:
    "Say what a kill has done to the workspace or left running; nothing if all is well."
    deadline = time.monotonic() + 5
    while started_by(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    orphans, now = (
        started_by(folder),
        (
            git(folder, "status", "--porcelain"),
            git(folder, "symbolic-ref", "HEAD") + git(folder, "stash", "list"),
        ),
    )
    return "; ".join(
        ([f"{len(orphans)} processes go on"] if orphans else [])
        + (["the workspace changed"] if now != before else [])
    )


def leftovers(folder: Path) -> list[str]:
    "Name what a finished grid should not have left."
    refs = [
        r
        for r in git(
            folder, "for-each-ref", "--format=%(refname)", "refs/exps", "refs/stash"
        ).split()
        if not r.split("/")[-1].startswith("grid-")
    ]
    return (
        refs
        + [
            str(p)
            for p in (folder / ".dvc/tmp/grid/work", folder / ".dvc/tmp/grid/failed")
            if p.exists()
        ]
        + [str(p) for p in (folder / ".git").rglob("*.lock")]
        + [f"process {p}" for p in started_by(folder)]
    )


def restored(folder: Path, best: dict) -> str:
    "Apply the best experiment; say what is not as it was, or nothing."
    applied = run(["dvc", "exp", "apply", best["name"]], folder)
    if applied.returncode:
        return applied.stderr.strip().splitlines()[-1]
    files = git(folder, "ls-tree", "-r", "--name-only", "-z", best["commit"]).split("\0")[:-1]
    wrong = [
        f
        for f in files
        if subprocess.run(
            ["git", "show", f"{best['commit']}:{f}"], cwd=folder, capture_output=True
        ).stdout
        != (folder / f).read_bytes()
    ]
    again = repro(folder)
    ran = [line for line in again.stdout.splitlines() if line.startswith("Running stage")]
    if wrong or ran or again.returncode:
        return f"differs: {wrong}; ran: {ran} {again.stderr[-300:]}"
    metrics = {
        p.name: p.read_bytes()
        for p in (folder / "metrics").glob("*.json")
        if p.name != "timings.json"
    }
    forced = run(["dvc", "repro", "-f"], folder, PYTHONPATH=str(folder))
    after = {
        p.name: p.read_bytes()
        for p in (folder / "metrics").glob("*.json")
        if p.name != "timings.json"
    }
    value = json.loads(after["evaluate.json"])["metrics"][best["metric"]]["value"]
    return (
        ""
        if forced.returncode == 0 and after == metrics and value == best["value"]
        else f"dvc repro -f gives other metrics: {value}, {forced.stderr[-300:]}"
    )


def main() -> int:
    "Kill, resume, judge; 1 when something is wrong."
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=3, help="how often the grid is killed (3)")
    parser.add_argument("--seed", type=int, default=1, help="chooses the moments (1)")
    chosen = parser.parse_args()
    folder, moments, wrong = (
        Path(tempfile.mkdtemp(prefix="mlops_nb-grid-")).resolve() / "project",
        random.Random(chosen.seed),
        [],
    )
    folder.mkdir()
    make_project(folder)
    before = (
        git(folder, "status", "--porcelain"),
        git(folder, "symbolic-ref", "HEAD") + git(folder, "stash", "list"),
    )
    for number in range(chosen.kills):
        kind, moment, grid = KINDS[number % len(KINDS)], moments.uniform(0.5, 40), start(folder)
        with suppress(subprocess.TimeoutExpired):
            grid.wait(moment)
        strike(kind, grid, folder)
        trouble = trouble_after_kill(folder, before)
        there = sum(r["kind"] == "experiment" for r in collect_experiments(folder)["rows"])
        print(
            f"kill {number + 1}: {kind:<6} after {moment:>4.1f} s, {there:>2} of 12 there  "
            f"{trouble or 'workspace untouched, nothing goes on'}",
            flush=True,
        )
        wrong += [trouble] if trouble else []
    started, grid = time.perf_counter(), start(folder)
    printed, _ = grid.communicate(timeout=LIMIT)
    print(
        f"resumed: {time.perf_counter() - started:.0f} s · {printed.splitlines()[0]} · "
        f"{printed.splitlines()[-1]}"
    )
    started = time.perf_counter()
    shown = run(["mlops-nb", "experiments"], folder)
    seconds = time.perf_counter() - started
    rows = [r for r in collect_experiments(folder)["rows"] if r["kind"] == "experiment"]
    combinations = {
        tuple(r["params"][k] for k in ("train.model", "train.rounds", "train.leaves"))
        for r in rows
        if r["rank"]
    }
    print(
        f"{len(rows)} rows, {len(combinations)} combinations complete; the table took "
        f"{seconds:.2f} s; left behind: {leftovers(folder) or 'nothing'}"
    )
    wrong += [f"exit code {grid.returncode}"] if grid.returncode or shown.returncode else []
    wrong += ["rows"] if (len(rows), len(combinations)) != (12, 12) else []
    wrong += ["table slower than 2 s"] if seconds > 2 else []
    wrong += leftovers(folder)
    best = rows[0]
    problem = restored(folder, best)
    print(
        f"best: {best['name']}, {best['metric']} {best['value']:.4f}; "
        f"{problem or 'restored byte for byte, nothing to do, and dvc repro -f gives the same metrics'}"
    )
    wrong += [problem] if problem else []
    print("grid: " + ("; ".join(wrong) + f"; kept in {folder}" if wrong else "all is well"))
    if not wrong:
        shutil.rmtree(folder.parent)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
