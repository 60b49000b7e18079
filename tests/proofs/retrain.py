"""Prove that a retraining survives SIGKILL: always the old champion or the new one, never neither, never both; as-of date and git consistent.

    python tests/proofs/retrain.py --kills 100 --seed 1

Half of the kills come while the pipeline runs apart and what follows: `time` at a random moment, `all` the same but every process that the run started dies as well, `cold`
with nothing in DVC's run cache, so that the stages really compute. The other half comes while the new commit lands in the project: `step` when the journal has come to a step,
`again` at a random moment. After each kill the project is looked at as it lies there. Then it is killed again, or `mlops-nb retrain` runs, and must end with the new champion.
Every other project has a remote repository. A refused candidate and two runs at once come last.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import yaml  # noqa: E402
from conftest import make_project, run  # noqa: E402
from dvc.repo import Repo  # noqa: E402

from mlops_kit.retraining.workflow import RETRAIN_MARK, recover, run_retraining  # noqa: E402
from mlops_kit.core.sandbox import set_parameters  # noqa: E402
from mlops_kit.core.files import UserError, read_yaml  # noqa: E402
from mlops_kit.core.locks import find_git_locks  # noqa: E402
from mlops_kit.retraining.apply import STEPS  # noqa: E402
from mlops_kit.retraining.plan import Request  # noqa: E402
from mlops_kit.registry.tags import find_holder, read_entries, stage_stack
from mlops_kit.storage.objects import open_store, verify_in_remote
from mlops_kit.storage.sync import capture_dvc_log
from mlops_kit.registry.versions import find_bundle

NAME, OLD, NEW, RESULT = "model", "2013-04-30", "2013-05-31", "metrics/retrain.json"
FAST = {
    "train.model": "linear",
    "train.rounds": 5,
    "train.search.method": "none",
    "evaluate.resamples": 10,
    "evaluate.importance_rows": 50,
    "gate.non_inferiority_margin": 1.0,
    "gate.min_score": 0.0,
    "gate.min_gain": -1.0,
    "gate.min_over_chance": -1.0,
    "gate.min_test_rows": 0,
    "gate.min_rare_rows": 0,
    "gate.min_slice_score": 0.0,
}
KINDS, LANDING = (
    ("time", "all", "time", "time", "all", "step", "again", "step", "again", "step"),
    ("step", "again"),
)
LIMIT = 900  # seconds that one run may take
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "mlops_kit.retraining.workflow",
        "dvc.repo",
        "dvc.repo.index",
        "dvc.repo.checkout",
        "dvc_data.index.checkout",
        "psutil",
        "ruamel.yaml",
        "configobj",
    ]
)
SHARES = dict(zip(STEPS, (0.02, 0.25, 0.3, 0.12, 0.01)))  # how long a step lasts, of all of landing


def git(folder: Path, *words: str) -> str:
    "Ask git."
    return subprocess.run(
        ["git", *words], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def command(folder: Path, *words: str) -> subprocess.CompletedProcess:
    "Run a word of the command line."
    return run(["mlops-nb", *words], folder, PYTHONPATH=str(folder))


def make_world(world: Path) -> Path:
    """Make a small project whose champion knows April, with a remote repository, DVC's cache and
    remote beside it.
    """
    project = world / "project"
    project.mkdir(parents=True)
    make_project(project)
    set_parameters(project / "params.yaml", FAST)
    (
        git(project, "config", "user.name", "proof"),
        git(project, "config", "user.email", "proof@example.org"),
    )
    for words in (
        ["cache", "dir", str(world / "cache")],
        ["remote", "modify", "storage", "url", str(world / "storage")],
    ):
        assert run(["dvc", *words], project).returncode == 0
    assert command(project, "repro").returncode == 0
    git(project, "add", "-A"), git(project, "commit", "-qm", "April")
    git(world, "init", "-q", "--bare", "bare.git")
    (
        git(project, "remote", "add", "origin", "../bare.git"),
        git(project, "push", "-q", "origin", "HEAD"),
    )
    for words in (["register"], ["promote", "latest", "prod"]):
        done = command(project, *words)
        assert done.returncode == 0, done.stderr
    for part in ("project", "bare.git"):
        shutil.copytree(world / part, world / "kept" / part, symlinks=True)
    return project


def restore(world: Path, source: str, remote: bool) -> None:
    "Put project and remote repository back to a kept state; DVC's cache and remote stay."
    for part in ("project", "bare.git"):
        shutil.rmtree(world / part)
        shutil.copytree(world / source / part, world / part, symlinks=True)
    if not remote:
        git(world / "project", "remote", "remove", "origin")


def child(folder: Path, recovery: bool, said: Path) -> None:
    "Retrain, or bring an interrupted retraining to its end, in a process group of its own."
    os.setsid()
    os.chdir(folder)
    with said.open("w", buffering=1) as out:
        sys.stdout = sys.stderr = sys.__stderr__ = out
        try:
            code = (
                recover(folder, print)
                if recovery
                else run_retraining(folder, Request(), None, print)
            )
        except UserError as error:
            print(f"error: {error}")
            code = 1
        except BaseException:
            traceback.print_exc()
            code = 2
    os._exit(code)


def start(folder: Path, recovery: bool = False) -> multiprocessing.Process:
    """Start a retraining as the command line does, in a fork of a process that has imported the
    libraries and done nothing with them.
    """
    process = FORKS.Process(target=child, args=(folder, recovery, folder.parent / "said"))
    process.start()
    return process


def finish_run(folder: Path) -> None:
    "Retrain to the end; raises AssertionError when that fails."
    process = start(folder)
    process.join(LIMIT)
    assert process.exitcode == 0, (folder.parent / "said").read_text()[-800:]


def started_by(folder: Path) -> list[int]:
    "List the processes that a retraining in this folder has started."
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if (
                process.environ().get(RETRAIN_MARK) == str(folder)
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process.pid)
    return found


def step_of(folder: Path) -> str:
    "Read how far the journal is; nothing when there is none."
    with suppress(OSError, ValueError):
        return json.loads((folder / ".dvc/tmp/retrain/write_ahead_log.json").read_text())["step"]
    return ""


def strike(process: multiprocessing.Process, folder: Path, everything: bool) -> None:
    "Kill a retraining, its whole process group at once."
    others = started_by(folder) if everything else []
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()  # it has not yet a group of its own
    for pid in others:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.join()


def wait_for(
    process: multiprocessing.Process, folder: Path, step: str, delay: float, again: bool = False
) -> None:
    """Wait until the journal has come to a step, and a while longer.

    Where it stood there from the start, until the first file has changed.
    """
    # of the files that change, in their order
    first = lambda: (
        (folder / "MODEL_CARD.md").stat().st_ino if (folder / "MODEL_CARD.md").exists() else 0
    )
    before = first()
    while process.exitcode is None and (
        step_of(folder) != step or (again and step == STEPS[0] and first() == before)
    ):
        time.sleep(0.001)
    process.join(delay)


def champion(folder: Path) -> str:
    "Say which version holds prod, by this repository's tags; see that exactly one does."
    entries = read_entries(folder, NAME)
    numbers = [e.number for e in entries if e.stage == "prod"]
    assert numbers == list(range(1, len(numbers) + 1)) and stage_stack(entries, "prod"), (
        f"history of prod: {numbers}"
    )
    return find_holder(entries, "prod").version


def look(folder: Path, old: str) -> dict:
    "Look at a project as it lies there; raises AssertionError for what must never be."
    remote = git(folder, "remote")
    held = champion(folder.parent / "bare.git" if remote else folder)
    assert held in ("v1.0.0", "v1.0.1"), held
    entry = next(
        e
        for e in read_entries(folder.parent / "bare.git" if remote else folder, NAME)
        if e.version == held
    )
    store = open_store(folder)
    assert verify_in_remote(store, find_bundle(folder, entry.commit)) > 0
    head = git(folder, "rev-parse", "HEAD")
    assert head == old or (
        git(folder, "rev-parse", "HEAD^") == old
        and git(folder, "log", "-1", "--format=%s") == f"retrain: data through {NEW}"
    ), head
    assert git(folder, "symbolic-ref", "HEAD").startswith("refs/heads/")
    assert (
        subprocess.run(["git", "fsck", "--no-dangling"], cwd=folder, capture_output=True).returncode
        == 0
    ), "fsck"
    changed = [
        line[3:] for line in git(folder, "status", "--porcelain").splitlines() if RESULT not in line
    ]
    clean, under_way = not changed, bool(step_of(folder))
    assert clean or under_way, f"changed without a journal: {changed}"
    assert held == "v1.0.0" or head != old, "the new champion's commit is not there"
    days = clock(folder)
    if clean:
        assert len(days) == 1 and days == ({OLD} if head == old else {NEW}), days
    return {"champion": held, "new": head != old, "clean": clean, "journal": under_way}


def clock(folder: Path) -> set[str]:
    "Collect what day it is, by params.yaml, dvc.lock and the metrics."
    stages = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    lock = {str(stages[s]["params"]["params.yaml"]["data.asof"]) for s in ("ingest", "features")}
    return {
        str(read_yaml(folder / "params.yaml")["data"]["asof"]),
        json.loads((folder / "metrics/evaluate.json").read_text())["to"],
        *lock,
    }


def unfinished(folder: Path, old: str) -> str:
    "Say what a finished retraining lacks or has left; nothing if all is well."
    found = look(folder, old)
    left = [
        str(p.relative_to(folder))
        for p in (
            folder / ".dvc/tmp/retrain/work",
            folder / ".dvc/tmp/retrain/write_ahead_log.json",
        )
        if p.exists()
    ]
    left += [
        str(p)
        for place in (folder / ".git", folder.parent / "bare.git")
        for p in find_git_locks(place)
    ]
    left += [f"process {p}" for p in started_by(folder)] + git(
        folder, "for-each-ref", "--format=%(refname)", "refs/retrain"
    ).split()
    with capture_dvc_log():
        state = Repo(str(folder)).status()
    wrong = (
        []
        if found == {"champion": "v1.0.1", "new": True, "clean": True, "journal": False}
        else [str(found)]
    )
    wrong += [f"left: {left}"] if left else []
    wrong += [f"dvc status: {state}"] if state else []
    wrong += [f"here {champion(folder)} holds prod"] if champion(folder) != "v1.0.1" else []
    return "; ".join(wrong)


def kill_once(folder: Path, kind: str, moments: random.Random, times: dict[str, float]) -> str:
    "Start a retraining and kill it; the moment in words, nothing when the run had ended before."
    name, began = {"again": "recovery", "cold": "cold"}.get(kind, "warm"), time.perf_counter()
    process = start(folder, kind in LANDING)
    if kind == "step":
        step = moments.choice(STEPS)
        delay = moments.uniform(0, times["landing"] * SHARES[step])
        wait_for(process, folder, step, delay, again=True)
        moment = f"{step} + {delay:.2f} s"
    else:
        seconds = moments.uniform(0, times[name])
        process.join(seconds)
        moment = f"{seconds:.2f} s"
    late = process.exitcode is not None
    if late and kind != "step":
        # the machine is faster now than when it was measured
        times[name] = (times[name] + time.perf_counter() - began) / 2
    strike(process, folder, kind == "all")
    return "" if late else moment


def one_kill(
    world: Path, kind: str, moments: random.Random, times: dict[str, float], finish: bool
) -> tuple[str, dict]:
    """Kill once and look.

    Run again where something is under way, or to the end when asked; what happened in a line, and
    what was found after the kill.
    """
    folder, old = world / "project", git(world / "kept/project", "rev-parse", "HEAD")
    if kind == "cold":
        (world / "cache/runs").rename(world / "runs")
    moment = kill_once(folder, kind, moments, times)
    if kind == "cold":
        shutil.rmtree(world / "cache/runs", ignore_errors=True)
        (world / "runs").rename(world / "cache/runs")
    found, at = look(folder, old), step_of(folder)
    complete = found["champion"] == "v1.0.1" and not found["journal"]
    if not complete and (found["journal"] or finish):
        finish_run(folder)
        complete = True
    problem = unfinished(folder, old) if complete else ""
    assert not problem, problem
    then = "then the new champion" if complete else "left to the next kill"
    if not moment:
        return "", found | {"complete": complete}
    return (
        f"{kind:<5} {moment:<26} {'new' if found['new'] else 'old'} commit, {found['champion']}, "
        f"{'clean' if found['clean'] else 'files under way'}, journal: {at or '-'}; {then}"
    ), found | {"complete": complete}


def refused(world: Path) -> str:
    "Retrain behind a gate that nobody passes; what is wrong, or nothing."
    restore(world, "kept", True)
    folder = world / "project"
    set_parameters(folder / "params.yaml", {"gate.min_score": 1.0, "retrain.gate.min_score": 1.0})
    assert command(folder, "repro").returncode == 0
    git(folder, "commit", "-qam", "a gate that nobody passes")
    before, tags = git(folder, "rev-parse", "HEAD"), git(folder, "tag")
    done = command(folder, "retrain")
    print(done.stdout.splitlines()[-2] + "\n" + done.stdout.splitlines()[-1])
    after = json.loads((folder / RESULT).read_text())
    kept = folder / "reports/refused" / NEW / "reports/gate.html"
    good = (
        done.returncode == 1
        and before == git(folder, "rev-parse", "HEAD")
        and tags == git(folder, "tag")
        and clock(folder) == {OLD}
    )
    good = (
        good
        and git(folder, "status", "--porcelain").split() == ["??", RESULT]
        and after["outcome"] == "refused"
        and kept.is_file()
        and "refused" in done.stdout.splitlines()[-1]
    )
    return (
        ""
        if good and "up to date" in run(["dvc", "status"], folder).stdout
        else f"refused: {done.returncode} {done.stdout[-500:]} {done.stderr[-500:]}"
    )


def two_at_once(world: Path) -> str:
    "Start a second run while one is under way; what is wrong, or nothing."
    restore(world, "kept", True)
    folder, old = world / "project", git(world / "kept/project", "rev-parse", "HEAD")
    first = start(folder)
    while not (folder / ".dvc/tmp/retrain/work").exists() and first.exitcode is None:
        time.sleep(0.01)
    second = command(folder, "retrain")
    print(second.stderr.strip())
    first.join(LIMIT)
    good = (
        second.returncode == 1 and f"process {first.pid}" in second.stderr and first.exitcode == 0
    )
    return (
        unfinished(folder, old)
        if good
        else f"two at once: {second.returncode} {second.stderr} {first.exitcode}"
    )


def measure(world: Path) -> dict[str, float]:
    """Time a run with and without DVC's run cache, and keep the state at which it begins to change
    the project.
    """
    folder, times = world / "project", {}
    for name in ("warm",) if (world / "landing").exists() else ("cold", "warm"):
        restore(world, "kept", True)
        began, process = time.perf_counter(), start(folder)
        if name == "warm":
            wait_for(process, folder, STEPS[0], 0)
            landing = time.perf_counter()
        process.join(LIMIT)
        times[name] = time.perf_counter() - began
        printed = (world / "said").read_text()
        assert process.exitcode == 0, printed
        print(
            printed
            if name == "cold"
            else f"with the run cache: {times['warm']:.0f} s, of which landing "
            f"{time.perf_counter() - landing:.1f} s"
        )
    times["landing"] = time.perf_counter() - landing
    times |= {"recovery": times["landing"], "cold": times.get("cold", 4 * times["warm"])}
    shutil.rmtree(world / "landing", ignore_errors=True)
    restore(world, "kept", True)
    process = start(folder)
    wait_for(process, folder, STEPS[0], 0)
    strike(process, folder, everything=False)
    for part in ("project", "bare.git"):
        shutil.copytree(world / part, world / "landing" / part, symlinks=True)
    return times


def main() -> int:
    "Kill, look, run again, look; 1 when something is wrong."
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--kills", type=int, default=100, help="how often a retraining is killed (100)"
    )
    parser.add_argument(
        "--cold", type=int, default=3, help="how many of them with an empty run cache (3)"
    )
    parser.add_argument("--seed", type=int, default=1, help="chooses the moments (1)")
    parser.add_argument(
        "--kinds",
        nargs="+",
        choices=sorted(set(KINDS)),
        default=KINDS,
        help="the kinds of kill that take turns (half of them before landing, half while landing)",
    )
    parser.add_argument("--world", type=Path, help="the folder that an earlier run has kept")
    chosen = parser.parse_args()
    world, moments, wrong, found = (
        (chosen.world or Path(tempfile.mkdtemp(prefix="mlops_nb-retrain-"))).resolve(),
        random.Random(chosen.seed),
        [],
        [],
    )
    began = time.perf_counter()
    if not chosen.world:
        make_world(world)
    times = measure(world)
    waiting = False  # whether the last kill left the project with the old champion
    number = late = 0
    while number < chosen.kills:
        kind = "cold" if number < chosen.cold else chosen.kinds[number % len(chosen.kinds)]
        if kind in LANDING or not waiting:
            restore(world, "landing" if kind in LANDING else "kept", remote=number // 5 % 2 == 0)
        last = (
            chosen.kinds[(number + 1) % len(chosen.kinds)] in LANDING or number + 1 == chosen.kills
        )
        try:
            line, state = one_kill(world, kind, moments, times, finish=last)
            waiting = not state["complete"]
            if not line:
                late += 1
                continue
            found.append(state)
        except AssertionError as error:
            line, waiting = f"{kind:<5} WRONG: {error}", False
            wrong.append(f"kill {number + 1}")
            shutil.copytree(world / "project", world / f"wrong-{number + 1}", symlinks=True)
        number += 1
        print(f"kill {number:>3}: {line}", flush=True)
    wrong += [problem for work in (refused, two_at_once) if (problem := work(world))]
    count = lambda test: sum(map(test, found))
    print(
        f"{chosen.kills} kills ({late} more came after the run's end and do not count): "
        f"{count(lambda f: f['champion'] == 'v1.0.0')} left the old champion, "
        f"{count(lambda f: f['champion'] == 'v1.0.1')} the new one; "
        f"{count(lambda f: not f['clean'])} left files under way, {count(lambda f: f['journal'])} "
        f"a journal; {count(lambda f: f['complete'])} next runs ended with the new champion, the "
        "others were killed again"
        if len(found) == chosen.kills
        else f"{len(wrong)} went wrong"
    )
    print(
        f"retrain: {'; '.join(wrong) + f'; kept in {world}' if wrong else 'all is well'}, "
        f"{time.perf_counter() - began:.0f} s"
    )
    if not wrong:
        shutil.rmtree(world)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
