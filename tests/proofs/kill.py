"""Prove that a run killed at any moment leaves nothing behind that a later run would trust: killed, then run again, it gives the same bytes.

    python tests/proofs/kill.py --kills 30 --seed 1     a small sample
    python tests/proofs/kill.py --kills 10 --full       the real data

Three kinds of kill take turns, all with SIGKILL: `all` ends every process of the run; `parent` ends only `mlops-nb repro`, DVC and the stage
go on; `stage stays` ends everything but the stage's own processes.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [ROOT / ".venv/bin/mlops-nb", "repro"]
LIMIT = 1200  # seconds that one run may take
KINDS = ("all", "parent", "stage stays")
SAMPLE = {
    "ingest": {"max_rows": 10000},
    "train": {"rounds": 20},
    "evaluate": {"min_slice_rows": 60, "resamples": 20, "importance_rows": 300},
}


class Process(NamedTuple):
    "A living process of a run."

    pid: int
    words: str


def take_sample(params: Path) -> None:
    "Make a project's params.yaml ask for a small sample."
    text = params.read_text(encoding="utf-8")
    for section in SAMPLE.values():
        for key, value in section.items():
            text = re.sub(rf"(?m)^(  {key}:) +\S+", rf"\1 {value}", text)
    params.write_text(text, encoding="utf-8")
    held = yaml.safe_load(text)
    assert all(
        held[name][key] == value
        for name, section in SAMPLE.items()
        for key, value in section.items()
    ), "params.yaml: the sample's keys are gone"


def make_clone(folder: Path, full: bool) -> dict[str, str]:
    """Clone HEAD without its results.

    Give the environment that keeps its package and DVC's state its own.
    """
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    for path in [
        folder / "dvc.lock",
        folder / "MODEL_CARD.md",
        *(folder / "metrics").glob("*.json"),
    ]:
        path.unlink(missing_ok=True)
    if not full:
        take_sample(folder / "params.yaml")
    own = {
        "DVC_SITE_CACHE_DIR": "site",
        "DVC_GLOBAL_CONFIG_DIR": "global",
        "DVC_SYSTEM_CONFIG_DIR": "system",
    }
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLOPS_NB_"))}
    return (
        kept
        | {"PYTHONPATH": str(folder), "PYTHONUNBUFFERED": "1"}
        | {k: str(folder.parent / v) for k, v in own.items()}
    )


def start(folder: Path, env: dict[str, str], log: Path) -> subprocess.Popen:
    "Start the pipeline in a process group of its own."
    with log.open("wb") as stream:
        return subprocess.Popen(
            COMMAND,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def members(group: int) -> list[Process]:
    "List the living processes of a run's group."
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            state, _, itself = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(itself) == group and state != "Z":
                found.append(
                    Process(
                        int(entry.name),
                        (entry / "cmdline")
                        .read_bytes()
                        .replace(b"\0", b" ")
                        .decode(errors="replace"),
                    )
                )
    return found


def end(group: int, spared: str | None = None) -> int:
    """Kill a run's processes by their ids, but not those whose command matches.

    Give how many were killed.
    """
    killed = 0
    for process in members(group):
        if spared is None or not re.search(spared, process.words):
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
                killed += 1
    return killed


def running_stage(log: Path) -> str:
    "Name the stage a run was in, by what DVC printed last."
    text = log.read_text(errors="replace")
    started = re.findall(r"Running stage '(\w+)'", text)
    return ("after " if "Use `dvc push`" in text else "") + (
        started[-1] if started else "before the first"
    )


def strike(kind: str, run: subprocess.Popen) -> int:
    "Kill a run in one of three ways; give how many processes go on."
    if kind == "parent":
        run.kill()
    else:
        spared = r"mlops-nb (code|stage)|core.fork_server" if kind == "stage stays" else None
        for _ in range(5):  # a process may have been born while the others died
            if not end(run.pid, spared):
                break
            time.sleep(0.1)
    run.wait(10)
    return len(members(run.pid))


def results(folder: Path) -> dict[str, bytes]:
    "Read what has to be the same: dvc.lock, which names every output by its hash, and the metrics."
    paths = [folder / "dvc.lock", *sorted((folder / "metrics").glob("*.json"))]
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in paths
        if p.exists() and p.name != "timings.json"
    }


def leftovers(folder: Path) -> list[str]:
    "Name files of a temporary name that are still there."
    found = [
        *folder.glob("*.partial"),
        *folder.glob("*/**/*.partial"),
        *folder.glob(".mlops_nb-export"),
        *folder.glob("lib/.mlops_kit-export"),
    ]
    return [p.relative_to(folder).as_posix() for p in found]


def plain_run(folder: Path, env: dict[str, str], log: Path) -> tuple[int, float]:
    "Run the pipeline to its end; give exit code and seconds."
    started = time.perf_counter()
    run = start(folder, env, log)
    try:
        return run.wait(LIMIT), time.perf_counter() - started
    finally:
        end(run.pid)
        run.wait(10)


def judge(folder: Path, env: dict[str, str], wanted: dict[str, bytes]) -> str:
    "Run again after a kill; say what is wrong, or nothing."
    log = folder.parent / "again.txt"
    code, _ = plain_run(folder, env, log)
    if code:
        return f"the next run exited {code}: " + " | ".join(
            log.read_text(errors="replace").strip().splitlines()[-4:]
        )
    found = results(folder)
    different = [n for n in sorted(wanted.keys() | found.keys()) if wanted.get(n) != found.get(n)]
    left = leftovers(folder)
    return "; ".join(
        ([f"differs: {', '.join(different)}"] if different else [])
        + ([f"left behind: {', '.join(left)}"] if left else [])
    )


def one_kill(
    base: Path, number: int, kind: str, moment: float, wanted: dict[str, bytes], full: bool
) -> bool:
    "Kill one run, run again, print what came of it; True when all is well."
    folder = base / f"kill-{number}" / "project"
    env, log = make_clone(folder, full), folder.parent / "killed.txt"
    run = start(folder, env, log)
    try:
        with suppress(subprocess.TimeoutExpired):
            run.wait(moment)
        ended = run.poll() is not None
        stage, orphans = running_stage(log), strike(kind, run)
        trouble = judge(folder, env, wanted)
    finally:
        end(run.pid)
        run.wait(10)
    outcome = trouble or "same bytes"
    print(
        f"{number:>3}  {moment:>6.2f} s  {kind:<11}  {orphans} went on  {stage:<16}  "
        f"{'it had ended; ' if ended else ''}{outcome}",
        flush=True,
    )
    if not trouble:
        shutil.rmtree(folder.parent)
    return not trouble


def reference(base: Path, full: bool) -> tuple[dict[str, bytes], float]:
    "Run undisturbed; give the results and the seconds it took."
    folder = base / "reference" / "project"
    env = make_clone(folder, full)
    code, seconds = plain_run(folder, env, folder.parent / "log.txt")
    if code:
        sys.exit(f"kill: the undisturbed run exited {code}; its log is {folder.parent / 'log.txt'}")
    return results(folder), seconds


def main() -> int:
    "Kill as often as asked; 1 when a kill was not survived."
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=30, help="how many runs to kill (30)")
    parser.add_argument("--seed", type=int, default=1, help="chooses the moments (1)")
    parser.add_argument("--full", action="store_true", help="all rows instead of a sample")
    chosen = parser.parse_args()
    base, moments, failed = (
        Path(tempfile.mkdtemp(prefix="mlops_nb-kill-")),
        random.Random(chosen.seed),
        [],
    )
    wanted, seconds = reference(base, chosen.full)
    print(
        f"kill: an undisturbed run takes {seconds:.1f} s; {chosen.kills} kills at moments of seed "
        f"{chosen.seed}",
        flush=True,
    )
    for number in range(1, chosen.kills + 1):
        if not one_kill(
            base,
            number,
            KINDS[number % len(KINDS) - 1],
            moments.uniform(0, seconds),
            wanted,
            chosen.full,
        ):
            failed.append(number)
    if not failed:
        shutil.rmtree(base)
    print(
        f"kill: {chosen.kills - len(failed)} of {chosen.kills} survived"
        + (f"; not survived: {failed}, kept in {base}" if failed else "")
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
