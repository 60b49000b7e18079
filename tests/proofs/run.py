"""Run the proofs one after another, say how each ended, and note in last_run.csv when, on which commit and how long.

    python tests/proofs/run.py                 every proof
    python tests/proofs/run.py bytes kill      some of them

The pipeline is brought up to date first; all proofs are run, even after one that failed. What a proof prints goes to the terminal and to `tests/proofs/logs/NAME.log`.
"""

import csv
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RECORD = HERE / "last_run.csv"
FIELDS = ["proof", "day", "commit", "seconds", "result"]
SHARED = ("run", "servers")  # what is no proof


def proofs() -> list[str]:
    "Name the proofs."
    return sorted(p.stem for p in HERE.glob("*.py") if p.stem not in SHARED)


def current_commit() -> str:
    "Name the commit that is checked out, with a mark where files differ from it."
    git = lambda *words: subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    changed = git("status", "--porcelain", "--", ".", f":!{RECORD.relative_to(ROOT)}")
    return git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")


def run_proof(name: str) -> dict[str, str]:
    "Run one proof, show and keep what it prints, and describe how it ended."
    (HERE / "logs").mkdir(exist_ok=True)
    began, commit = time.monotonic(), current_commit()
    command = [sys.executable, "-u", f"tests/proofs/{name}.py"]
    with open(HERE / f"logs/{name}.log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for line in process.stdout:
            print(line, end="", flush=True)
            log.write(line)
    result = "holds" if process.wait() == 0 else f"FAILED (exit {process.returncode})"
    seconds = f"{time.monotonic() - began:.0f}"
    day = datetime.now(UTC).date().isoformat()
    return dict(zip(FIELDS, (name, day, commit, seconds, result), strict=True))


def load_record() -> dict[str, dict[str, str]]:
    "Read how each proof ended last."
    if not RECORD.exists():
        return {}
    with open(RECORD, encoding="utf-8", newline="") as file:
        return {row["proof"]: row for row in csv.DictReader(file)}


def save_record(rows: dict[str, dict[str, str]]) -> None:
    "Write how each proof ended last; proofs that are gone go with it."
    with open(RECORD, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in proofs() if name in rows)


def main() -> int:
    "Run the named proofs, or all."
    names = sys.argv[1:] or proofs()
    if unknown := [name for name in names if name not in proofs()]:
        print(f"no such proof: {', '.join(unknown)}; there are {', '.join(proofs())}")
        return 2
    subprocess.run([Path(sys.executable).parent / "mlops-nb", "repro"], cwd=ROOT, check=True)
    ended = []
    for number, name in enumerate(names, 1):
        print(f"== {name} ({number} of {len(names)})", flush=True)
        ended.append(run_proof(name))
        save_record(load_record() | {name: ended[-1]})
    print()
    for row in ended:
        print(f"{row['proof']:12}{row['seconds']:>6} s  {row['result']}")
    print(f"\nnoted in {RECORD.relative_to(ROOT)}; what they printed: tests/proofs/logs/")
    return int(any(row["result"] != "holds" for row in ended))


if __name__ == "__main__":
    sys.exit(main())
