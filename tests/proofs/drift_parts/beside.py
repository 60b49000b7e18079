"The same windows and changes, judged here and by Evidently, NannyML and whylogs."

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from drift_parts.changes import CHANGES, change_columns
from drift_parts.power import Hits, grid, note, percent, pool, tally
from drift_parts.windows import (
    DATASETS,
    LENGTHS,
    Placed,
    fails,
    judge,
    reference_of,
    starts,
    windows_after,
)

PACKAGES = ("evidently==0.7.23", "nannyml==0.13.1", "whylogs[viz]==1.6.4", "pandas<3", "pyarrow")
DAYS = 90  # of the reference
STARTS = 2
MOST_SECONDS = 640  # then the cases that are left are left out
HERE = "mlops_nb"


@dataclass
class Case:
    "A window and its changed versions."

    name: str  # of the data set
    length: str
    touched: dict[str, list[str]]  # by change: columns that it changed
    here: dict[str, list[str]]  # by version: columns that alarm here


def install_beside(folder: Path) -> Path:
    "Make an environment with the other tools; give its interpreter."
    python, uv = folder / "beside/bin/python", Path(sys.executable).parent / "uv"
    subprocess.run(
        [uv, "venv", "--quiet", "--python", sys.executable, folder / "beside"], check=True
    )
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *PACKAGES], check=True)
    return python


def write_case(folder: Path, name: str, placed: Placed) -> Case:
    "Write a window, its changes and its reference, and judge them here."
    dataset, reference = DATASETS[name], reference_of(name, DAYS, placed.start)
    first = dataset.day[0] + placed.start
    past, day = dataset.rows(dataset.between(first, first + DAYS))
    since = lambda days: (days.to_numpy().astype("datetime64[D]") - first).astype("int64")
    versions, touched = {"unchanged": placed.table}, {}
    for change, kind in CHANGES.items():
        table, columns = change_columns(placed.table, dataset.kinds, kind, placed.start)
        if columns:
            versions[change], touched[change] = table, columns
    here = {}
    for version, table in versions.items():
        checks, _ = judge(reference, table, placed.day)
        here[version] = sorted({c.column for c in fails(checks)})
    folder.mkdir(parents=True)
    past.assign(**{"(day)": since(day)}).to_parquet(folder / "reference.parquet")
    parts = [t.assign(**{"(version)": v, "(day)": since(placed.day)}) for v, t in versions.items()]
    pd.concat(parts, ignore_index=True).to_parquet(folder / "windows.parquet")
    days = int(np.ptp(since(placed.day))) + 1
    case = {"kinds": dataset.kinds, "days": DAYS, "length": days}
    (folder / "case.json").write_text(json.dumps(case), encoding="utf-8")
    return Case(name, placed.length, touched, here)


def write_cases(folder: Path) -> dict[str, Case]:
    "Write all cases, so named that those of one data set do not come one after another."
    cases = {}
    for name, dataset in DATASETS.items():
        for start in starts(dataset, DAYS, STARTS):
            for placed in windows_after(name, DAYS, start, (0,)):
                own = f"{start:04}-{placed.length}-{name}"
                cases[own] = write_case(folder / own, name, placed)
    return cases


def add_case(found: Hits, tool: str, case: Case, alarms: dict[str, list[str]]) -> None:
    "Count whether an unchanged window alarms, and in which changed columns a change is seen."
    key = (tool, case.name, case.length)
    note(found, (*key, "false alarms"), bool(alarms["unchanged"]))
    for change, columns in case.touched.items():
        seen = set(alarms[change]) & set(columns)
        note(found, (*key, change), len(seen), len(columns))


def ask_tools(python: Path, folder: Path) -> list[dict]:
    "Judge the cases by the other tools, as many as there is time for."
    program, ends, judged = (
        Path(__file__).with_name("tools.py"),
        time.monotonic() + MOST_SECONDS,
        [],
    )
    command = [python, program, folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder.parent) as process:
        for line in process.stdout:
            if line.startswith('{"case"'):
                judged.append(json.loads(line))
                print(f"  {len(judged)} cases beside", file=sys.stderr, flush=True)
            if time.monotonic() > ends:
                process.kill()
                break
    return judged


def run(folder: Path, python: Path | None) -> list[tuple]:
    "Judge the same windows by all tools; print a table, and give what was found."
    try:
        python = python or install_beside(folder)
    except subprocess.CalledProcessError as error:
        print(f"BESIDE: {' '.join(PACKAGES)} cannot be installed here: {error}\n")
        return []
    cases, found, errors, seconds = write_cases(folder / "cases"), tally(), {}, {}
    judged = ask_tools(python, folder / "cases")
    for each in judged:
        case = cases[each["case"]]
        add_case(found, HERE, case, case.here)
        for tool, result in each["tools"].items():
            seconds[tool] = seconds.get(tool, 0.0) + result["seconds"]
            if "error" in result:
                errors.setdefault(tool, []).append(result["error"])
            else:
                add_case(found, tool, case, result["alarms"])
    print(f"BESIDE: {len(judged)} of {len(cases)} windows judged in {MOST_SECONDS} s at most")
    print(show(found, errors, seconds), flush=True)
    return records(found)


def show(found: Hits, errors: dict[str, list[str]], seconds: dict[str, float]) -> str:
    "Lay out false alarms and power of each tool."
    parts = []
    for length in LENGTHS:
        rows = []
        for tool in dict.fromkeys(k[0] for k in found):
            pick = lambda what: pool(found, lambda k: (k[0], k[2], k[3]) == (tool, length, what))
            hits, count = pick("false alarms")
            rows.append([tool, f"{hits}/{count}", *(percent(pick(c)) for c in CHANGES)])
        title = f"BESIDE: a {length} after {DAYS} days; windows with a false alarm; changed columns seen"
        parts.append(grid(title, ["false", *CHANGES], rows, 12))
    parts += [f"{tool}: {s:.0f} s of processor time" for tool, s in seconds.items()]
    parts += [f"{tool} raised in {len(e)} cases, such as {e[0]}" for tool, e in errors.items()]
    return "\n".join([*parts, ""])


def records(found: Hits) -> list[tuple]:
    "List what was found, as `power.records` does."
    rows = tally()
    for (tool, _, length, what), pair in found.items():
        name, change = ("alarms", "") if what == "false alarms" else ("power", what)
        note(rows, (name, f"{tool}, beside", "all", DAYS, length, change), *pair)
    return [(*key, *pair) for key, pair in rows.items()]
