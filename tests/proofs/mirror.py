"""Prove that every run reaches a real MLflow: server and SQLite file, reruns, kills, a grid of two, servers that are away, hang or refuse.

    python tests/proofs/mirror.py
    python tests/proofs/mirror.py --mlflow .venv-mlflow/bin    an installed MLflow, with its server

MLflow's server is installed from the package registry into a temporary environment of its own; what a project needs (`make extra WITH=mlflow`) into a
temporary folder that .venv sees while the proof runs, unless it is there.
"""

import argparse
import http.server
import importlib.util
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/proofs")]
from conftest import make_project, run, set_params  # noqa: E402
from sources import free_port  # noqa: E402

from mlops_kit.core.files import content_hash, read_yaml  # noqa: E402
from mlops_kit.experiments.mlflow import metric_values, read_curves  # noqa: E402

LOOK = """
import hashlib, json, pathlib, sys, tempfile
from mlflow import MlflowClient
client, found = MlflowClient(sys.argv[1]), []
experiment = client.get_experiment_by_name(sys.argv[2])
for run in client.search_runs([experiment.experiment_id]) if experiment else []:
    folder = pathlib.Path(client.download_artifacts(run.info.run_id, "", tempfile.mkdtemp()))
    files = {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}
    curves = {k: [[m.step, m.value] for m in client.get_metric_history(run.info.run_id, k)] for k in run.data.metrics}
    found.append({"name": run.info.run_name, "status": run.info.status, "params": run.data.params, "metrics": run.data.metrics, "tags": run.data.tags, "curves": curves, "files": files})
print(json.dumps(found))
"""


def expect(what: str, holds: bool, seen: object = "") -> None:
    "Print what was seen; end the proof when it is not what was expected."
    print(f"  {what}{': ' if str(seen) else ''}{seen}", flush=True)
    if not holds:
        sys.exit(f"FAILED: {what}: {seen}")


def install(work: Path) -> Path:
    "Install MLflow with its server; give the folder of its commands."
    uv = str(Path(sys.executable).parent / "uv")
    subprocess.run(
        [uv, "venv", "--quiet", "--python", sys.executable, str(work / "venv")], check=True
    )
    subprocess.run(
        [
            uv,
            "pip",
            "install",
            "--quiet",
            "--python",
            str(work / "venv/bin/python"),
            "mlflow>=3.17,<4",
        ],
        check=True,
    )
    return work / "venv/bin"


@contextmanager
def mlflow_server(tools: Path, work: Path, port: int):
    "Run MLflow's server; it ends with all its processes."
    command = [
        str(tools / "mlflow"),
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--backend-store-uri",
        f"sqlite:///{work}/server.db",
        "--artifacts-destination",
        str(work / "artifacts"),
    ]
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "IN_TEST")} | {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with (work / "server.log").open("ab") as log:
        server = subprocess.Popen(
            command, cwd=work, env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        end = time.monotonic() + 120
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if server.poll() is not None or time.monotonic() > end:
                sys.exit(
                    "FAILED: MLflow's server does not start: "
                    f"{(work / 'server.log').read_text()[-800:]}"
                )
            time.sleep(0.2)
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


@contextmanager
def hanging_server(port: int):
    "Listen and never answer."
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", port))
        s.listen(50)
        yield


@contextmanager
def broken_server(port: int, code: int):
    "Answer everything with one code."

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(code)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def look(tools: Path, address: str, project: Path) -> list[dict]:
    "Read all runs with MLflow's own client."
    name = read_yaml(project / "params.yaml")["package"]["name"]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }
    done = subprocess.run(
        [str(tools / "python"), "-c", LOOK, address, name],
        cwd=tools.parent,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode:
        sys.exit(f"FAILED: MLflow's client: {done.stderr[-1500:]}")
    return json.loads(done.stdout)


def lines(result: subprocess.CompletedProcess) -> list[str]:
    "Give what a run said about MLflow."
    return [line for line in result.stderr.splitlines() if "mirrored to" in line]


def stage_index(project: Path) -> subprocess.CompletedProcess:
    "Run the last stage alone."
    return run(["mlops-nb", "stage", "index"], project, PYTHONPATH=str(project))


def update(project: Path) -> subprocess.CompletedProcess:
    "Bring the project up to date."
    result = run(["mlops-nb", "repro"], project, PYTHONPATH=str(project))
    expect(
        "repro ends with",
        result.returncode == 0,
        f"exit code {result.returncode} {result.stderr[-300:] if result.returncode else ''}",
    )
    return result


def compare(found: dict, project: Path) -> None:
    "Hold a mirrored run against the project's files."
    results = {p.stem: json.loads(p.read_text()) for p in (project / "metrics").glob("*.json")}
    flat = {
        f"test.{n}{end}": v[k]
        for n, v in results["evaluate"]["metrics"].items()
        for k, end in (("value", ""), ("low", ".low"), ("high", ".high"))
        if v[k] is not None
    }
    expect(
        "metrics equal metrics/evaluate.json to the last digit",
        all(found["metrics"].get(k) == v for k, v in flat.items()) and len(flat) >= 6,
        len(flat),
    )
    expect(
        "all metrics",
        set(found["metrics"])
        == set(metric_values(results)) | {n for n, _, _ in read_curves(project / "reports/live")},
        len(found["metrics"]),
    )
    expect(
        "gate", found["metrics"]["gate.passed"] == results["gate"]["passed"], found["tags"]["gate"]
    )
    params = read_yaml(project / "params.yaml")
    expect(
        "parameters",
        found["params"]["train.rounds"] == str(params["train"]["rounds"])
        and found["params"]["train.model"] == params["train"]["model"]
        and found["params"]["seed"] == str(params["seed"])
        and "index.mlflow" not in found["params"],
        len(found["params"]),
    )
    curves = {
        n: [[s, v] for m, s, v in read_curves(project / "reports/live") if m == n]
        for n in {m for m, _, _ in read_curves(project / "reports/live")}
    }
    expect(
        "curves, step by step",
        curves and all(found["curves"][n] == points for n, points in curves.items()),
        {n: [s for s, _ in p] for n, p in sorted(curves.items())},
    )
    wanted = {
        f: content_hash(project / f)
        for f in [
            "params.yaml",
            "MODEL_CARD.md",
            "reports/evaluate.html",
            *(f"metrics/{n}.json" for n in results if n != "timings"),
        ]
    }
    expect("artifacts, byte for byte", found["files"] == wanted, len(wanted))
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=project, capture_output=True, text=True
    ).stdout.strip()
    expect(
        "tags",
        found["tags"]["git.commit"] == head
        and found["tags"]["git.dirty"] == "yes"
        and found["status"] == "FINISHED",
        {k: found["tags"][k][:12] for k in ("git.commit", "git.dirty", "gate", "model")},
    )


def prove_server(project: Path, tools: Path, work: Path, address: str, port: int) -> None:
    "A run, again, another, killed, a grid."
    with mlflow_server(tools, work, port):
        set_params(project, {"index.mlflow": address})
        expect("said", len(lines(update(project))) == 1)
        (found,) = look(tools, address, project)
        compare(found, project)
        update(project)
        expect("again, said", "there already" in lines(stage_index(project))[0])
        expect("still one run", len(look(tools, address, project)) == 1)
        set_params(project, {"train.rounds": 10})
        expect("another parameter, said", lines(update(project))[0].endswith(", new"))
        expect("runs", len(look(tools, address, project)) == 2, 2)
        set_params(project, {"train.rounds": 11, "index.mlflow": ""})
        update(project)
        set_params(project, {"index.mlflow": address})
        kill_half_way(project, work)
        seen = [r["status"] for r in look(tools, address, project)]
        expect(
            "kill -9 while a run is being sent",
            sorted(seen) == ["FINISHED", "FINISHED", "RUNNING"],
            seen,
        )
        stage_index(project)
        after = look(tools, address, project)
        expect(
            "the next time it is made again, once",
            len(after) == 3 and {r["status"] for r in after} == {"FINISHED"},
            [r["status"] for r in after],
        )
        compare(next(r for r in after if r["params"]["train.rounds"] == "11"), project)
        prove_grid(project, tools, address, 3)


def kill_half_way(project: Path, work: Path) -> None:
    "Kill the last stage as soon as the server knows of an unfinished run."
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "mlops-nb"), "stage", "index"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with sqlite3.connect(f"file:{work}/server.db?mode=ro", uri=True) as base:
        while (
            process.poll() is None
            and not base.execute("select 1 from runs where status = 'RUNNING'").fetchone()
        ):
            time.sleep(0.002)
    expect("killed", process.poll() is None)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def prove_grid(project: Path, tools: Path, address: str, before: int) -> None:
    "Two experiments side by side."
    done = run(["mlops-nb", "grid", "-S", "train.rounds=6,7"], project, PYTHONPATH=str(project))
    expect("grid", done.returncode == 0, done.stdout.splitlines()[-1])
    found = look(tools, address, project)
    trials = [
        r
        for r in found
        if r["tags"].get("experiment", "").startswith("grid-")
        and r["name"] == r["tags"]["experiment"]
        and r["status"] == "FINISHED"
    ]
    expect(
        "both experiments are there under their names",
        len(trials) == 2
        and len(found) == before + 2
        and {r["params"]["train.rounds"] for r in trials} == {"6", "7"},
        [r["name"] for r in trials],
    )


def prove_away(project: Path, tools: Path, work: Path, address: str, port: int) -> None:
    "Servers that are away, hang, refuse; the same reports with and without."
    set_params(project, {"train.rounds": 12})
    said = lines(update(project))
    expect(
        "server away",
        len(said) == 1
        and said[0].startswith(f"not mirrored to {address}: ")
        and "Connection refused" in said[0]
        and "`mlops-nb stage index` tries again" in said[0],
        said,
    )
    without = content_hash(project / "reports")
    done = run(["mlops-nb", "grid", "-S", "train.rounds=8,9"], project, PYTHONPATH=str(project))
    expect("a grid meanwhile", done.returncode == 0, done.stdout.splitlines()[-1])
    for what, server in (
        ("hangs", hanging_server(port)),
        ("answers 503", broken_server(port, 503)),
        ("answers 401", broken_server(port, 401)),
        ("answers nonsense", broken_server(port, 200)),
    ):
        with server:
            started = time.monotonic()
            result = stage_index(project)
            seconds = time.monotonic() - started
        expect(
            f"server {what}",
            result.returncode == 0 and len(lines(result)) == 1 and seconds < 20,
            f"{seconds:.1f} s, {lines(result)}",
        )
        expect("reports unchanged", content_hash(project / "reports") == without)
    with mlflow_server(tools, work, port):
        result = stage_index(project)
        expect(
            "server back",
            lines(result)
            == [
                line
                for line in lines(result)
                if "mirrored to" in line and not line.startswith("not")
            ],
            lines(result),
        )
        found = look(tools, address, project)
        expect(
            "what had waited is there, the grid's too",
            len(found) == 8 and {"8", "9", "12"} <= {r["params"]["train.rounds"] for r in found},
            len(found),
        )
        compare(next(r for r in found if r["params"]["train.rounds"] == "12"), project)
    expect(
        "reports with the mirror working are the same bytes",
        content_hash(project / "reports") == without,
    )
    expect("nothing waits any more", not list((project / ".dvc/tmp/mirror").glob("*/*/run.json")))


def prove_file(project: Path, tools: Path) -> None:
    "A SQLite file in the project; two experiments make it at once."
    set_params(project, {"index.mlflow": "sqlite:///mlflow.db"})
    address = f"sqlite:///{project}/mlflow.db"
    prove_grid(project, tools, address, 0)
    expect("said", "sqlite:///mlflow.db" in lines(update(project))[0])
    found = look(tools, address, project)
    expect("runs in the file", len(found) == 3, len(found))
    compare(next(r for r in found if r["params"]["train.rounds"] == "12"), project)
    with sqlite3.connect(project / "mlflow.db") as base:
        expect(
            "none was made twice and deleted",
            base.execute("select count(*) from runs").fetchone()[0] == 3,
        )
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=project, capture_output=True, text=True
    ).stdout
    left = [p.name for p in project.rglob("*") if p.name == "mlruns"] + [
        line for line in status.splitlines() if "mlflow" in line
    ]
    expect("git sees nothing of it, and there is no mlruns", not left, left)


def prove_refusals(project: Path) -> None:
    "Addresses that cannot be used; a project without MLflow; the switch off."
    for address, words in (
        ("https://me:hush@host", "MLFLOW_TRACKING_PASSWORD"),
        ("postgresql://host/runs", "allowed are sqlite:///mlflow.db"),
        ("sqlite:///runs.db", ".gitignore"),
    ):
        set_params(project, {"index.mlflow": address})
        result = stage_index(project)
        expect(
            f"{address} is refused",
            result.returncode == 1
            and words in result.stderr
            and len(result.stderr.strip().splitlines()) == 1,
            result.stderr.strip(),
        )
    told = [
        str(p)
        for p in (project / "reports").rglob("*")
        if p.is_file() and b"hush" in p.read_bytes()
    ]
    expect("no report holds the password", not told, told)
    set_params(project, {"index.mlflow": "sqlite:///mlflow.db"})
    blind = (
        "import sys; sys.modules['mlflow'] = None; from mlops_kit.notebooks.runner import stage_command; "
        "sys.exit(stage_command('index'))"
    )
    result = run(["python", "-c", blind], project, PYTHONPATH=str(project))
    expect(
        "without MLflow",
        result.returncode == 1
        and "`make extra WITH=mlflow`" in result.stderr
        and len(result.stderr.strip().splitlines()) == 1,
        result.stderr.strip(),
    )
    set_params(project, {"index.mlflow": ""})
    off = (
        "import sys; from mlops_kit.notebooks.runner import stage_command; code = stage_command('index'); "
        "sys.exit(code or 'mlflow' in sys.modules)"
    )
    expect(
        "switched off, MLflow is not imported",
        run(["python", "-c", off], project, PYTHONPATH=str(project)).returncode == 0,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--mlflow",
        type=Path,
        help="folder with the commands `mlflow` and `python` of an installed MLflow",
    )
    chosen = parser.parse_args()
    work, port = Path(tempfile.mkdtemp(prefix="mlops_nb-mirror-")).resolve(), free_port()
    address, project, seen = (
        f"http://127.0.0.1:{port}",
        work / "ein Projekt · ünï",
        Path(sysconfig.get_path("purelib")) / "mlops_nb_proof_of_mirror.pth",
    )
    try:
        tools = chosen.mlflow.resolve() if chosen.mlflow else install(work)
        if importlib.util.find_spec("mlflow") is None:
            subprocess.run(
                [
                    str(Path(sys.executable).parent / "uv"),
                    "pip",
                    "install",
                    "--quiet",
                    "--target",
                    str(work / "extra"),
                    "--constraint",
                    str(ROOT / "requirements.txt"),
                    "mlflow-skinny>=3.17,<4",
                ],
                check=True,
            )
            # behind the lock's own versions, and in a grid's clones as well, which drop PYTHONPATH
            seen.write_text(f"{work / 'extra'}\n")
        print("a project, the switch off", flush=True)
        make_project(project)
        for what, prove in (
            ("server", lambda: prove_server(project, tools, work, address, port)),
            ("away", lambda: prove_away(project, tools, work, address, port)),
            ("file", lambda: prove_file(project, tools)),
            ("refusals", lambda: prove_refusals(project)),
        ):
            print(what, flush=True)
            prove()
        print("mirror: all proven")
    finally:
        seen.unlink(missing_ok=True)
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
