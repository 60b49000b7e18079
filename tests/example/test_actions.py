"The words that the workflows use, on a sample project with a repository to push to and a stand-in for gh: look, tell, propose, review, merge, release, try, promote, take back."

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from conftest import run
from typer.testing import CliRunner
from proofs.faults import (
    BRANCH,
    NAME,
    NEW,
    Place,
    fine,
    git,
    held,
    mlops,
    pulls,
    refs,
    start_place,
    variables,
)

from mlops_kit.ci import scheduled as patrol_module
from mlops_kit.core.sandbox import set_parameters
from mlops_kit.core.files import load_json
from mlops_kit.ci.github import Hub
from mlops_kit.retraining.scheduled_check import broken_verdict
from mlops_kit.ci.scheduled import DRIFT_LABEL, run_scheduled_check
from mlops_kit.cli.main import app
from mlops_kit.localci.pull_requests import change_hub, merge_pull_request
from mlops_kit.registry.tags import read_entries, stage_stack
from mlops_kit.ci.retrain_pr import was_declined

UNIT = (
    '.assign(distance=lambda t: t[\\"distance\\"].where(t[\\"scheduled\\"] < \\"2013-05-20\\", '
    't[\\"distance\\"] * 1.609344))'
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return start_place(tmp_path_factory.mktemp("actions"))


@pytest.fixture
def hub(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    "Speak to the stand-in for gh from this process."
    for name, value in variables(place).items():
        if name in (
            "GH_TOKEN",
            "MLOPS_NB_ACT_WORLD",
            "MLOPS_NB_STORAGE",
            "PATH",
        ) or name.startswith("GIT_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLOPS_NB_ROOT", str(place.clone)), monkeypatch.chdir(place.clone)
    monkeypatch.delenv("MLOPS_NB_ALERTS", raising=False)
    said = []
    yield Hub(place.clone, said.append)


def told(*words: str) -> str:
    "Run a command in this process, where the libraries are imported already; give what it printed."
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, (words, done.output, done.exception)
    return done.output


def issues(place: Place) -> list[dict]:
    return load_json(place.world.folder / "hub.json")["issues"]


def test_what_the_contract_refuses_is_an_alarm_and_dry_tells_nobody(place: Place) -> None:
    path, line = place.clone / "nbs/01_ingest.ipynb", "open_source(source, root, csv)"
    text = path.read_text(encoding="utf-8")
    assert text.count(line) == 1
    path.write_text(text.replace(line, f"(b{UNIT} for b in {line})"), encoding="utf-8")
    git(place, "commit", "-qam", "kilometres", folder=place.clone)
    before, state = refs(place), (place.world.folder / "hub.json").read_bytes()
    out = fine(place, "check-drift", "--asof", NEW, "--dry-run")
    git(place, "reset", "-q", "--hard", "HEAD^", folder=place.clone)
    assert (
        "drift: broken" in out
        and "distance" in out
        and f"alarm=true, due=false, asof={NEW}" in out
        and "would keep the issue 'Drift since 2013-05-31: broken, (all) (contract)'" in out
    ), out
    assert (refs(place), (place.world.folder / "hub.json").read_bytes()) == (before, state), (
        "--dry-run changes nothing"
    )
    page = out.splitlines()[-1].removeprefix("see: ")
    assert (
        (place.clone / page).is_file()
        and not (place.clone / ".dvc/tmp/scheduled_check").exists()
        and not git(place, "status", "--porcelain", folder=place.clone)
    )


def finding(column: str, what: str) -> dict:
    return {
        "column": column,
        "what": what,
        "severity": "broken",
        "effect": 0.9,
        "limit": 0.1,
        "basis": "days",
        "relied_on": 0.2,
        "summary": "as if in other units",
    }


def look_at(hub: Hub, monkeypatch: pytest.MonkeyPatch, day: str, found: dict) -> bool:
    "Patrol, with what the look finds given."
    decision = {"retrain": False, "reasons": [], "against": ["it is broken"], "triggers": {}}
    monkeypatch.setattr(
        patrol_module,
        "check_new_rows",
        lambda root, day, refusals, say: {
            "found": found,
            "decision": decision,
            "folder": root / "reports/scheduled_check" / day,
        },
    )
    return run_scheduled_check(hub.root, hub, day)


def window(day: str, *findings: dict) -> dict:
    state, start = (
        "broken" if findings else "quiet",
        f"{date.fromisoformat(day) - timedelta(days=6)}",
    )
    return {
        "asof": day,
        "state": state,
        "alarm": bool(findings),
        "reason": "",
        "findings": list(findings),
        "model": "v1.0.0",
        "notes": [],
        "false_alarms": {"stated": 0.01, "measured": {}},
        "window": {"from": start, "to": day, "rows": 50},
        "labelled": 50,
    }


def test_an_episode_is_one_issue(place: Place, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = finding("distance", "unit")
    assert look_at(hub, monkeypatch, "2013-05-31", window("2013-05-31", unit))
    first = issues(place)
    assert (
        len(first) == 1
        and first[0]["labels"] == [DRIFT_LABEL]
        and first[0]["title"] == "Drift since 2013-05-31: broken, distance (unit)"
        and not first[0]["comments"]
    )
    look_at(hub, monkeypatch, "2013-05-31", window("2013-05-31", unit))
    assert issues(place) == first, "the same window says nothing new"
    look_at(hub, monkeypatch, "2013-06-07", window("2013-06-07", unit))
    assert issues(place)[0]["body"] != first[0]["body"] and not issues(place)[0]["comments"], (
        "brought up to date, and nobody gets a mail for it"
    )
    look_at(hub, monkeypatch, "2013-06-14", window("2013-06-14", unit, finding("temp", "unit")))
    assert (
        len(issues(place)) == 1
        and issues(place)[0]["title"].endswith("and 1 more")
        and len(issues(place)[0]["comments"]) == 1
    ), "another verdict is one comment"
    assert (
        look_at(
            hub,
            monkeypatch,
            "2013-06-21",
            broken_verdict("2013-06-21", "temp: 7 rows are below -60"),
        )
        and len(issues(place)) == 1
    )
    for day in ("2013-06-28", "2013-07-05"):
        assert issues(place)[0]["state"] == "OPEN"
        assert not look_at(hub, monkeypatch, day, window(day))
    assert [i["state"] for i in issues(place)] == ["CLOSED"] and "Over: quiet" in issues(place)[0][
        "comments"
    ][-1]["body"], "two quiet windows end it"


def test_a_review_says_what_a_parameter_does(place: Place) -> None:
    before = {n: load_json(place.clone / f"metrics/{n}.json") for n in ("evaluate", "gate")}
    set_parameters(place.clone / "params.yaml", {"evaluate.resamples": 12})
    done = run(
        ["dvc", "repro", "-q", "gate"], place.clone, **variables(place), PYTHONPATH=str(place.clone)
    )
    assert done.returncode == 0, done.stderr
    after = {n: load_json(place.clone / f"metrics/{n}.json") for n in ("evaluate", "gate")}
    text = fine(place, "review", "--base", "main")
    assert (
        len(text.splitlines()) <= 40
        and "`evaluate.resamples` `10` → `12`" in text
        and "**The figures are not those of this code**: package" in text
    ), text
    assert before["evaluate"]["metrics"] != after["evaluate"]["metrics"]
    for name, score in after["evaluate"]["metrics"].items():
        old = before["evaluate"]["metrics"][name]
        if name == after["evaluate"]["metric"] or old != score:
            assert (
                f"| {old['value']:.4f} [{old['low']:.4f}, {old['high']:.4f}] | "
                f"{score['value']:.4f} [{score['low']:.4f}, {score['high']:.4f}] |"
            ) in text, name
    assert (
        all(
            f"- {'✅' if c['passed'] else '❌'} {c['reason']}" in text
            for c in after["gate"]["checks"]
        )
        and ("Gate passed" in text) == after["gate"]["passed"]
    )
    git(place, "checkout", "-q", "--", ".", folder=place.clone), fine(place, "prepare", "--data")
    assert mlops(place, "review", "--base", "nowhere").code == 1


def test_from_a_proposal_to_a_version_and_back(place: Place, hub: Hub) -> None:
    assert (
        "v1.0.0" in told("release")
        and "passed" in told("smoke-test", "v1.0.0")
        and "v1.0.0 holds prod" in told("promote", "v1.0.0", "prod")
    )
    assert "nothing to release" in told("release") and held(place) == "v1.0.0"
    main = refs(place)["refs/heads/main"]
    told("propose-retraining", "--asof", NEW)
    tip = refs(place)[f"refs/heads/{BRANCH}"]
    assert (
        refs(place)["refs/heads/main"] == main == git(place, "rev-parse", f"{tip}^")
        and len(pulls(place)) == 1
        and NEW in pulls(place)[0]["title"]
    )
    assert (
        pulls(place)[0]["body"].count("\n") <= 45
        and "compared with the champion v1.0.0" in pulls(place)[0]["body"]
    )
    assert (
        "offers this already" in told("propose-retraining", "--asof", NEW)
        and len(pulls(place)) == 1
        and refs(place)[f"refs/heads/{BRANCH}"] == tip
    )
    number = pulls(place)[0]["number"]
    declined(place, hub, number, tip)
    assert merge_pull_request(place.world, number) == tip and not pulls(place)
    told("prepare", "--data")
    assert "v1.0.1" in told("release") and (held(place, "staging"), held(place)) == (
        "v1.0.1",
        "v1.0.0",
    )
    assert "golden rows get their recorded predictions" in told(
        "smoke-test", "v1.0.1"
    ) and "v1.0.1 holds prod now, before: v1.0.0" in told("promote", "v1.0.1", "prod")
    taken = told("roll-back-release", "v1.0.1", "--why", "a try", "--tell")
    assert "outputs: prod=v1.0.0" in taken and (held(place, "staging"), held(place)) == (
        "v1.0.0",
        "v1.0.0",
    )
    assert [i["title"] for i in issues(place) if i["labels"] == ["mlops-nb-release"]] == [
        "Release of v1.0.1 failed"
    ]
    entries = len(read_entries(place.world.bare, NAME))
    assert "left as it is" in told(
        "roll-back-release", "v1.0.1", "--why", "again"
    ) and "not released again" in told("release")
    assert len(read_entries(place.world.bare, NAME)) == entries and stage_stack(
        read_entries(place.world.bare, NAME), "prod"
    ) == ["v1.0.0"], "twice does no harm"


def declined(place: Place, hub: Hub, number: int, tip: str) -> None:
    "Close the pull request: a no, for this very commit; then open it again."

    def state(word: str) -> None:
        with change_hub(place.world) as content:
            next(p for p in content["pulls"] if p["number"] == number)["state"] = word

    assert not was_declined(hub, BRANCH, tip)
    state("CLOSED")
    assert (
        was_declined(hub, BRANCH, tip)
        and not was_declined(hub, BRANCH, "0" * 40)
        and not was_declined(hub, "another", tip)
    )
    assert "a no; delete the branch" in told("propose-retraining", "--asof", NEW) and not pulls(
        place
    )
    state("MERGED")
    assert not was_declined(hub, BRANCH, tip), "merged is a yes"
    state("OPEN")
