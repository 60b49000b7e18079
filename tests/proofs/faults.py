"""Proof of ten faults: each leaves git, tags and DVC consistent and says in one line what happened, and the same command without the fault succeeds.

    python tests/proofs/faults.py
    python tests/proofs/faults.py --only "full disk" --seed 3

On a small sample project in a small GitHub on disk (mlops_kit.localci.fake_github), with the commands that the workflows call.
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from conftest import make_project  # noqa: E402

from mlops_kit.core.files import load_json, read_yaml, remove, save_json  # noqa: E402
from mlops_kit.core.locks import find_git_locks  # noqa: E402
from mlops_kit.localci.local_run import copy_stand_ins  # noqa: E402
from mlops_kit.localci.pull_requests import change_hub, merge_pull_request  # noqa: E402
from mlops_kit.registry.tags import find_holder, read_entries, stage_stack
from mlops_kit.storage.outputs import list_outputs
from mlops_kit.storage.objects import open_store, verify_in_remote
from mlops_kit.registry.versions import find_bundle
from mlops_kit.localci.fake_github import TOKEN, World, open_world, world_environment, world_git  # noqa: E402

BIN, NAME, BRANCH, OLD, NEW = (
    Path(sys.executable).parent,
    "model",
    "mlops-nb-retrain",
    "2013-04-30",
    "2013-05-31",
)
OPEN_GATE = {
    "min_score": 0.0,
    "min_gain": -1.0,
    "min_over_chance": -1.0,
    "min_test_rows": 0,
    "min_rare_rows": 0,
    "non_inferiority_margin": 1.0,
    "min_slice_score": 0.0,
}
FAST = {
    "train.model": "linear",
    "train.rounds": 5,
    "train.search": {"method": "none"},
    "evaluate.resamples": 10,
    "evaluate.importance_rows": 50,
    "monitor.look_back": 2,
    "retrain.gate": OPEN_GATE,
    "retrain.scheduled_asof": "next",
    "retrain.valid_window": "",
    "retrain.test_window": "",
} | {f"gate.{k}": v for k, v in OPEN_GATE.items()}


class Done(NamedTuple):
    "What a command printed and how it ended."

    code: int
    out: str
    err: str


class Place(NamedTuple):
    "Where the proof works: the world, and its kept states."

    world: World
    kept: Path

    @property
    def clone(self) -> Path:
        "The clone of a job."
        return self.world.clone

    @property
    def storage(self) -> Path:
        "DVC's remote, on a disk of its own."
        return self.world.folder / "disk/storage"


def check(held: Any, claim: str) -> None:
    "Say that a claim holds, or end."
    if not held:
        sys.exit(f"FAILED: {claim}")
    print(f"holds: {claim}", flush=True)


def variables(place: Place) -> dict[str, str]:
    "Say what a job's step sees."
    env = {k: v for k, v in world_environment(place.world).items() if k != "GITHUB_ACTIONS"}
    (place.world.folder / "tmp").mkdir(exist_ok=True)
    return env | {
        "GH_TOKEN": TOKEN,
        "GITHUB_REF_NAME": "main",
        "MLOPS_NB_STORAGE": str(place.storage),
        "TMPDIR": str(place.world.folder / "tmp"),
        "PATH": f"{BIN}{os.pathsep}{env['PATH']}",
    }


def begin(
    place: Place,
    *words: str,
    clone: Path | None = None,
    before: Callable[[], None] | None = None,
    **env: str,
) -> subprocess.Popen:
    "Start a command in a group of its own."
    folder = clone or place.clone
    return subprocess.Popen(
        [str(BIN / "mlops-nb"), *words],
        cwd=folder,
        env=variables(place) | {"PYTHONPATH": str(folder)} | env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=before,
    )


def end(process: subprocess.Popen) -> Done:
    "Wait for a command; nothing it printed may be a traceback."
    out, err = process.communicate(timeout=600)
    if "Traceback" in out + err:
        sys.exit(
            f"FAILED: a traceback: {' '.join(map(str, process.args[1:]))}\n{out[-1500:]}\n"
            f"{err[-3000:]}"
        )
    return Done(process.returncode, out, err)


def mlops(place: Place, *words: str, **more: Any) -> Done:
    "Run a command."
    return end(begin(place, *words, **more))


def fine(place: Place, *words: str, **more: Any) -> str:
    "Run a command that must end well."
    done = mlops(place, *words, **more)
    if done.code:
        sys.exit(f"FAILED: {' '.join(words)} should end well: {done.out[-800:]}{done.err[-800:]}")
    return done.out


def one_line(done: Done, claim: str, *words: str) -> None:
    "See that a command failed with one line that holds the words."
    lines = [line for line in done.err.splitlines() if line.strip()]
    held = done.code == 1 and len(lines) == 1 and all(w in lines[0] for w in words)
    check(held, f"{claim}: {lines[0][:200] if held else (done, words)}")


def git(place: Place, *words: str, folder: Path | None = None) -> str:
    "Ask git as a job does; the bare repository if no folder is said."
    return world_git(place.world, folder or place.world.bare, *words)


def refs(place: Place) -> dict[str, str]:
    "List every ref of the bare remote."
    return dict(
        line.split(" ")[::-1]
        for line in git(place, "for-each-ref", "--format=%(objectname) %(refname)").splitlines()
    )


def sound(place: Place, claim: str) -> None:
    "See that git, tags and DVC are consistent, and nothing of a run is left."
    for folder in (place.world.bare, place.clone):
        done = subprocess.run(
            ["git", "fsck", "--no-dangling"], cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0 and "error" not in done.stderr, (folder, done.stderr)
    entries, seen = read_entries(place.world.bare, NAME), refs(place)
    newest = max(entries, key=lambda e: e.when)
    assert (
        seen[f"refs/registry/{NAME}"]
        == seen[
            f"refs/tags/{NAME}#{newest.stage}#{newest.number}"
            if newest.stage
            else f"refs/tags/{NAME}@{newest.version}"
        ]
    ), "the registry's reference is not its last tag"
    for stage in ("staging", "prod"):
        numbers = [e.number for e in entries if e.stage == stage]
        assert numbers == list(range(1, len(numbers) + 1)) and stage_stack(entries, stage), (
            stage,
            numbers,
        )
    for commit in {e.commit for e in entries if not e.stage}:
        assert verify_in_remote(open_store(place.clone), find_bundle(place.clone, commit)) > 0
    assert f"{len([e for e in entries if not e.stage])} versions" in fine(
        place, "models"
    ) and list_outputs(place.clone), "models"
    left = [
        p
        for p in (
            ".dvc/tmp/retrain/work",
            ".dvc/tmp/retrain/write_ahead_log.json",
            ".dvc/tmp/scheduled_check",
        )
        if (place.clone / p).exists()
    ]
    left += [p.name for p in (place.world.folder / "tmp").iterdir()] + [
        str(p) for f in (place.clone / ".git", place.world.bare) for p in find_git_locks(f)
    ]
    left += [
        r
        for r in git(
            place,
            "for-each-ref",
            "--format=%(refname)",
            "refs/retrain/candidate",
            folder=place.clone,
        ).split()
    ]
    check(
        not left,
        f"{claim}: git, tags and DVC are consistent, nothing is left"
        + (f", but {left}" if left else ""),
    )


def held(place: Place, stage: str = "prod") -> str:
    "Say which version holds a stage."
    now = find_holder(read_entries(place.world.bare, NAME), stage)
    return now.version if now else ""


def pulls(place: Place) -> list[dict]:
    "List the open pull requests."
    return [p for p in load_json(place.world.folder / "hub.json")["pulls"] if p["state"] == "OPEN"]


def proposed(place: Place, claim: str) -> None:
    "Propose, and see that the branch and one pull request are there."
    fine(place, "propose-retraining", "--asof", NEW)
    tip = refs(place)[f"refs/heads/{BRANCH}"]
    check(
        len(pulls(place)) == 1
        and git(place, "rev-parse", f"{tip}^") == refs(place)["refs/heads/main"],
        f"{claim}: the next run proposes, one commit on main, one pull request",
    )
    sound(place, claim)


def released(place: Place, claim: str, version: str = "v1.0.1") -> None:
    "Release, and see that the version holds prod."
    (
        fine(place, "release"),
        fine(place, "smoke-test", version),
        fine(place, "promote", version, "prod"),
    )
    check(
        held(place) == version == held(place, "staging"),
        f"{claim}: the next run releases {version}",
    )
    sound(place, claim)


def keep(place: Place, name: str) -> None:
    "Keep the world as it is."
    remove(place.kept / name)
    shutil.copytree(place.world.folder, place.kept / name, symlinks=True)


def restore(place: Place, name: str) -> None:
    "Put the world back to a kept state."
    remove(place.world.folder)
    shutil.copytree(place.kept / name, place.world.folder, symlinks=True)


def another(place: Place) -> Path:
    "Make a second job's clone."
    folder = place.world.folder / "second"
    shutil.copytree(place.clone, folder, symlinks=True)
    return folder


def start_place(base: Path) -> Place:
    "Make the sample project and its world, nothing registered."
    project = base / "project"
    project.mkdir(parents=True)
    make_project(project, FAST)
    for words in (
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "April"],
    ):
        subprocess.run(["git", *words], cwd=project, check=True)
    place = Place(open_world(project, base / "world"), base / "kept")
    copy_stand_ins(place.world)
    shutil.copytree(project / ".dvc/cache/files", place.storage / "files")
    fine(place, "prepare", "--data")
    shutil.copytree(project / ".dvc/cache/runs", place.clone / ".dvc/cache/runs")
    return place


def make_place(base: Path) -> Place:
    """Make a world in two kept states.

    V1.0.0 holds prod (released), and the next month's candidate is merged on top (merged).
    """
    place = start_place(base)
    released(place, "a project", "v1.0.0")
    keep(place, "released")
    proposed(place, "a project")
    merge_pull_request(place.world, pulls(place)[0]["number"])
    fine(place, "prepare", "--data")
    keep(place, "merged")
    # what was computed once is not computed at every fault
    shutil.copytree(
        place.clone / ".dvc/cache", place.kept / "released/clone/.dvc/cache", dirs_exist_ok=True
    )
    return place


def untouched(place: Place, before: dict[str, str], claim: str) -> None:
    "See that the remote repository is as it was."
    check(refs(place) == before, f"{claim}: nothing in the remote repository has changed")


def remote_gone(place: Place) -> None:
    "The repository is away, then DVC's remote."
    before, away = refs(place), place.world.folder / "away"
    place.world.bare.rename(away)
    for words in (
        ("check-drift", "--asof", NEW),
        ("propose-retraining", "--asof", NEW),
        ("release",),
        ("roll-back-release", "v1.0.0", "--why", "x"),
    ):
        one_line(mlops(place, *words), f"no repository, {words[0]}", "origin.git")
    away.rename(place.world.bare)
    place.storage.parent.rename(away)
    for words in (("propose-retraining", "--asof", NEW), ("smoke-test", "v1.0.0")):
        one_line(mlops(place, *words), f"no storage, {words[0]}", "storage")
    away.rename(place.storage.parent)
    untouched(place, before, "remote gone")
    proposed(place, "remote gone")
    restore(place, "merged")
    place.storage.parent.rename(away)
    one_line(mlops(place, "release"), "no storage, release", "storage")
    away.rename(place.storage.parent)
    untouched(place, before := refs(place), "remote gone")
    released(place, "remote gone")


def token_missing(place: Place) -> None:
    "gh has no token: nothing can be said, what was pushed stays."
    for words in (("check-drift", "--asof", NEW), ("propose-retraining", "--asof", NEW)):
        one_line(mlops(place, *words, GH_TOKEN=""), f"no token, {words[0]}", "GH_TOKEN")
    check(
        f"refs/heads/{BRANCH}" in refs(place) and not pulls(place),
        "no token: the branch is there, the pull request is not",
    )
    proposed(place, "no token")


def both(first: subprocess.Popen, second: subprocess.Popen) -> list[Done]:
    "Wait for two commands; the one that ended well first."
    return sorted([end(first), end(second)], key=lambda d: d.code)


def twice(place: Place) -> None:
    "Two runs at once, in one clone and in two."
    one, other = both(*[begin(place, "propose-retraining", "--asof", NEW) for _ in range(2)])
    check(one.code == 0 and other.code == 1, "two proposals in one clone: one ends well")
    one_line(other, "two proposals in one clone", "another retraining is under way")
    proposed(place, "two proposals in one clone")
    restore(place, "released")
    second = another(place)
    one, other = both(
        begin(place, "propose-retraining", "--asof", NEW),
        begin(place, "propose-retraining", "--asof", NEW, clone=second),
    )
    if other.code:
        one_line(other, "two proposals in two clones", BRANCH)
    check(one.code == 0 and len(pulls(place)) == 1, "two proposals in two clones: one pull request")
    proposed(place, "two proposals in two clones")
    restore(place, "merged")
    second = another(place)
    one, other = both(begin(place, "release"), begin(place, "release", clone=second))
    if other.code:
        one_line(other, "two releases", "run again")
    check(
        one.code == 0
        and [e.version for e in read_entries(place.world.bare, NAME) if not e.stage]
        == ["v1.0.0", "v1.0.1"],
        "two releases: one version was registered",
    )
    released(place, "two releases")


def kill(process: subprocess.Popen, seconds: float) -> bool:
    "Kill a command, its whole group at once; False when it had ended before."
    try:
        process.communicate(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True


def killed(place: Place, count: int = 4) -> None:
    "SIGKILL at several moments of a proposal and of a release."
    for state, words, finish in (
        ("released", ("propose-retraining", "--asof", NEW), proposed),
        ("merged", ("release",), released),
    ):
        restore(place, state)
        began = time.monotonic()
        fine(place, *words)
        whole, moments = time.monotonic() - began, []
        for number in range(count):
            restore(place, state)
            moment = MOMENTS.uniform(number, number + 1) / count * whole
            if kill(begin(place, *words), moment):
                moments.append(f"{moment:.1f} s")
            check(
                held(place) == "v1.0.0" and read_yaml(place.clone / "dvc.lock")["stages"],
                f"{words[0]} killed after {moment:.1f} of {whole:.1f} s: prod is v1.0.0",
            )
            remove(place.world.folder / "tmp")  # the machine's, gone with it
            finish(place, f"{words[0]} killed after {moment:.1f} s")
        check(len(moments) >= count - 1, f"{words[0]}: killed after {', '.join(moments)}")


def person_commits(place: Place, text: str, branch: str = "main") -> None:
    "Let a person add a line to the readme of a branch."
    folder = place.world.folder / "person"
    remove(folder)
    git(place, "clone", "-q", "-b", branch, "origin.git", "person", folder=place.world.folder)
    with (folder / "README.md").open("a", encoding="utf-8") as readme:
        readme.write(f"\n{text}\n")
    (
        git(place, "commit", "-qam", text, folder=folder),
        git(place, "push", "-q", "origin", f"HEAD:{branch}", folder=folder),
    )


def pull_main(place: Place) -> None:
    "Bring the job's clone to main, as checkout does."
    (
        git(place, "fetch", "-q", "origin", folder=place.clone),
        git(place, "reset", "-q", "--hard", "origin/main", folder=place.clone),
    )


def branch_there(place: Place) -> None:
    "The branch holds a person's commit; then it starts from an older main."
    fine(place, "propose-retraining", "--asof", NEW)
    person_commits(place, "a person's correction", BRANCH)
    before = refs(place)
    one_line(
        mlops(place, "propose-retraining", "--asof", "2013-06-30"),
        "a person's commit on the branch",
        BRANCH,
        "a person's correction",
    )
    untouched(place, before, "a person's commit on the branch")
    git(place, "update-ref", "-d", f"refs/heads/{BRANCH}")
    with change_hub(place.world) as hub:
        hub["pulls"][-1]["state"] = "CLOSED"
    proposed(place, "the branch deleted")
    old = refs(place)[f"refs/heads/{BRANCH}"]
    person_commits(place, "main goes on")
    pull_main(place)
    proposed(place, "a branch from an older main")
    check(old != refs(place)[f"refs/heads/{BRANCH}"], "a branch from an older main: replaced")


def tag_there(place: Place) -> None:
    "The version's tag is there already, on another commit."
    restore(place, "merged")
    for kind, words in {"lightweight": (), "annotated": ("-m", "by hand")}.items():
        restore(place, "merged")
        git(place, "tag", *(["-a"] if words else []), f"{NAME}@v1.0.1", "main^", *words)
        before, done = refs(place), mlops(place, "release")
        if done.code:
            one_line(done, f"{kind} tag", f"{NAME}@v1.0.1")
            untouched(place, before, f"{kind} tag")
            for folder in (place.world.bare, place.clone):
                git(place, "tag", "-d", f"{NAME}@v1.0.1", folder=folder)
            released(place, f"{kind} tag removed")
        else:
            check(
                before[f"refs/tags/{NAME}@v1.0.1"] == refs(place)[f"refs/tags/{NAME}@v1.0.1"],
                f"{kind} tag: as it was",
            )
            released(place, f"{kind} tag", "v1.0.2")


def small_files(size: int) -> Callable[[], None]:
    "Let no file of a command grow beyond a size."
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def disk_full(place: Place) -> None:
    """Writing fails.

    No file may grow beyond a few kilobytes; where mounting is allowed, a disk without room as well.
    """
    before = refs(place)
    for size in (20_000, 200_000):
        for words in (("check-drift", "--asof", NEW), ("propose-retraining", "--asof", NEW)):
            # Python 3.11 leaves modules cut short and then trusts them (cpython 126606)
            done = mlops(place, *words, before=small_files(size), PYTHONDONTWRITEBYTECODE="1")
            if done.code:
                one_line(done, f"files of {size} bytes at most, {words[0]}")
    untouched(place, before, "disk full")
    remove(place.world.folder / "tmp")
    proposed(place, "disk full")
    full = place.world.folder / "full"
    full.mkdir()
    need = sum(f.lstat().st_size + 4096 for f in place.clone.rglob("*") if not f.is_symlink())
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={need + 3_000_000}", "tmpfs", str(full)],
        capture_output=True,
    ).returncode:
        print("left out: no tmpfs may be mounted here")
        return
    try:
        shutil.copytree(place.clone, full / "clone", symlinks=True)
        for words in (
            ("propose-retraining", "--asof", "2013-06-30"),
            ("check-drift", "--asof", "2013-06-30"),
        ):
            one_line(
                mlops(place, *words, clone=full / "clone", PYTHONDONTWRITEBYTECODE="1"),
                f"a disk without room, {words[0]}",
            )
    finally:
        subprocess.run(["umount", str(full)], check=True)
    sound(place, "a disk without room")


def no_data(place: Place) -> None:
    "The day is past the end of the data."
    before = refs(place)
    told = fine(place, "check-drift", "--asof", "2015-06-30")
    check(
        "due=false" in told and "not comparable" in told,
        f"no data, patrol: {next(line for line in told.splitlines() if 'not' in line)}",
    )
    one_line(mlops(place, "propose-retraining", "--asof", "2015-06-30"), "no data, propose", "rows")
    untouched(place, before, "no data")
    proposed(place, "no data")


def broken_notebook(place: Place) -> None:
    "A cell raises; a cell is no Python."
    for name, words, code in (
        ("04_train.ipynb", ("propose-retraining", "--asof", NEW), "raise ValueError('a mistake')"),
        ("04_train.ipynb", ("propose-retraining", "--asof", NEW), "if True print(1)"),
        ("10_monitor.ipynb", ("check-drift", "--asof", NEW), "1 / 0"),
    ):
        path = place.clone / "nbs" / name
        notebook = json.loads(path.read_text(encoding="utf-8"))
        notebook["cells"].append(
            {
                "cell_type": "code",
                "execution_count": None,
                "id": "broken00",
                "metadata": {},
                "outputs": [],
                "source": [code],
            }
        )
        save_json(path, notebook)
        (
            git(place, "commit", "-qam", "a mistake", folder=place.clone),
            git(place, "push", "-q", "origin", "HEAD:main", folder=place.clone),
        )
        before = refs(place)
        one_line(
            mlops(place, *words),
            f"`{code}` in {name}, {words[0]}",
            name.partition("_")[2].removesuffix(".ipynb"),
        )
        untouched(place, before, f"`{code}` in {name}")
        (
            git(place, "revert", "--no-edit", "HEAD", folder=place.clone),
            git(place, "push", "-q", "origin", "HEAD:main", folder=place.clone),
        )
        fine(place, *words)
        sound(place, f"`{code}` in {name} taken back, {words[0]} again")


def month_missed(place: Place) -> None:
    "The schedule was off for a month: the clock takes two steps at once."
    told = fine(place, "check-drift", "--asof", "2013-06-30")
    check(
        "asof=2013-06-30" in told and "due=true" in told,
        "a month missed: the look goes to the second month, and it is time",
    )
    fine(place, "propose-retraining", "--asof", "2013-06-30")
    check(
        merge_pull_request(place.world, pulls(place)[0]["number"]),
        "a month missed: one proposal for both, merged",
    )
    fine(place, "prepare", "--data")
    released(place, "a month missed")


FAULTS = {
    "remote gone": remote_gone,
    "token missing": token_missing,
    "two at once": twice,
    "killed": killed,
    "branch there": branch_there,
    "tag there": tag_there,
    "disk full": disk_full,
    "no data": no_data,
    "broken notebook": broken_notebook,
    "month missed": month_missed,
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--only", choices=FAULTS, nargs="+", default=list(FAULTS), help="these faults"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the moments of kills")
    given = parser.parse_args()
    MOMENTS, started, base = (
        random.Random(given.seed),
        time.monotonic(),
        Path(tempfile.mkdtemp(prefix="faults-")),
    )
    try:
        place = make_place(base)
        for name in given.only:
            print(f"\n{name} · after {(time.monotonic() - started) / 60:.1f} min", flush=True)
            restore(place, "released")
            FAULTS[name](place)
    finally:
        remove(base, quiet=True)
