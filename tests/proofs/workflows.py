"""Proof of the workflows: the flights month by month from April, every step by the workflows of .github run with act, in a small GitHub on disk.

    python tests/proofs/workflows.py --months 3
    python tests/proofs/workflows.py --months 3 --world ../world     keeps the world, to look at

Each month the scheduled run looks, retrains on a branch in the bare remote and opens a pull request; CI runs on the first; the merge registers a version, tries it, promotes and
deploys it. Then a candidate trained on shuffled labels is refused, a version whose smoke test fails never gets prod, and one whose deployment fails loses it again.
Needs `make extra WITH=actions`. CI's job test runs, but with a `make test` that says so and nothing else: the tests are tests, this is a proof of what calls them.
"""

import argparse
import calendar
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from mlops_kit.core.sandbox import set_parameters
from mlops_kit.core.files import load_json, read_yaml, remove
from mlops_kit.localci.log import RunOutcome, outcome_lines
from mlops_kit.localci.local_run import RunRequest, run_workflow
from mlops_kit.localci.pull_requests import merge_pull_request, pull_request_payload
from mlops_kit.registry.tags import find_holder, read_entries, stage_stack
from mlops_kit.storage.objects import open_store, verify_in_remote
from mlops_kit.registry.versions import find_bundle
from mlops_kit.localci.fake_github import World, open_world, world_environment, world_git

ROOT, BIN = Path(__file__).resolve().parents[2], Path(sys.executable).parent
NAME, BRANCH, STARTED = "flights-late", "mlops-nb-retrain", time.monotonic()
# the first model has a week to choose on and a week to test on, as retrainings have (params.yaml:
# retrain), because of three months a month is too much
FIRST = {
    "data.asof": "2013-03-31",
    "features.valid_window": "1 week",
    "features.test_window": "1 week",
    "gate.min_score": 0.5,
    "gate.min_gain": -0.05,
    "gate.min_slice_score": None,
}


class Place(NamedTuple):
    "The world, and a person's clone of its repository."

    world: World
    dev: Path


def check(held: Any, claim: str) -> None:
    "Say that a claim holds, or end."
    if not held:
        sys.exit(f"FAILED: {claim}")
    print(f"holds: {claim}", flush=True)


def title(words: str) -> None:
    "Say what comes."
    print(f"\n{words} · after {(time.monotonic() - STARTED) / 60:.1f} min", flush=True)


def person(place: Place, *command: str) -> str:
    "Run a program as a person does in the clone."
    env = {
        k: v for k, v in os.environ.items() if not k.startswith(("MLOPS_NB_", "GIT_"))
    } | world_environment(place.world)
    env |= {"PATH": f"{BIN}{os.pathsep}{env['PATH']}", "PYTHONPATH": str(place.dev)}
    done = subprocess.run(command, cwd=place.dev, env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"FAILED: {' '.join(command)}: {(done.stdout + done.stderr)[-1500:]}")
    return done.stdout.strip()


def share(place: Place, words: str) -> str:
    "Commit and push what the person did; give the commit."
    (
        person(place, "git", "commit", "-qam", words),
        person(place, "git", "push", "-q", "origin", "HEAD:main"),
    )
    return person(place, "git", "rev-parse", "HEAD")


def catch_up(place: Place) -> None:
    "Bring the person's clone to main, tags with it."
    (
        person(place, "git", "fetch", "-q", "--tags", "--force", "origin"),
        person(place, "git", "reset", "-q", "--hard", "origin/main"),
    )


def edit(place: Place, name: str, before: str, after: str) -> None:
    "Replace a line of code in a notebook, and export it."
    path = place.dev / name
    text, old, new = (
        path.read_text(encoding="utf-8"),
        json.dumps(before, ensure_ascii=False)[1:-1],
        json.dumps(after, ensure_ascii=False)[1:-1],
    )
    assert text.count(old) == 1, f"{name} holds {text.count(old)} times: {before}"
    path.write_text(text.replace(old, new), encoding="utf-8")
    person(place, "mlops-nb", "code")


def start(place: Place) -> None:
    """Make the state of the end of March.

    A clone whose params say so, its results in git, their bytes in the world's storage.
    """
    world_git(place.world, place.world.folder, "clone", "-q", "origin.git", place.dev.name)
    text = (place.dev / "Makefile").read_text()
    assert text.count("@sh scripts/test.sh") == 1
    (place.dev / "Makefile").write_text(
        text.replace("@sh scripts/test.sh", '@echo "the tests are no part of this proof"')
    )
    person(place, "mlops-nb", "prepare")
    set_parameters(place.dev / "params.yaml", FIRST)
    person(place, "mlops-nb", "repro"), person(place, "mlops-nb", "push")
    share(place, "the end of March")


def act(place: Place, workflow: str, event: str, good: bool, words: str, **more: Any) -> RunOutcome:
    "Run a workflow and say whether it ended as it should."
    outcome = run_workflow(place.world, workflow, RunRequest(event, **more))
    if outcome.ok != good:
        print("\n".join(outcome_lines(outcome)), *outcome.errors, sep="\n")
    check(
        outcome.ok == good,
        f"{words}: {workflow} on {event} {'ends well' if good else 'fails'} "
        f"({outcome.seconds:.0f} s)",
    )
    return outcome


def results(outcome: RunOutcome) -> dict[str, str]:
    "Say how each job of a run ended."
    return (
        {j.key: j.result for j in outcome.jobs}
        | dict.fromkeys(outcome.skipped, "skipped")
        | dict.fromkeys(outcome.missing, "missing")
    )


def branch(place: Place, name: str) -> str:
    "Say what a branch of the bare remote points to; nothing when it is not there."
    return world_git(
        place.world,
        place.world.bare,
        "for-each-ref",
        "--format=%(objectname)",
        f"refs/heads/{name}",
    )


def holds(place: Place, stage: str) -> str:
    "Say which version holds a stage, by the tags of the bare remote."
    now = find_holder(read_entries(place.world.bare, NAME), stage)
    return now.version if now else ""


def opened(place: Place, kind: str, word: str = "") -> list[dict]:
    "List what is open in the hub: pulls of a branch, issues of a label."
    entries = [e for e in load_json(place.world.folder / "hub.json")[kind] if e["state"] == "OPEN"]
    return [e for e in entries if not word or word in e.get("labels", [e.get("head")])]


def consistent(place: Place, words: str) -> None:
    "See that repository, registry and storage agree."
    world = place.world
    catch_up(place)
    sound = subprocess.run(
        ["git", "fsck", "--no-dangling", "--strict"], cwd=world.bare, capture_output=True, text=True
    )
    entries = read_entries(world.bare, NAME)
    tip = {"staging": stage_stack(entries, "staging"), "prod": stage_stack(entries, "prod")}
    last = world_git(world, world.bare, "rev-parse", f"refs/registry/{NAME}")
    newest = max(entries, key=lambda e: e.when)
    tag = f"{NAME}#{newest.stage}#{newest.number}" if newest.stage else f"{NAME}@{newest.version}"
    kept = [
        verify_in_remote(open_store(place.dev), find_bundle(place.dev, e.commit))
        for e in entries
        if not e.stage
    ]
    check(
        sound.returncode == 0
        and all(tip.values())
        and last == world_git(world, world.bare, "rev-parse", f"refs/tags/{tag}")
        and all(kept),
        f"{words}: git is sound, the registry is one line, the bytes of {len(kept)} versions "
        f"are whole; staging {tip['staging'][-1]}, prod {tip['prod'][-1]}",
    )
    check(
        len(opened(place, "pulls")) <= 1,
        f"{words}: open pull requests: {len(opened(place, 'pulls'))}",
    )


def release(place: Place, words: str) -> str:
    """Release what main holds.

    See that a version was registered, tried, promoted and deployed; give it.
    """
    main, before = branch(place, "main"), holds(place, "prod")
    outcome = act(place, "release", "push", True, words)
    version = outcome.outputs["register"]["release.version"]
    check(
        results(outcome)
        == dict.fromkeys(("register", "smoke", "promote", "deploy"), "success")
        | dict.fromkeys(("undo", "rollback"), "skipped"),
        f"{words}: {version} was registered, tried, promoted and deployed, nothing taken back",
    )
    entry = next(
        e for e in read_entries(place.world.bare, NAME) if e.version == version and not e.stage
    )
    check(
        entry.commit == main and entry.fields["Gate"] == "passed",
        f"{words}: {version} is main's commit {main[:10]}, its gate passed, "
        f"{entry.fields['Score']}",
    )
    check(
        "smoke test passed" in outcome.summaries["smoke"],
        f"{words}: {outcome.summaries['smoke'].splitlines()[1].split(' (')[0]}",
    )
    check(
        holds(place, "prod") == version == holds(place, "staging") != before,
        f"{words}: prod moved from {before or 'no version'} to {version}",
    )
    consistent(place, words)
    return version


def look_at_proposal(place: Place, outcome: RunOutcome, day: str, main: str, prod: str) -> None:
    """See that a passed candidate is one commit on main, on the branch, with one pull request,
    compared with the champion.
    """
    world, tip, pulls = place.world, branch(place, BRANCH), opened(place, "pulls", BRANCH)
    check(
        len(pulls) == 1 and pulls[0]["headRefOid"] == tip and day in pulls[0]["title"],
        f"{day}: the one open pull request is #{pulls[0]['number'] if pulls else '?'}, "
        f"{pulls[0]['title'] if pulls else ''}",
    )
    check(
        world_git(world, world.bare, "rev-parse", f"{tip}^") == main == branch(place, "main"),
        f"{day}: the branch is one commit on main, and main is untouched",
    )
    told = {
        name: world_git(world, world.bare, "show", f"{tip}:{name}")
        for name in (
            "metrics/retrain.json",
            "metrics/evaluate.json",
            "dvc.lock",
            "params.yaml",
            "champion.yaml",
        )
    }
    result, locked = (
        json.loads(told["metrics/retrain.json"]),
        yaml.safe_load(told["dvc.lock"])["stages"],
    )
    days = {
        str(yaml.safe_load(told["params.yaml"])["data"]["asof"]),
        str(locked["ingest"]["params"]["params.yaml"]["data.asof"]),
        json.loads(told["metrics/evaluate.json"])["to"],
        result["asof"]["after"],
    }
    check(days == {day}, f"{day}: params.yaml, dvc.lock and metrics of the branch are of one day")
    difference = result["champion"]["difference"]
    check(
        result["champion"]["version"] == prod == yaml.safe_load(told["champion.yaml"])["version"],
        f"{day}: compared with {prod}, which holds prod, on the same rows: "
        f"{difference['value']:+.4f} [{difference['low']:+.4f}, {difference['high']:+.4f}]",
    )
    check(
        result["outcome"] == "retrained" and all(c["passed"] for c in result["checks"]),
        f"{day}: the gate passed ({len(result['checks'])} checks)",
    )
    check(
        [a.name for a in outcome.artifacts] == ["candidate", "drift-check"]
        and all(list(a.rglob("*.html")) for a in outcome.artifacts),
        f"{day}: pages of the look and of the candidate are kept as artifacts",
    )


def month(place: Place, day: str, scheduled: bool) -> bool:
    """Let the scheduled run of a month end in a pull request, a refusal, or nothing to do.

    True when a pull request is open.
    """
    main, prod = branch(place, "main"), holds(place, "prod")
    how = ("schedule", {}) if scheduled else ("workflow_dispatch", {"inputs": {"asof": day}})
    outcome = act(place, "drift", how[0], True, day, **how[1])
    look = outcome.outputs["check"]
    check(
        look["look.asof"] == day,
        f"{day}: the look went to this day and found: {look['look.state']}; due: "
        f"{look['look.due']} ({look['look.reasons'] or 'no reason'})",
    )
    alarm = look["look.alarm"] == "true"
    check(
        bool(opened(place, "issues", "mlops-nb-drift")) == alarm,
        f"{day}: {'one issue says so' if alarm else 'no issue of drift is open'}",
    )
    check(
        branch(place, "main") == main and holds(place, "prod") == prod,
        f"{day}: main and prod are as they were",
    )
    if look["look.due"] != "true":
        check(
            results(outcome) == {"check": "success", "retrain/propose": "skipped"}
            and not opened(place, "pulls"),
            f"{day}: nothing was trained",
        )
        return False
    told = outcome.outputs["retrain/propose"]
    refused = next(v for k, v in told.items() if k.endswith(".refused")) == "true"
    if refused:
        refusal(place, day, main, prod)
        return False
    look_at_proposal(place, outcome, day, main, prod)
    return True


def refusal(place: Place, day: str, main: str, prod: str) -> None:
    "See that a refused candidate changed nothing, and that an issue says why."
    issues = opened(place, "issues", "mlops-nb-refused")
    reasons = [
        line.removeprefix("- ❌ ")
        for line in (issues[0]["body"].splitlines() if issues else [])
        if line.startswith("- ❌")
    ]
    check(
        len(issues) == 1 and reasons and day in issues[0]["title"],
        f"{day}: refused, and one issue says why: {'; '.join(reasons)}",
    )
    check(
        not opened(place, "pulls")
        and branch(place, "main") == main
        and holds(place, "prod") == prod,
        f"{day}: no pull request, main untouched, prod still {prod}",
    )
    check(
        world_git(place.world, place.world.bare, "for-each-ref", f"refs/retrain/refused/{day}"),
        f"{day}: the attempt is on record in the repository",
    )


def review_by_ci(place: Place, day: str) -> None:
    "Run CI on the open pull request."
    number = opened(place, "pulls")[0]["number"]
    outcome = act(
        place,
        "ci",
        "pull_request",
        True,
        f"pull request {number}",
        payload=pull_request_payload(place.world, number),
    )
    check(
        results(outcome)
        == dict.fromkeys(("check", "test", "sample", "review"), "success")
        | {"heartbeat": "skipped"},
        f"pull request {number}: check, test, sample and review ran",
    )
    comments = [c["body"] for c in opened(place, "pulls")[0]["comments"]]
    check(
        len(comments) == 1
        and "### Gate passed" in comments[0]
        and day in comments[0]
        and len(comments[0].splitlines()) <= 40,
        f"pull request {number}: one comment says what the change does, in "
        f"{len(comments[0].splitlines())} lines",
    )


def months(place: Place, count: int) -> None:
    "Go through the months."
    scheduled = True
    for number in range(4, 4 + count):
        day = f"2013-{number:02d}-{calendar.monthrange(2013, number)[1]}"
        title(f"{calendar.month_name[number]}")
        if scheduled := month(place, day, scheduled):
            if not [
                r
                for r in load_json(place.world.folder / "hub.json")["runs"]
                if r["workflow"] == "ci.yml"
            ]:
                review_by_ci(place, day)
            tip, pull = branch(place, BRANCH), opened(place, "pulls")[0]["number"]
            check(
                merge_pull_request(place.world, pull) == tip == branch(place, "main"),
                f"{day}: merged, main is the candidate's commit",
            )
            release(place, day)


def sabotage(place: Place, day: str) -> None:
    "Let a candidate learn from shuffled answers: refused."
    title("Sabotage: a notebook that shuffles the answers")
    line = 'features = load_features(root / "data/features", ("train", "valid"))'
    catch_up(place)
    edit(
        place,
        "nbs/04_train.ipynb",
        line,
        f"{line}\nfor part in features.windows.values():\n    part[features.target] = "
        "part[features.target].sample(frac=1, random_state=seed).to_numpy()",
    )
    main, prod = share(place, "a better order of rows"), holds(place, "prod")
    outcome = act(
        place,
        "retrain",
        "workflow_dispatch",
        True,
        "sabotage",
        inputs={"asof": day, "why": "a better order of rows"},
    )
    check(
        results(outcome) == {"propose": "success"},
        "sabotage: a refusal is a result, so the job ends well",
    )
    refusal(place, day, main, prod)
    consistent(place, "sabotage")
    (
        person(place, "git", "revert", "--no-edit", "HEAD"),
        person(place, "git", "push", "-q", "origin", "HEAD:main"),
    )


def failing(place: Place, words: str, limit: float) -> RunOutcome:
    "Release a new bundle whose release fails; see that all is as before and an issue says so."
    old = (holds(place, "staging"), holds(place, "prod"))
    set_parameters(place.dev / "params.yaml", {"gate.non_inferiority_margin": limit})
    person(place, "mlops-nb", "repro"), person(place, "mlops-nb", "push")
    check(
        read_yaml(place.dev / "metrics/gate.json")["passed"],
        f"{words}: the gate of the new bundle is open",
    )
    share(place, words)
    outcome = act(place, "release", "push", False, words)
    version = outcome.outputs["register"]["release.version"]
    check(
        (holds(place, "staging"), holds(place, "prod")) == old,
        f"{words}: {version} was taken back, staging and prod are {' and '.join(old)} again",
    )
    issues = opened(place, "issues", "mlops-nb-release")
    check(
        len(issues) == 1 and version in issues[0]["title"],
        f"{words}: one issue says so: {issues[0]['title'] if issues else ''}",
    )
    consistent(place, words)
    return outcome


def failed_smoke(place: Place) -> None:
    "Give main code that answers otherwise than its bundle has on record: never promoted."
    title("A failed smoke test")
    catch_up(place)
    number, prod = (
        len([e for e in read_entries(place.world.bare, NAME) if e.stage == "prod"]),
        holds(place, "prod"),
    )
    edit(
        place,
        "lib/nbs/serving/04_predict.ipynb",
        "answers = predict_rows(bundle, rows)",
        "answers = predict_rows(bundle, rows)[::-1].reset_index(drop=True)",
    )
    outcome = failing(place, "failed smoke test", 0.03)
    check(
        results(outcome)
        == {
            "register": "success",
            "smoke": "failure",
            "promote": "skipped",
            "deploy": "skipped",
            "undo": "success",
            "rollback": "skipped",
        },
        "failed smoke test: promote and deploy did not run, undo did",
    )
    told = [line for s in outcome.job("smoke").steps for line in s.tail if "smoke test of" in line]
    check(
        told and "golden rows get another prediction" in told[0],
        f"failed smoke test: {told[0][:150] if told else 'nothing was said'}",
    )
    check(
        number == len([e for e in read_entries(place.world.bare, NAME) if e.stage == "prod"]),
        f"failed smoke test: prod was {prod} all the time",
    )
    edit(
        place,
        "lib/nbs/serving/04_predict.ipynb",
        "answers = predict_rows(bundle, rows)[::-1].reset_index(drop=True)",
        "answers = predict_rows(bundle, rows)",
    )


def failed_deploy(place: Place) -> None:
    "Let the deployment fail: prod goes back to the version before."
    title("A failed deployment")
    script = place.dev / "scripts/deploy.sh"
    script.write_text(script.read_text() + 'echo "deploy: the server is away" >&2; exit 1\n')
    before = len([e for e in read_entries(place.world.bare, NAME) if e.stage == "prod"])
    outcome = failing(place, "failed deployment", 0.04)
    check(
        results(outcome)
        == {
            "register": "success",
            "smoke": "success",
            "promote": "success",
            "deploy": "failure",
            "undo": "success",
            "rollback": "skipped",
        },
        "failed deployment: promoted, not deployed, taken back",
    )
    moves = [e for e in read_entries(place.world.bare, NAME) if e.stage == "prod"][before:]
    check(
        [e.fields["Action"] for e in moves] == ["promote", "rollback"]
        and "deployment: failure" in moves[1].fields["Why"],
        f"failed deployment: on record: {moves[1].fields['Why']}",
    )


def prove(count: int, folder: Path) -> None:
    "Go through it all."
    place = Place(open_world(ROOT, folder), folder.resolve() / "dev")
    title("The end of March: the first model")
    start(place)
    release(place, "2013-03-31")
    months(place, count)
    after = f"2013-{4 + count:02d}-{calendar.monthrange(2013, 4 + count)[1]}"
    sabotage(place, after)
    failed_smoke(place)
    failed_deploy(place)
    title("Proved")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--months", type=int, default=3, choices=range(1, 8), help="from April on")
    parser.add_argument("--world", type=Path, help="a folder to keep; a temporary one if not said")
    given = parser.parse_args()
    place = given.world or Path(tempfile.mkdtemp(prefix="workflows-"))
    try:
        prove(given.months, place)
    finally:
        if not given.world:
            remove(place, quiet=True)
