"The registry under random hands: two clones of one bare repository register, promote, roll back, are killed and get in each other's way."

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import yaml
from conftest import FORKS
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mlops_kit.registry import versions
from mlops_kit.core.files import UserError
from mlops_kit.registry.tags import read_entries, stage_stack
from mlops_kit.core.git import run_git

EXAMPLES = int(os.environ.get("REGISTRY_EXAMPLES", "6"))
NAME = "toy-model"
KINDS = {
    "first": {},
    "again": {"score": 0.71},
    "family": {"model": "random_forest"},
    "features": {"features": {"x": "number", "z": "number"}},
    "contract": {"type": "category"},
    "refused": {"passed": False},
}


def bundle_files(
    kind: str,
    model: str = "linear",
    features: dict | None = None,
    type: str = "number",
    score: float = 0.7,
    passed: bool = True,
) -> dict[str, bytes]:
    "Make the files of a small bundle."
    evaluation = {
        "metric": "roc_auc",
        "metrics": {"roc_auc": {"value": score, "low": score - 0.01, "high": score + 0.01}},
    }
    gate = {"passed": passed, "checks": [{"name": "floor", "passed": passed, "reason": "as made"}]}
    contract = {"target": "y", "columns": {"x": {"type": type, "meaning": kind}}}
    parts = {
        "features.json": {"features": features or {"x": "number"}},
        "train.json": {"model": model, "kind": kind},
        "evaluate.json": evaluation,
        "gate.json": gate,
    }
    return {
        "contract.yaml": yaml.safe_dump(contract).encode(),
        **{n: json.dumps(p).encode() for n, p in parts.items()},
    }


def keep(cache: Path, content: bytes, suffix: str = "") -> str:
    "Put a content into DVC's cache; its name there."
    md5 = hashlib.md5(content).hexdigest() + suffix
    (cache / md5[:2]).mkdir(parents=True, exist_ok=True)
    (cache / md5[:2] / md5[2:]).write_bytes(content)
    return md5


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture(scope="module")
def world() -> Path:
    """A bare repository with a commit of each kind, two clones whose caches hold all bundles, an
    empty DVC remote.
    """
    world = Path(tempfile.mkdtemp(prefix="mlops_nb-world-"))
    git(world, "init", "-q", "--bare", "-b", "main", "bare.git")
    git(world, "clone", "-q", "bare.git", "a")
    a = world / "a"
    for name, text in {
        "settings.ini": "[DEFAULT]\n",
        "params.yaml": f"package: {{name: {NAME}}}\n",
        ".gto": "stages: [staging, prod]\n",
        ".gitignore": "/models/\n",
        ".dvc/.gitignore": "/tmp\n/cache\n",
        ".dvc/config": "[core]\n    remote = storage\n['remote \"storage\"']\n    url = ../../storage\n",
        "dvc.yaml": "stages: {package: {cmd: 'true', outs: [models/bundle], metrics: "
        "[metrics/gate.json: {cache: false}]}}\n",
    }.items():
        (a / name).parent.mkdir(parents=True, exist_ok=True)
        (a / name).write_text(text)
    for kind, changes in KINDS.items():
        files = bundle_files(kind, **changes)
        entries = [
            {"md5": keep(a / ".dvc/cache/files/md5", content), "relpath": name}
            for name, content in sorted(files.items())
        ]
        listed = keep(a / ".dvc/cache/files/md5", json.dumps(entries).encode(), ".dir")
        (a / "metrics").mkdir(exist_ok=True)
        (a / "metrics/gate.json").write_bytes(files["gate.json"])
        outs = [
            {
                "path": "metrics/gate.json",
                "hash": "md5",
                "md5": hashlib.md5(files["gate.json"]).hexdigest(),
                "size": len(files["gate.json"]),
            },
            {
                "path": "models/bundle",
                "hash": "md5",
                "md5": listed,
                "size": sum(map(len, files.values())),
                "nfiles": len(files),
            },
        ]
        (a / "dvc.lock").write_text(
            yaml.safe_dump({"schema": "2.0", "stages": {"package": {"cmd": "true", "outs": outs}}})
        )
        git(a, "add", "-A"), git(a, "commit", "-qm", kind), git(a, "branch", kind)
    git(a, "push", "-q", "--all", "origin")
    shutil.copytree(a, world / "b")
    for clone in ("a", "b"):
        (
            git(world / clone, "config", "user.name", clone),
            git(world / clone, "config", "user.email", f"{clone}@example.org"),
        )
        git(world / clone, "remote", "set-url", "origin", "../bare.git")
    yield world
    shutil.rmtree(world, ignore_errors=True)


def operate(folder: Path, word: str, *arguments: str) -> str:
    "Run one operation in a clone; its line, or its error's."
    try:
        if word == "register":
            git(folder, "checkout", "-q", "--detach", arguments[0])
            return versions.register(folder, override=arguments[1] or None)
        return getattr(versions, word)(folder, *arguments)
    except UserError as error:
        assert "\n" not in str(error)
        return f"error: {error}"


def child(pipe, folder: Path, operation: tuple, stop_at: int, how: str) -> None:
    """Run an operation in a process that stops at its git call number so-and-so.

    Dead, or until it is told to go on.
    """
    real, calls = subprocess.run, [0]

    def counted(*arguments, **options):
        calls[0] += 1
        if calls[0] == stop_at:
            if how == "kill before":
                os.kill(os.getpid(), signal.SIGKILL)
            if how == "pause":
                pipe.send("paused"), pipe.recv()
        result = real(*arguments, **options)
        if calls[0] == stop_at and how == "kill after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    subprocess.run = counted
    if how == "kill in time":
        # SIGALRM, which nobody handles, ends the process at once
        signal.setitimer(signal.ITIMER_REAL, stop_at * 0.012)
    pipe.send(operate(folder, *operation))


class Hands(RuleBasedStateMachine):
    world: Path = Path()
    happened: Counter = Counter()  # what all examples together came to

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="mlops_nb-hands-")) / "w"
        shutil.copytree(self.world, self.folder)
        self.said: list[str] = []

    def teardown(self) -> None:
        shown = subprocess.run(
            [
                str(Path(sys.executable).parent / "gto"),
                "show",
                "--json",
                "--repo",
                str(self.folder / "bare.git"),
            ],
            capture_output=True,
            text=True,
        )
        stages = json.loads(shown.stdout).get(NAME, {}).get("stage", {})
        held = {
            stage: stack[-1]
            for stage in ("staging", "prod")
            if (stack := stage_stack(self.entries(), stage))
        }
        assert {stage: version for stage, version in stages.items() if version} == held, (
            stages,
            held,
        )
        shutil.rmtree(self.folder.parent, ignore_errors=True)

    def entries(self) -> list:
        return read_entries(self.folder / "bare.git", NAME)

    clones = st.sampled_from(["a", "b"])
    operations = st.one_of(
        st.tuples(
            st.just("register"),
            st.sampled_from(list(KINDS)),
            st.sampled_from(["", "", "an order from above"]),
        ),
        st.tuples(
            st.just("promote"),
            st.sampled_from(["latest", "v1.0.0", "v1.0.1", "v1.1.0", "v2.0.0"]),
            st.sampled_from(["staging", "prod", "prod"]),
        ),
        st.tuples(st.just("rollback"), st.sampled_from(["prod", "staging"])),
    )

    @rule(clone=clones, operation=operations)
    def one(self, clone: str, operation: tuple) -> None:
        line = operate(self.folder / clone, *operation)
        self.happened[f"{operation[0]} {'refused' if line.startswith('error') else 'done'}"] += 1
        assert not line.startswith("error: git"), line
        if operation[0] != "register" and not line.startswith("error"):
            version, stage = (re.search(r"v\d+\.\d+\.\d+", line)[0], operation[-1])
            assert stage_stack(self.entries(), stage)[-1] == version, line
        if operation[0] == "register" and operation[1] == "refused" and not operation[2]:
            assert line.startswith("error") and "gate refused" in line

    @rule(
        clone=clones,
        operation=operations,
        stop_at=st.integers(1, 14),
        how=st.sampled_from(["kill before", "kill after", "kill in time"]),
    )
    def killed(self, clone: str, operation: tuple, stop_at: int, how: str) -> None:
        here, there = FORKS.Pipe()
        process = FORKS.Process(
            target=child, args=(there, self.folder / clone, operation, stop_at, how)
        )
        process.start()
        process.join(60)
        assert process.exitcode is not None
        self.happened["killed"] += process.exitcode < 0

    @rule(operation=operations, other=operations, stop_at=st.integers(1, 14))
    def interleaved(self, operation: tuple, other: tuple, stop_at: int) -> None:
        here, there = FORKS.Pipe()
        process = FORKS.Process(
            target=child, args=(there, self.folder / "a", operation, stop_at, "pause")
        )
        process.start()
        try:
            assert here.poll(60)
            if here.recv() == "paused":
                self.happened["interleaved"] += 1
                operate(self.folder / "b", *other)
                here.send("go")
                assert here.poll(60) and here.recv()
        finally:
            process.join(60)
        assert process.exitcode == 0

    @invariant()
    def history_is_legal(self) -> None:
        entries = self.entries()
        made = [e for e in entries if not e.stage]
        in_time = sorted(entries, key=lambda e: e.when)
        assert len({e.when for e in entries}) == len(entries), "two entries of one moment"
        assert [e.version for e in in_time if not e.stage] == [e.version for e in made], (
            "versions must grow"
        )
        numbers = [tuple(int(n) for n in e.version[1:].split(".")) for e in made]
        for before, after in zip([(0, 9, 9), *numbers], numbers):
            legal = [
                (before[0] + 1, 0, 0),
                (before[0], before[1] + 1, 0),
                (*before[:2], before[2] + 1),
            ]
            assert after in (legal if before != (0, 9, 9) else [(1, 0, 0)]), (before, after)
        assert len({e.fields["Bundle"] for e in made}) == len(made), "one bundle, one version"
        for stage in ("staging", "prod"):
            moves = [e for e in entries if e.stage == stage]
            assert [e.number for e in moves] == list(range(1, len(moves) + 1)) and [
                e.when for e in moves
            ] == sorted(e.when for e in moves)
            for before, after in zip([None, *moves], moves):
                assert after.fields["Before"] == (before.version if before else "none"), (
                    "decided about another state"
                )
                assert any(e.version == after.version and e.when < after.when for e in made), (
                    "a stage was given to what is no version"
                )
                assert after.fields["Action"] == "promote" or after.version in [
                    e.version for e in moves if e.when < after.when
                ]

    @invariant()
    def no_tag_without_its_bytes(self) -> None:
        for entry in [e for e in self.entries() if not e.stage]:
            listed = (
                self.folder
                / "storage/files/md5"
                / entry.fields["Bundle"][:2]
                / entry.fields["Bundle"][2:]
            )
            assert hashlib.md5(listed.read_bytes()).hexdigest() == entry.fields[
                "Bundle"
            ].removesuffix(".dir")
            for file in json.loads(listed.read_text()):
                assert (
                    hashlib.md5(
                        (
                            self.folder / "storage/files/md5" / file["md5"][:2] / file["md5"][2:]
                        ).read_bytes()
                    ).hexdigest()
                    == file["md5"]
                )

    @invariant()
    def the_gate_holds(self) -> None:
        for entry in [e for e in self.entries() if not e.stage and e.fields["Gate"] != "passed"]:
            assert entry.fields["Override"] == "an order from above"

    @precondition(lambda self: self.entries())
    @invariant()
    def lock_and_tags_agree(self) -> None:
        last = max(self.entries(), key=lambda e: e.when)
        tag = f"{NAME}#{last.stage}#{last.number}" if last.stage else f"{NAME}@{last.version}"
        assert (
            run_git(
                self.folder / "bare.git", "rev-parse", f"refs/registry/{NAME}", f"refs/tags/{tag}"
            ).split()[0]
            == run_git(self.folder / "bare.git", "rev-parse", f"refs/tags/{tag}").strip()
        )


def test_random_hands(world: Path) -> None:
    Hands.world = world
    profile = settings(
        max_examples=EXAMPLES,
        stateful_step_count=8,
        deadline=None,
        derandomize=EXAMPLES < 50,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    Hands.happened.clear()
    run_state_machine_as_test(Hands, settings=profile)
    # the rules and invariants judge every step; this, that there was something to judge; none of
    # the default's six examples reaches a rollback that succeeds or a refused registration
    wanted = {"register done", "promote done", "promote refused", "rollback refused"}
    assert wanted | {"killed", "interleaved"} <= (+Hands.happened).keys(), Hands.happened
