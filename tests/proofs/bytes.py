"""Prove that the pipeline gives the same bytes whatever the folder, threads, hash seed, time zone, locale, umask and processor.

python tests/proofs/bytes.py            the real data, also compared with what is committed
python tests/proofs/bytes.py --quick    a small sample of it
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv/bin/python"
LIMIT = 1200  # seconds that one run may take
SAMPLE = {"ingest": {"max_rows": 10000}, "evaluate": {"min_slice_rows": 60}}
VARIED = re.compile(
    r"(OMP|OPENBLAS|MKL|BLIS|NPY|ARROW|LC|MLOPS_NB|DVC)_|(TZ|LANG|LANGUAGE|IN_TEST|PYTHON\w+|GLIBC_TUNABLES)$"
)
FEATURES = (
    "from numpy._core import _multiarray_umath as m; import json; print(json.dumps([n for n in "
    "m.__cpu_dispatch__ if m.__cpu_features__[n]]))"
)
PROBE = """
import json, sys, time, pathlib, mlops_nb, threadpoolctl, sklearn
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads as threads
from numpy._core import _multiarray_umath as m
clock = time.localtime(1375272000).tm_gmtoff / 3600
simd = [n for n in m.__cpu_dispatch__ if m.__cpu_features__[n]]
blas = {p.get("architecture") for p in threadpoolctl.threadpool_info()} - {None}
print(json.dumps([str(pathlib.Path(mlops_nb.__file__).parent.parent), f"{threads()} threads, UTC{clock:+g} h, SIMD {' '.join(simd) or 'baseline'}, BLAS {' '.join(sorted(blas))}"]))
"""


class Variant(NamedTuple):
    "One way to run the pipeline: the clone's folder, what is set, the umask."

    folder: str
    env: dict[str, str]
    umask: int


def other_locale() -> str:
    "Name a UTF-8 locale of this machine, German if there is one."
    known = subprocess.run(["locale", "-a"], capture_output=True, text=True).stdout.split()
    return next(
        (name for name in ("de_DE.utf8", "de_DE.UTF-8", "C.utf8", "C.UTF-8") if name in known), "C"
    )


def older_processor() -> dict[str, str]:
    "Settings that make NumPy, Arrow, OpenBLAS and the C library compute as on an older processor."
    names = json.loads(
        subprocess.run(
            [PYTHON, "-c", FEATURES], env=clean_env(), capture_output=True, text=True, check=True
        ).stdout
    )
    settings = {"NPY_DISABLE_CPU_FEATURES": " ".join(names)} if names else {}
    if os.uname().machine == "x86_64":
        settings |= {
            "ARROW_USER_SIMD_LEVEL": "NONE",
            "OPENBLAS_CORETYPE": "Nehalem",
            "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX512F,-FMA,-FMA4",
        }
    return settings


def variants() -> list[Variant]:
    "List the runs; together they cover every setting."
    old = older_processor()
    numpy_only = {k: v for k, v in old.items() if k.startswith("NPY")}
    return [
        Variant("plain", {}, 0o022),
        Variant(
            "one thread, naïve Ω",
            {
                "OMP_NUM_THREADS": "1",
                "PYTHONHASHSEED": "0",
                "TZ": "Pacific/Auckland",
                "LC_ALL": "C",
            },
            0o022,
        ),
        Variant(
            "two-threads",
            {
                "OMP_NUM_THREADS": "2",
                "PYTHONHASHSEED": "1",
                "TZ": "America/St_Johns",
                "LC_ALL": other_locale(),
            },
            0o077,
        ),
        Variant("numpy.without.simd", numpy_only | {"PYTHONHASHSEED": "4242"}, 0o077),
        Variant(
            "older processor",
            old | {"OMP_NUM_THREADS": "5", "PYTHONHASHSEED": "4242", "TZ": "Asia/Kathmandu"},
            0o002,
        ),
    ]


def clean_env() -> dict[str, str]:
    "This shell's environment without anything the variants set."
    return {k: v for k, v in os.environ.items() if not VARIED.match(k)}


def run(command: list[str | Path], folder: Path, env: dict[str, str], umask: int, log: Path) -> int:
    "Run a command in a session of its own and give its exit code; end it after LIMIT seconds."
    with log.open("wb") as stream:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            umask=umask,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return child.wait(LIMIT)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


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


def make_clone(folder: Path, umask: int, quick: bool) -> None:
    "Clone HEAD without its results."
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], umask=umask, check=True)
    for path in [
        folder / "dvc.lock",
        folder / "MODEL_CARD.md",
        *(folder / "metrics").glob("*.json"),
    ]:
        path.unlink(missing_ok=True)
    if quick:
        take_sample(folder / "params.yaml")


def private_env(folder: Path) -> dict[str, str]:
    "Make a clone import its own package and keep DVC's state to itself."
    own = {
        "DVC_SITE_CACHE_DIR": "site",
        "DVC_GLOBAL_CONFIG_DIR": "global",
        "DVC_SYSTEM_CONFIG_DIR": "system",
    }
    return (
        clean_env()
        | {"PYTHONPATH": str(folder)}
        | {k: str(folder.parent / "dvc" / v) for k, v in own.items()}
    )


def probe(folder: Path, env: dict[str, str]) -> str:
    "Say what the settings came to; stop when another package than the clone's is imported."
    done = subprocess.run(
        [PYTHON, "-c", PROBE], cwd=folder, env=env, capture_output=True, text=True, check=True
    )
    package, facts = json.loads(done.stdout)
    if Path(package).resolve() != folder.resolve():
        sys.exit(f"bytes: imported mlops_nb from {package}, expected {folder}")
    return facts + (f" (warned: {done.stderr.splitlines()[0]})" if done.stderr else "")


def results(folder: Path) -> dict[str, bytes]:
    "Read what has to be the same: dvc.lock, which names every output by its hash, and the metrics."
    paths = [folder / "dvc.lock", *sorted((folder / "metrics").glob("*.json"))]
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in paths
        if p.exists() and p.name != "timings.json"
    }


def committed() -> dict[str, bytes]:
    "Read the same from HEAD."
    names = subprocess.run(
        ["git", "ls-tree", "-z", "--name-only", "HEAD", "dvc.lock", "metrics/"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    kept = [
        n for n in names if n == "dvc.lock" or n.endswith(".json") and n != "metrics/timings.json"
    ]
    return {
        n: subprocess.run(
            ["git", "show", f"HEAD:{n}"], cwd=ROOT, capture_output=True, check=True
        ).stdout
        for n in kept
    }


def lock_entries(text: bytes) -> dict[str, Any]:
    "List a lock's entries by stage and path, in the order of the run."
    entries = {}
    for stage, held in yaml.safe_load(text)["stages"].items():
        entries |= {
            f"{stage}: {kind} {e['path']}": e
            for kind in ("deps", "outs")
            for e in held.get(kind, [])
        }
        entries |= {f"{stage}: {kind}": held.get(kind) for kind in ("cmd", "params")}
    return entries


def leaves(value: Any, place: str = "") -> dict[str, Any]:
    "List a JSON value's leaves by their place."
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, child in items for k, v in leaves(child, f"{place}/{key}").items()}
    return {place: value}


def shown(value: Any) -> str:
    "Show a value of a lock or of metrics in a few words."
    return value["md5"][:12] if isinstance(value, dict) and "md5" in value else str(value)[:60]


def differences(wanted: dict[str, bytes], found: dict[str, bytes]) -> list[str]:
    "Name each file that differs, and the first place in it."
    told = []
    for name in sorted(wanted.keys() | found.keys()):
        if name not in wanted or name not in found:
            told.append(f"{name}: only in {'the first' if name in wanted else 'the second'}")
        elif wanted[name] != found[name]:
            old, new = (
                (lock_entries(t) if name == "dvc.lock" else leaves(json.loads(t)))
                for t in (wanted[name], found[name])
            )
            places = [k for k in {**old, **new} if old.get(k) != new.get(k)]
            first = (
                f"{places[0]} is {shown(old.get(places[0]))} and {shown(new.get(places[0]))}"
                if places
                else "order or layout only"
            )
            outs = [p.split(": outs ")[1] for p in places if ": outs " in p]
            told.append(
                f"{name}: {first}" + (f"; outputs that differ: {', '.join(outs)}" if outs else "")
            )
    return told


def as_written_by(run: dict[str, bytes], held: dict[str, bytes]) -> dict[str, bytes]:
    """Give what is committed as a run from nothing would write it: only its files (the replay's
    metrics are another command's), and dvc.lock in its order where every entry is the same.
    """
    held = {name: text for name, text in held.items() if name in run}
    if lock_entries(held["dvc.lock"]) == lock_entries(run["dvc.lock"]):
        held["dvc.lock"] = run["dvc.lock"]
    return held


def run_variant(variant: Variant, base: Path, quick: bool) -> tuple[dict[str, bytes], float]:
    "Run the pipeline in a fresh clone; give its results and the seconds it took."
    folder = base / variant.folder / variant.folder
    folder.parent.mkdir()
    make_clone(folder, variant.umask, quick)
    env = private_env(folder) | variant.env
    settings = " ".join(f"{k}={v!r}" if " " in v else f"{k}={v}" for k, v in variant.env.items())
    print(
        f"\n{variant.folder}: {settings or 'nothing set'} umask {variant.umask:03o}\n  "
        f"{probe(folder, env)}",
        flush=True,
    )
    started = time.perf_counter()
    code = run(
        [ROOT / ".venv/bin/mlops-nb", "repro"],
        folder,
        env,
        variant.umask,
        folder.parent / "log.txt",
    )
    seconds = time.perf_counter() - started
    if code:
        sys.exit(
            f"bytes: {variant.folder}: `mlops-nb repro` exited {code}; its log is "
            f"{folder.parent / 'log.txt'}\n"
            + (folder.parent / "log.txt").read_text(errors="replace")[-1500:]
        )
    print(
        f"  {seconds:.1f} s, dvc.lock "
        f"{hashlib.sha256((folder / 'dvc.lock').read_bytes()).hexdigest()[:12]}",
        flush=True,
    )
    return results(folder), seconds


def report(runs: dict[str, tuple[dict[str, bytes], float]], first: str) -> bool:
    "Print the table and every difference from the first run; True when there is none."
    wanted, same = runs[first][0], True
    print(f"\n{'run':<24}{'seconds':>8}  {'dvc.lock':<14}{'files':>5}  result")
    for name, (found, seconds) in runs.items():
        told = differences(wanted, found)
        same = same and not told
        mark = hashlib.sha256(found.get("dvc.lock", b"")).hexdigest()[:12]
        print(
            f"{name:<24}{seconds:>8.1f}  {mark:<14}{len(found):>5}  "
            f"{f'{len(told)} files differ' if told else 'first' if name == first else 'same bytes'}"
        )
        for line in told:
            print(f"    {line}")
    return same


def main() -> int:
    "Run every variant and compare; 1 when a byte differs."
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a small sample instead of all rows")
    parser.add_argument("--keep", action="store_true", help="keep the clones even if all is well")
    chosen = parser.parse_args()
    head = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    base, plan = Path(tempfile.mkdtemp(prefix="mlops_nb-bytes-")), variants()
    print(
        f"bytes: HEAD {head}, {'a sample' if chosen.quick else 'all rows'}; {len(plan)} runs "
        "cover folder name, threads, hash seed, time zone, locale, umask and processor"
    )
    runs = {v.folder: run_variant(v, base, chosen.quick) for v in plan}
    if not chosen.quick:
        runs["(committed)"] = as_written_by(runs[plan[0].folder][0], committed()), 0.0
    same = report(runs, plan[0].folder)
    if same and not chosen.keep:
        shutil.rmtree(base)
    print(
        f"\nbytes: {'the same bytes everywhere' if same else 'NOT the same'}"
        + ("" if same and not chosen.keep else f"; the clones are kept in {base}")
    )
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
