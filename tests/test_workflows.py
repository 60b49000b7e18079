"The workflows on this machine: pins, stand-ins, what a local run says of its jobs, and that it leaves nothing behind."

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT

from mlops_kit.core.files import UserError, load_json
from mlops_kit.localci.local_run import RunRequest, run_workflow
from mlops_kit.localci.pull_requests import merge_pull_request, pull_request_payload
from mlops_kit.localci.workflows import action_pins
from mlops_kit.localci.fake_github import TOKEN, World, open_world, world_environment, world_git

BIN = Path(sys.executable).parent
STANDS = ROOT / ".github/act"
ACT = shutil.which("act", path=str(BIN))
needs_act = pytest.mark.skipif(ACT is None, reason="act is not installed: make extra WITH=actions")
CHECKOUT, UPLOAD, DOWNLOAD = (
    "actions/checkout@" + "a" * 40,
    "actions/upload-artifact@" + "b" * 40,
    "actions/download-artifact@" + "c" * 40,
)

JOBS = """
name: Tiny
on: {{push: , pull_request: , workflow_dispatch: {{inputs: {{code: {{default: "0"}}}}}}}}
permissions: {{}}
jobs:
  work:
    runs-on: ubuntu-latest
    steps:
      - uses: {checkout} # v1.0.0
      - {{name: Maybe fail, env: {{CODE: "${{{{ inputs.code || '0' }}}}"}}, run: 'echo "about to end with $CODE"; exit "$CODE"'}}
      - run: |
          mkdir -p out/deep && echo one > out/a.txt && echo two > out/deep/b.txt && echo no > out/.hidden
          printf '[gw0] [%3d%%] PASSED tests/test_a.py::test_b\\n' 3 40 100
          echo "said=$GITHUB_HEAD_REF>$GITHUB_BASE_REF $GITHUB_REF $(git log -1 --format=%P | wc -w)" >> "$GITHUB_OUTPUT"
        id: say
      - {{uses: {upload}, with: {{name: result, path: "out/\\n!out/a.txt"}}}} # v1.0.0
  take:
    needs: work
    runs-on: ubuntu-latest
    steps:
      - {{uses: {download}, with: {{name: result, path: in}}}} # v1.0.0
      - run: test "$(cat in/deep/b.txt)" = two && test ! -e in/a.txt && test ! -e in/.hidden
  never: {{if: github.event_name == 'issues', runs-on: ubuntu-latest, steps: [{{run: 'false'}}]}}
"""
MAC = (
    "  mac: {runs-on: macos-14, steps: [{run: 'true'}]}\n  after: {needs: mac, runs-on: "
    "ubuntu-latest, steps: [{run: 'true'}]}\n"
)


def git(folder: Path, *words: str) -> str:
    "Run git as somebody, without the settings of whoever runs the tests."
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | {
        f"GIT_{who}_{what}": "t@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    return subprocess.run(
        ["git", *words], cwd=folder, env=env, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "A project of three workflows and nothing else."
    folder = tmp_path_factory.mktemp("act") / "tiny"
    (folder / ".github/workflows").mkdir(parents=True)
    shutil.copytree(STANDS, folder / ".github/act")
    (folder / "settings.ini").touch(), (folder / "params.yaml").touch()
    tiny = JOBS.format(checkout=CHECKOUT, upload=UPLOAD, download=DOWNLOAD)
    texts = {
        "tiny": tiny,
        "mac": tiny + MAC,
        "slow": "on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{name: Sleep, run: 'touch "
        '"$MLOPS_NB_ACT_WORLD/begun"; (setsid sleep 120 &); sleep 120\'}]}}\n',
    }
    for name, text in texts.items():
        (folder / f".github/workflows/{name}.yml").write_text(text)
    (
        git(folder, "init", "-q", "-b", "main"),
        git(folder, "add", "-A"),
        git(folder, "commit", "-qm", "start"),
    )
    return folder


@pytest.fixture
def world(project: Path, tmp_path: Path) -> World:
    return open_world(project, tmp_path / "world")


def complaints(root: Path) -> list[str]:
    "Say what is wrong with the pins of a project's actions."
    pins = action_pins(root)
    found = [
        f"{p.file} line {p.line}: {p.action}@{p.ref} is not pinned by commit"
        for p in pins
        if not re.fullmatch(r"[0-9a-f]{40}", p.ref)
    ]
    found += [
        f"{p.file} line {p.line}: {p.action} lacks its version as a comment"
        for p in pins
        if not re.fullmatch(r"v\d+\.\d+\.\d+", p.tag)
    ]
    found += [
        f"{p.file} line {p.line}: {p.action} has no stand-in"
        for p in pins
        if not (root / ".github/act" / p.action / p.folder / "action.yml").is_file()
    ]
    for action in sorted({p.action for p in pins}):
        if len(used := {(p.ref, p.tag) for p in pins if p.action == action}) > 1:
            found.append(f"{action} has {len(used)} pins")
    return found


def test_actions_are_pinned_alike_and_have_stand_ins(project: Path, tmp_path: Path) -> None:
    assert complaints(ROOT) == [] and complaints(project) == []
    shutil.copytree(project / ".github", tmp_path / ".github")
    (tmp_path / ".github/workflows/bad.yml").write_text(
        f"jobs: {{a: {{steps: [\n  {{uses: actions/checkout@v4}},\n  {{uses: "
        f"other/one@{'a' * 40}}} # v1.0.0\n]}}}}\n"
    )
    assert [text.split(": ", 1)[-1] for text in complaints(tmp_path)] == [
        "actions/checkout@v4 is not pinned by commit",
        "actions/checkout lacks its version as a comment",
        "other/one has no stand-in",
        "actions/checkout has 2 pins",
    ]


def test_every_stand_in_is_whole() -> None:
    import yaml

    files = sorted(STANDS.rglob("action.yml"))
    assert {"checkout", "cache", "setup-python", "upload-artifact", "download-artifact"} <= {
        f.parent.name for f in files if f.parent.parent.name == "actions"
    }
    for file in files:
        action = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert action["runs"]["using"] == "composite" and all(
            s["shell"] == "bash" and "${{" not in s["run"] for s in action["runs"]["steps"]
        ), f"{file}: an expression in a script runs what it holds"


class Hub:
    "Calls the stand-in for gh in a world, as a step does."

    def __init__(self, world: World) -> None:
        self.world, self.env = (
            world,
            world_environment(world) | {"GH_TOKEN": TOKEN, "GITHUB_REPOSITORY": "me/shop"},
        )
        (world.folder / "body.md").write_text("The body.\n")

    def __call__(self, line: str, code: int = 0, **env: str) -> str:
        """Run a call.

        B stands for a file with a body; give its output, or its complaint where it must fail.
        """
        words = [
            str(self.world.folder / "body.md")
            if w == "B"
            else w.replace("@B", f"@{self.world.folder / 'body.md'}")
            for w in line.split()
        ]
        done = subprocess.run(
            [sys.executable, str(STANDS / "gh"), *words],
            cwd=self.world.clone,
            env=self.env | env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, (line, done.stdout, done.stderr)
        return (done.stderr if code else done.stdout).strip()


@pytest.fixture
def gh(world: World) -> Hub:
    return Hub(world)


def test_gh_keeps_issues(gh: Hub) -> None:
    assert gh("issue list --state open --label drift --json number,title,body --limit 5") == "[]"
    assert (
        gh("issue create --title Drift --body-file B --label drift", 1)
        == "could not add label: 'drift' not found"
    )
    assert (
        gh("label create drift --force --description Moved --color d93f0b")
        == ""
        == gh("label create drift --force --description Moved --color d93f0b")
    )
    assert (
        gh("issue create --title Drift --body-file B --label drift")
        == "https://github.com/me/shop/issues/1"
    )
    assert json.loads(
        gh("issue list --state open --label drift --json number,title,body --limit 5")
    ) == [{"body": "The body.\n", "number": 1, "title": "Drift"}]
    assert gh("issue edit 1 --title More --body-file B").endswith("/issues/1") and gh(
        "issue comment 1 --body-file B"
    ).endswith("/issues/1#issuecomment-1001")
    assert "number of 7" in gh("issue comment 7 --body-file B", 1) and "no such file" in gh(
        "issue comment 1 --body-file nothing", 1
    )
    assert (
        gh("issue close 1") == ""
        and gh("issue list --state open --label drift --json number,title,body --limit 5") == "[]"
    )
    issue = load_json(gh.world.folder / "hub.json")["issues"][0]
    assert (issue["title"], issue["state"], issue["labels"], len(issue["comments"])) == (
        "More",
        "CLOSED",
        ["drift"],
        1,
    )
    calls = [
        json.loads(line) for line in (gh.world.folder / "hub_calls.jsonl").read_text().splitlines()
    ]
    assert calls[0]["argv"][:2] == ["issue", "list"] and [c["exit"] for c in calls] == [
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        0,
        1,
        1,
        0,
        0,
    ]


def test_gh_keeps_pull_requests(gh: Hub) -> None:
    create = "pr create --head retrain --base main --title Retrained --body-file B"
    assert "Head ref must be a branch" in gh(create, 1)
    world_git(gh.world, gh.world.bare, "branch", "retrain", "main")
    assert "No commits between main and retrain" in gh(create, 1)
    (gh.world.clone / "new.txt").touch()
    (
        world_git(gh.world, gh.world.clone, "add", "-A"),
        world_git(gh.world, gh.world.clone, "commit", "-qm", "x"),
        world_git(gh.world, gh.world.clone, "push", "-q", "origin", "HEAD:refs/heads/retrain"),
    )
    url = gh(create)
    assert url == "https://github.com/me/shop/pull/1"
    assert (
        gh(create, 1)
        == f'a pull request for branch "retrain" into branch "main" already exists:\n{url}'
    )
    assert json.loads(
        gh("pr list --state open --head retrain --json number,title,url,body --limit 1")
    ) == [{"body": "The body.\n", "number": 1, "title": "Retrained", "url": url}]
    assert (
        gh("pr edit 1 --title Again --body-file B") == url
        and gh("pr comment 1 --body-file B") == f"{url}#issuecomment-1001"
    )
    (gh.world.folder / "body.md").write_text("Changed.")
    assert (
        json.loads(
            gh("api --method PATCH repos/{owner}/{repo}/issues/comments/1001 --field body=@B")
        )["body"]
        == "Changed."
    )
    assert json.loads(gh("api repos/{owner}/{repo}/issues/1/comments?per_page=100 --paginate")) == [
        {"id": 1001, "body": "Changed."}
    ]
    assert "Not Found" in gh(
        "api repos/{owner}/{repo}/issues/2/comments?per_page=100 --paginate", 1
    )
    assert (
        merge_pull_request(gh.world, 1) == world_git(gh.world, gh.world.bare, "rev-parse", "main")
        and gh("pr list --state open --head retrain --json number,title,url,body --limit 1") == "[]"
    )


@pytest.mark.parametrize(
    "call",
    [
        "issue list --state open",
        "issue list --state open --label drift --json number,title,body --limit 5 --web",
        "issue list --state open --label drift --json stars --limit 5",
        "issue view 1",
        "pr merge 1",
        "pr list --state open --head x --json number --limit none",
        "api repos/{owner}/{repo}/issues",
        "label create x --force --description d --color red",
        "issue close",
        "issue close 1 2",
        "pr create --head a --base main --title",
        "run list --workflow nothing --event schedule --status success --limit 1 --json createdAt",
        "",
    ],
)
def test_gh_refuses_what_it_does_not_know(gh: Hub, call: str) -> None:
    before = (gh.world.folder / "hub.json").read_bytes()
    assert gh(call, 1) and (gh.world.folder / "hub.json").read_bytes() == before


def test_gh_wants_a_token_and_can_be_made_to_fail(gh: Hub) -> None:
    call = "issue list --state open --label drift --json number,title,body --limit 5"
    assert "set the GH_TOKEN environment variable" in gh(call, 4, GH_TOKEN="")
    (gh.world.folder / "hub_fault").write_text("HTTP 502: Bad Gateway\n")
    assert gh(call, 1) == "HTTP 502: Bad Gateway"


@needs_act
def test_a_run_says_what_became_of_each_job(world: World) -> None:
    outcome = run_workflow(world, "tiny")
    assert outcome.ok and [(j.key, j.result) for j in outcome.jobs] == [
        ("work", "success"),
        ("take", "success"),
    ], outcome
    assert (
        outcome.skipped == ("never",)
        and not outcome.missing
        and [p.name for p in outcome.artifacts] == ["result"]
    )
    assert sorted(p.name for p in outcome.artifacts[0].rglob("*")) == ["b.txt", "deep"]
    assert json.loads(
        Hub(world)(
            "run list --workflow tiny.yml --event push --status success --limit 1 --json createdAt"
        )
    )[0]["createdAt"].endswith("Z")
    assert not run_workflow(world, "tiny", RunRequest(may_skip={"take"})).ok, (
        "never may not be skipped when only take may"
    )


@needs_act
def test_a_failing_job_is_a_failure_and_what_needs_it_is_skipped(world: World) -> None:
    outcome = run_workflow(world, "tiny", RunRequest("workflow_dispatch", {"code": "3"}))
    assert (
        not outcome.ok
        and outcome.code == 1
        and [(j.key, j.result) for j in outcome.jobs] == [("work", "failure")]
    )
    assert outcome.skipped == ("take", "never") and not outcome.missing
    assert [(s.name, s.result) for s in outcome.job("work").steps][1] == (
        "Maybe fail",
        "failure",
    ) and [s.result for s in outcome.job("work").steps][2:] == ["skipped", "skipped"]
    assert outcome.job("work").steps[1].tail == ("about to end with 3",)


@needs_act
def test_a_job_without_a_runner_is_a_failure(world: World) -> None:
    outcome = run_workflow(world, "mac")
    assert (
        not outcome.ok and outcome.missing == ("mac",) and outcome.skipped == ("never", "after")
    ), outcome
    assert any("macos-14" in error for error in outcome.errors)


@needs_act
def test_a_pull_request_runs_on_its_merge(world: World) -> None:
    gh = Hub(world)
    (world.clone / "new.txt").touch()
    (
        world_git(world, world.clone, "add", "-A"),
        world_git(world, world.clone, "commit", "-qm", "x"),
        world_git(world, world.clone, "push", "-q", "origin", "HEAD:refs/heads/retrain"),
    )
    gh("pr create --head retrain --base main --title Retrained --body-file B")
    outcome = run_workflow(
        world, "tiny", RunRequest("pull_request", payload=pull_request_payload(world, 1))
    )
    assert (
        outcome.ok and outcome.outputs["work"]["say.said"] == "retrain>main refs/pull/1/merge 2"
    ), outcome.outputs


@needs_act
def test_what_cannot_start_is_one_line(world: World) -> None:
    for (workflow, *request), words in {
        ("nothing",): "there are: mac, slow, tiny",
        ("tiny", "schedule"): "starts on push, pull_request, workflow_dispatch",
        ("tiny", "push", None, None, "gone"): "no branch or tag",
    }.items():
        with pytest.raises(UserError, match=words) as error:
            run_workflow(world, workflow, RunRequest(*request))
        assert "\n" not in str(error.value)
    shutil.rmtree(world.folder / "act", ignore_errors=True)


def act_command(project: Path, home: Path, *words: str) -> subprocess.Popen:
    "Start `mlops-nb act` with an empty home."
    home.mkdir(exist_ok=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "MLOPS_NB_"))} | {
        "HOME": str(home),
        "TMPDIR": str(home.parent),
    }
    # a shell that runs the tests in the background has it ignored
    hear = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(
        [str(BIN / "mlops-nb"), "act", *words],
        cwd=project,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear,
    )


@needs_act
def test_the_command_tells_and_leaves_the_home_alone(project: Path, tmp_path: Path) -> None:
    (project / "edited.txt").touch()
    state = git(project, "for-each-ref") + (project / ".git/config").read_text()
    command = act_command(project, tmp_path / "home", "tiny")
    out, err = command.communicate(timeout=60)
    (project / "edited.txt").unlink()
    assert command.returncode == 0, out + err
    assert (
        "edited.txt: not committed" in err
        and re.search(r"^work +success ", out, re.M)
        and re.search(r"^never +skipped$", out, re.M)
        and "tiny on push: ok" in out
    )
    assert re.findall(r"^ +[\d.]+ s  work · (\d+) % · mkdir", out, re.M) == ["40", "100"], out
    assert all(len(line) <= 80 for line in out.splitlines() if "/" not in line)
    assert list((tmp_path / "home").rglob("*")) == [] and [p.name for p in tmp_path.iterdir()] == [
        "home"
    ], "nothing in the home, no world left"
    assert git(project, "for-each-ref") + (project / ".git/config").read_text() == state


@needs_act
def test_a_failed_run_exits_1_and_keeps_its_world(project: Path, tmp_path: Path) -> None:
    command = act_command(project, tmp_path / "home", "tiny", "--input", "code=3")
    out, err = command.communicate(timeout=60)
    assert (
        command.returncode == 1
        and "tiny on workflow_dispatch: NOT ok" in out
        and "about to end with 3" in out
        and "Traceback" not in err
    ), out + err
    log = Path(re.search(r"^log: +(.*)$", out, re.M)[1])
    assert log.is_file() and log.is_relative_to(tmp_path)


@needs_act
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_early_it_leaves_nothing_running(project: Path, tmp_path: Path, number: int) -> None:
    import psutil

    command = act_command(project, tmp_path / "home", "slow", "--world", str(tmp_path / "world"))
    end = time.monotonic() + 30
    while not (tmp_path / "world/begun").exists():
        assert time.monotonic() < end and command.poll() is None, command.communicate()
        time.sleep(0.05)
    command.send_signal(number)
    out, err = command.communicate(timeout=30)
    assert command.returncode and "Traceback" not in err and "stopped" in err, out + err
    left = []
    for process in psutil.process_iter():
        try:
            left += (
                [process.cmdline()]
                if process.environ().get("MLOPS_NB_ACT_WORLD") == str(tmp_path / "world")
                else []
            )
        except (psutil.Error, OSError):
            continue
    assert left == []


@needs_act
def test_too_slow_a_run_is_ended(world: World) -> None:
    outcome = run_workflow(world, "slow", RunRequest(timeout=1.0))
    assert (
        not outcome.ok
        and outcome.code == 124
        and "limit" in outcome.errors[-1]
        and outcome.jobs[0].result != "success"
    )
