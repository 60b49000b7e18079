"Alerts for real: a webhook on loopback gets one message for each thing that happens, whatever the server, the windows and people do in between."

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mlops_kit.alerting.notify as alerts
from mlops_kit.alerting.notify import send_alerts
from mlops_kit.alerting.cloudwatch import format_emf
from mlops_kit.core.files import UserError
from mlops_kit.alerting.channels import ADDRESSES_VARIABLE
from mlops_kit.monitoring.verdict import STATES
from mlops_kit.alerting.incidents import INCIDENTS_FILE, load_incidents

SECRET = "s3cr3t-token"


def finding(column: str, severity: str = "changed", what: str = "distribution") -> dict:
    return {
        "column": column,
        "what": what,
        "severity": severity,
        "effect": 0.31,
        "limit": 0.1,
        "basis": "days",
        "relied_on": 0.2,
        "summary": "more above 80",
    }


def last_day(week: int) -> date:
    return date(2013, 6, 30) + timedelta(weeks=week)


def judged(week: int, *findings: dict) -> dict:
    state = max((f["severity"] for f in findings), key=STATES.index, default="quiet")
    window = {
        "from": str(last_day(week) - timedelta(days=6)),
        "to": str(last_day(week)),
        "rows": 6000,
    }
    return {
        "state": state,
        "alarm": STATES.index(state) > 1,
        "window": window,
        "findings": list(findings),
    }


class Webhook:
    "A server that can be away and comes back on the same port."

    def __init__(self) -> None:
        self.got, self.answer, self.server = [], 200, None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def up(self) -> None:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if hook.answer == 200:
                    hook.got.append(
                        (self.path, message["title"], message["message"], message["type"])
                    )
                self.send_response(hook.answer)
                self.end_headers()

            def log_message(self, *words: str) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self) -> None:
        if self.server:
            self.server.shutdown(), self.server.server_close()
        self.server = None

    def take(self) -> list[str]:
        "Give the titles that came since the last time."
        titles, self.got = [title for _, title, _, _ in self.got], []
        return titles


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    made = Webhook()
    made.up()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(ADDRESSES_VARIABLE, f"json://user:{SECRET}@127.0.0.1:{made.port}/{SECRET}")
    yield made
    made.down()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text("package: {name: demo}\n")
    return tmp_path


def week(root: Path, number: int, *findings: dict, dry_run: bool = False) -> list[str]:
    "Let a week go by; nothing that is said or kept may hold the secret."
    lines = send_alerts(
        root, judged(number, *findings), str(last_day(number) + timedelta(days=1)), dry_run
    )
    assert SECRET not in "\n".join(lines) + (
        (root / INCIDENTS_FILE).read_text() if (root / INCIDENTS_FILE).exists() else ""
    )
    return lines


def test_the_life_of_an_episode(hook: Webhook, project: Path, capfd: pytest.CaptureFixture) -> None:
    assert (
        week(project, 1) == ["nothing new to tell: quiet, open incidents: 0"] and hook.take() == []
    )
    lines = week(
        project,
        2,
        finding("temp"),
        finding("wind", "changed and matters"),
        finding("rain", "noticed"),
    )
    path, title, body, kind = hook.got[0]
    assert (
        hook.take() == ["[demo] changed and matters: wind, distribution and 1 more"]
        and path == f"/{SECRET}"
        and kind == "warning"
    )
    assert (
        lines == [f"sent to json (127.0.0.1:{hook.port}): {title}"]
        and "temp, distribution: more above 80 (effect 0.310" in body
        and "rain, " not in body
    )
    assert (
        len(body.splitlines()) <= 12
        and "2013-07-08 to 2013-07-14, 6,000 rows" in body
        and "Next: " in body
        and "See: " in body
    )
    for number in (2, 3, 3):  # the same window again, the same findings again
        assert (
            week(project, number, finding("temp"), finding("wind", "changed and matters"))[
                0
            ].startswith("nothing new")
            and hook.take() == []
        )
    assert "older" in week(project, 2, finding("visib", "broken"))[0] and hook.take() == []
    week(project, 4, finding("temp", "broken"), finding("wind"))
    assert "was changed" in hook.got[0][2] and hook.take() == [
        "[demo] worse, broken: temp, distribution"
    ]
    # better, and as bad as before
    week(project, 5, finding("temp")), week(project, 6, finding("temp", "broken"))
    assert hook.take() == ["[demo] over: wind, distribution"], "told once, after two quiet windows"
    week(project, 7)
    assert hook.take() == []
    week(project, 8)
    assert (
        "2013-07-14 to 2013-08-11, at its worst broken" in hook.got[0][2]
        and hook.got[0][3] == "success"
        and hook.take() == ["[demo] over: temp, distribution"]
    )
    week(project, 9), week(project, 10, finding("temp"))
    assert hook.take() == ["[demo] changed: temp, distribution"], "a new episode"
    assert SECRET not in "".join(capfd.readouterr())


def test_what_a_server_misses_is_due_until_it_is_back(hook: Webhook, project: Path) -> None:
    hook.down()
    for number in (1, 2):
        lines = week(project, number, finding("temp"))
        assert len(lines) == 1 and lines[0].startswith(
            f"NOT sent to json (127.0.0.1:{hook.port}): it cannot be reached; due again in the "
            "next run"
        )
    hook.up()
    hook.answer = 500
    assert (
        "it answers 500; due again" in week(project, 3, finding("temp", "broken"))[0]
        and hook.take() == []
    )
    hook.answer = 200
    week(project, 3, finding("temp", "broken"))
    assert "broken, since 2013-07-07" in hook.got[0][2] and hook.take() == [
        "[demo] broken: temp, distribution"
    ], "one message for both"
    hook.down()
    for number, found in ((4, [finding("wind")]), (5, []), (6, [])):
        assert week(project, number, *found)[0].startswith("NOT sent")
    hook.up()
    week(project, 7)
    assert (
        "wind" in hook.got[0][2]
        and "could not be sent before" in hook.got[0][2]
        and "at its worst broken" in hook.got[0][2]
        and len(hook.take()) == 1
    )
    assert (
        week(project, 8) == ["nothing new to tell: quiet, open incidents: 0"]
        and hook.take() == []
        and load_incidents(project).incidents == []
    )


def test_a_server_that_never_answers_holds_nobody_up(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv(
            ADDRESSES_VARIABLE, f"json://127.0.0.1:{silent.getsockname()[1]}/{SECRET}?rto=0.3"
        )
        assert "cannot be reached; due again" in week(project, 1, finding("temp"))[0]


TOKENS = (
    "T1JJ3T3L2",
    "A1BRTD4JD",
    "TIiajkdnlazkcOXrIdevi7FQ",
    "4174216298",
    "JHMHI8qBe7bk2ZwO5U711o3dV_js",
    "123456789:AABBCCDDEEFFGGHHIIJJKKLLMMNNOOPPQQR",
    "pa55word",
)
SERVICES = {
    "slack": "slack://{0}/{1}/{2}/%23room",
    "https": "https://hooks.slack.com/services/{0}/{1}/{2}",
    "discord": "discord://{3}/{4}",
    "tgram": "tgram://{5}/987654",
    "mailtos": "mailtos://me:{6}@127.0.0.1:9?to=you@example.org&from=me@example.org",
}


@pytest.mark.parametrize("who", SERVICES)
def test_no_service_lets_its_token_out(
    who: str,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture,
) -> None:
    for name in (
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody: nothing leaves this machine
    monkeypatch.setenv(ADDRESSES_VARIABLE, SERVICES[who].format(*TOKENS))
    lines = week(project, 1, finding("temp"))
    assert len(lines) == 1 and lines[0].startswith(f"NOT sent to {who}: "), lines
    told = "".join(
        [*lines, (project / INCIDENTS_FILE).read_text(), caplog.text, *capfd.readouterr()]
    )
    assert not [t for t in TOKENS if t in told or t[-8:] in told]


def test_a_silence_holds_until_its_day_and_is_then_named(hook: Webhook, project: Path) -> None:
    (project / "alerts.yaml").write_text(
        f"silence: [{{column: temp, until: {last_day(2) + timedelta(days=1)}, why: summer}}]"
    )
    for number in (1, 2):
        assert (
            week(project, number, finding("temp", "broken"))[0]
            == "held back: temp, distribution: silenced until 2013-07-15: summer"
            and hook.take() == []
        )
    lines = week(project, 3, finding("temp", "broken"))
    assert "counts no more" in lines[0] and hook.take() == ["[demo] broken: temp, distribution"]
    (project / "alerts.yaml").write_text("silence: [{column: temp, until: 2014-01-01, why: known}]")
    week(project, 4, finding("wind")), week(project, 5), week(project, 6)
    assert hook.take() == [
        "[demo] changed: wind, distribution",
        "[demo] over: wind, distribution",
    ], "the end of what is silenced is silent"


def test_an_acknowledged_episode_tells_only_worse_and_its_end(hook: Webhook, project: Path) -> None:
    week(project, 1, finding("temp"))
    pasted = hook.got[0][2].splitlines()[-1].split(": ", 1)[1]
    (project / "alerts.yaml").write_text(
        pasted.replace("up_to: changed", "up_to: changed and matters").replace("…", "mended soon")
    )
    assert hook.take() == ["[demo] changed: temp, distribution"]
    assert (
        week(project, 2, finding("temp", "changed and matters"))
        == ["held back: temp, distribution: acknowledged: mended soon"]
        and hook.take() == []
    )
    week(project, 3, finding("temp", "broken"))
    assert hook.take() == ["[demo] worse, broken: temp, distribution"]
    week(project, 4), week(project, 5)
    assert hook.take() == ["[demo] over: temp, distribution"]
    lines = week(project, 6, finding("temp"))
    assert "acknowledgement counts no more" in lines[0] and hook.take() == [
        "[demo] changed: temp, distribution"
    ]
    (project / "alerts.yaml").write_text(
        f"acknowledged: [{{column: temp, kind: distribution, since: {last_day(6)}, up_to: broken, "
        f"why: known}}, {{column: wind, kind: distribution, since: {last_day(7)}, why: known}}]"
    )
    week(project, 7, finding("temp", "broken"), finding("wind")), week(project, 8)
    assert hook.take() == []
    week(project, 9)
    assert hook.take() == ["[demo] over: temp, distribution"], (
        "who was told of a beginning is told of the end, and nobody else"
    )


def test_destinations_are_told_what_each_wants_and_lacks(
    hook: Webhook, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = os.environ[ADDRESSES_VARIABLE]
    monkeypatch.setenv(ADDRESSES_VARIABLE, f"broken={address}/pager\n{address}/team")
    week(project, 1, finding("temp"))
    assert [path.rpartition("/")[2] for path, *_ in hook.got] == ["team"] and len(hook.take()) == 1
    week(project, 2, finding("temp", "broken"))
    assert {path.rpartition("/")[2]: title for path, title, *_ in hook.got} == {
        "pager": "[demo] broken: temp, distribution",
        "team": "[demo] worse, broken: temp, distribution",
    }
    hook.take()
    monkeypatch.setenv(ADDRESSES_VARIABLE, f"broken={address}/pager {address}/team {address}/new")
    week(project, 3, finding("temp", "broken"))
    assert [path.rpartition("/")[2] for path, *_ in hook.got] == ["new"] and hook.take() == [
        "[demo] broken: temp, distribution"
    ]


def test_a_dry_run_sends_and_writes_nothing(hook: Webhook, project: Path) -> None:
    lines = week(project, 1, finding("temp"), dry_run=True)
    assert (
        lines[0].startswith("would send to json (127.0.0.1:")
        and any("more above 80" in line for line in lines)
        and hook.take() == []
        and not (project / INCIDENTS_FILE).exists()
    )
    week(project, 1, finding("temp"))
    assert len(hook.take()) == 1


def test_a_kill_between_two_destinations_repeats_nothing(
    hook: Webhook, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, real = os.environ[ADDRESSES_VARIABLE], alerts.send_message
    monkeypatch.setenv(ADDRESSES_VARIABLE, f"{address}/a {address}/b")

    def killed_at_the_second(destination, *message) -> str:
        if destination.name == "json 2":
            raise KeyboardInterrupt
        return real(destination, *message)

    with monkeypatch.context() as patch:
        patch.setattr(alerts, "send_message", killed_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            week(project, 1, finding("temp"))
    week(project, 1, finding("temp"))
    assert [path.rpartition("/")[2] for path, *_ in hook.got] == ["a", "b"]


def test_two_runs_at_once_tell_once(hook: Webhook, project: Path) -> None:
    (project / "verdict.json").write_text(json.dumps(judged(1, finding("temp"))))
    code = (
        "import json, pathlib; from mlops_kit.alerting.notify import send_alerts; r = pathlib.Path('.'); "
        "print(*send_alerts(r, json.loads((r / 'verdict.json').read_text()), '2013-07-08'))"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=project, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[0] for process in running]
    assert (
        sorted(line.split(" ")[0] for line in said) == ["nothing", "sent"] and len(hook.take()) == 1
    )


def test_a_full_disk_is_found_before_anything_is_sent(hook: Webhook, project: Path) -> None:
    (project / "alerts").write_text("a file where the folder is to be")
    with pytest.raises(UserError, match="cannot write"):
        week(project, 1, finding("temp"))
    assert hook.take() == []


def test_the_run_in_github_is_named_and_all_fits_in_twelve_lines(
    hook: Webhook, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_REPOSITORY": "me/it",
        "GITHUB_RUN_ID": "7",
    }.items():
        monkeypatch.setenv(name, value)
    week(project, 1, *(finding(f"column {n:02}") for n in range(20)))
    body = hook.got[0][2]
    assert (
        "Run: https://github.example/me/it/actions/runs/7" in body
        and len(body.splitlines()) == 12
        and "and 15 more" in body
    )


def test_importing_alerts_does_not_import_apprise() -> None:
    code = "import sys, mlops_kit.alerting.notify; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


COLUMNS, LEAST = ("a", "b"), {"json": "changed", "json 2": "broken"}
FOUND = st.sampled_from(["quiet"] * 4 + list(STATES[1:]))


def steps(silences: list[str]) -> st.SearchStrategy:
    """Draw weeks.

    How far the clock goes, what is found in each column, which of the servers are up, what is
    silenced.
    """
    return st.lists(
        st.tuples(
            st.sampled_from([1, 1, 1, 0, -1]),
            st.tuples(*[FOUND] * len(COLUMNS)),
            st.booleans(),
            st.booleans(),
            st.sampled_from(silences),
        ),
        min_size=1,
        max_size=16,
    )


LINE = re.compile(
    r"- (?P<over>over, )?(?:(?P<severity>\w[\w ]*?), (?:was [\w ]+, )?since )?(?P<since>\S{10})(?: to \S+, (?:at its worst )?(?P<worst>\w[\w ]*?)(?:, could not be sent before)?)?: (?P<column>\w), "
)


@contextmanager
def recorded(up: dict[str, bool], sent: list) -> Iterator[None]:
    "Replace the network: what goes is kept, by destination."

    def stand_in(destination, title, body, kind) -> str:
        if up[destination.name]:
            sent.append(
                (
                    destination.name,
                    [LINE.match(line) for line in body.splitlines() if line.startswith("- ")],
                )
            )
        return "" if up[destination.name] else "it cannot be reached"

    before, alerts.send_message = alerts.send_message, stand_in
    os.environ[ADDRESSES_VARIABLE] = "json://127.0.0.1:9/a broken=json://127.0.0.1:9/b"
    try:
        yield
    finally:
        alerts.send_message = before
        os.environ.pop(ADDRESSES_VARIABLE)


def check_history(history: list[tuple[str, str, str, bool, str]]) -> None:
    "Of each episode a destination hears rising severities and at most one end, which is the last."
    seen: dict[tuple, list] = {}
    for name, column, since, over, severity in history:
        known = seen.setdefault((name, column, since), [])
        assert not known or known[-1] != "over", "nothing after the end"
        assert over or not known or STATES.index(severity) > STATES.index(known[-1]), (
            "never the same twice"
        )
        assert known or STATES.index(severity) >= STATES.index(LEAST[name])
        known.append("over" if over else severity)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(steps([""]), steps(["", "", *COLUMNS])))
def test_random_windows_never_tell_a_state_twice(
    tmp_path_factory: pytest.TempPathFactory, drawn: list
) -> None:
    root, sent, history, number, going, ended = tmp_path_factory.mktemp("alerts"), [], [], 1, {}, []
    (root / "params.yaml").write_text("package: {name: m}\n")
    up, newest, hushed = {}, 0, any(step[4] for step in drawn)
    with recorded(up, sent):
        for move, severities, first, second, silent in [
            *drawn,
            *[(1, ("quiet",) * len(COLUMNS), True, True, "")] * 3,
        ]:
            number = max(newest + move, 1)
            up |= {"json": first, "json 2": second}
            (root / "alerts.yaml").write_text(
                f"silence: [{{column: {silent}, until: {last_day(number) + timedelta(days=1)}, "
                f"why: x}}]"
                if silent
                else ""
            )
            before = len(sent)
            week(
                root,
                number,
                *(finding(c, s) for c, s in zip(COLUMNS, severities, strict=True) if s != "quiet"),
            )
            assert number >= newest or len(sent) == before, "an older window tells nothing"
            assert len({name for name, _ in sent[before:]}) == len(sent) - before, (
                "one message each"
            )
            for name, lines in sent[before:]:
                assert all(lines) and all(m["column"] != silent for m in lines)
                history += [
                    (name, m["column"], m["since"], bool(m["over"]), m["severity"] or m["worst"])
                    for m in lines
                ]
            if number < newest:
                continue
            # the truth, in the plainest words
            for column, severity in zip(COLUMNS, severities, strict=True):
                if severity != "quiet":
                    since, worst, _ = going.get(column, (number, "quiet", 0))
                    going[column] = (since, max(worst, severity, key=STATES.index), 0)
                elif column in going and number > newest:
                    since, worst, quiet = going[column]
                    going[column] = (since, worst, quiet + 1)
                    if quiet + 1 == 2:
                        ended.append((column, str(last_day(since)), going.pop(column)[1]))
            newest = number
    check_history(history)
    assert load_incidents(root).incidents == [] and not going
    if not hushed:
        for name, least in LEAST.items():
            wanted = sorted(
                (c, since)
                for c, since, worst in ended
                if STATES.index(worst) >= STATES.index(least)
            )
            assert wanted == sorted(
                (c, since) for n, c, since, over, _ in history if n == name and over
            ), "every episode's end is told once"


UNITS = {
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Percent",
    "Count",
    "Count/Second",
    "None",
    *(
        f"{p}{u}{e}"
        for u in ("bytes", "bits")
        for p in ("Kilo", "Mega", "Giga", "Tera")
        for e in ("", "/Second")
    ),
    "Bytes",
    "Bits",
    "Bytes/Second",
    "Bits/Second",
}


def check_emf(line: str) -> dict:
    "Hold a line against the rules of the specification of the embedded metric format."
    root = json.loads(line, parse_constant=lambda c: pytest.fail(f"{c} is no JSON"))
    assert isinstance(root, dict) and "\n" not in line and len(line.encode()) <= 256 * 1024
    assert (
        set(root["_aws"]) == {"Timestamp", "CloudWatchMetrics"}
        and type(root["_aws"]["Timestamp"]) is int
        and root["_aws"]["Timestamp"] > 10**12
    )
    assert isinstance(root["_aws"]["CloudWatchMetrics"], list) and root["_aws"]["CloudWatchMetrics"]
    for directive in root["_aws"]["CloudWatchMetrics"]:
        assert (
            set(directive) == {"Namespace", "Dimensions", "Metrics"}
            and 1 <= len(directive["Namespace"]) <= 255
        )
        assert directive["Dimensions"] and 1 <= len(directive["Metrics"]) <= 100
        for group in directive["Dimensions"]:
            assert (
                isinstance(group, list)
                and len(group) <= 9
                and all(
                    isinstance(root[k], str) and 1 <= len(root[k]) <= 255 and root[k].isascii()
                    for k in group
                )
            )
        for metric in directive["Metrics"]:
            assert (
                {"Name"} <= set(metric) <= {"Name", "Unit"}
                and 1 <= len(metric["Name"]) <= 255
                and metric["Unit"] in UNITS
            )
            assert type(root[metric["Name"]]) in (int, float)
    return root


@pytest.mark.parametrize(
    "verdict",
    [
        judged(1),
        judged(2, finding("temp", "broken"), finding("wind", "noticed")),
        judged(3) | {"window": {"from": None, "to": None, "rows": None}},
        {k: v for k, v in judged(1).items() if k != "window"},
    ],
    ids=["quiet", "broken", "timeless", "bare"],
)
def test_the_line_for_cloudwatch_is_what_the_specification_asks_for(verdict: dict) -> None:
    root = check_emf(format_emf(verdict, "mlops/drift", "demo · late", "2013-07-15"))
    assert (
        root["Severity"] == STATES.index(verdict["state"])
        and root["Findings"] == len(verdict["findings"])
        and root["Model"].startswith("demo")
    )
