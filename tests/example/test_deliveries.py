"What may be wrong with a week's delivery of flights is named, and a week in which nothing is wrong is quiet."

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT

from mlops_kit.core.contract import load_contract
from mlops_kit.data.example import load_example
from mlops_kit.data.features import feature_kinds, make_features
from mlops_kit.monitoring.checks import Check
from mlops_kit.monitoring.counting import count_window
from mlops_kit.monitoring.deliveries import check_rows
from mlops_kit.monitoring.null_distribution import fit_null_distribution
from mlops_kit.monitoring.reference import Reference, make_reference
from mlops_kit.monitoring.training_reference import sketch_rows
from mlops_kit.monitoring.verdict import compare_window

SPAN = (pd.Timestamp("2013-07-08"), pd.Timestamp("2013-07-14"))
PLAIN = ["carrier", "origin", "dest", "distance", "minute_of_day", "seats", "plane_age", "temp"]
Rows = tuple[pd.DataFrame, pd.Series]  # features, and the day of each row


@pytest.fixture(scope="module")
def flights() -> Rows:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["features"]
    contract, rows = load_contract(ROOT / "contract.yaml"), load_example()
    kinds = feature_kinds(contract, params["derived"], params["dropped"], params["calendar"])
    inside = rows["scheduled"].between("2013-04-01", "2013-07-15")
    rows = rows[inside].sort_values("scheduled", kind="stable").reset_index(drop=True)
    table = make_features(rows, contract, kinds)[PLAIN]
    return table, rows["scheduled"].dt.floor("D")


@pytest.fixture(scope="module")
def reference(flights: Rows) -> Reference:
    table, days = (part[flights[1] < SPAN[0]] for part in flights)
    kinds = {c: "number" if pd.api.types.is_numeric_dtype(table[c]) else "category" for c in table}
    return make_reference(table, kinds, days, {"rows": sketch_rows(table, "", days)})


@pytest.fixture
def week(flights: Rows) -> Rows:
    inside = flights[1].between(*SPAN)
    return flights[0][inside].reset_index(drop=True), flights[1][inside].reset_index(drop=True)


def alarms(reference: Reference, table: pd.DataFrame, days: pd.Series) -> dict[str, Check]:
    "Name the alarms of a week by what was found, and where."
    window = count_window(table, reference, days)
    null = fit_null_distribution(reference, window.days, 0.007, known=window.known)
    found = compare_window(window, reference, null)
    found += check_rows(table, days, SPAN, "", reference, 0.001)
    return {f"{c.column} {c.what}": c for c in found if c.alarm and c.tier == "fail"}


def taken(rows: Rows, places: np.ndarray) -> Rows:
    return tuple(part.iloc[places].reset_index(drop=True) for part in rows)


def misjoined(rows: Rows, column: str) -> Rows:
    shuffled = np.random.default_rng(0).permutation(rows[0][column].to_numpy())
    return rows[0].assign(**{column: shuffled}), rows[1]


def without(rows: Rows, *dates: str) -> Rows:
    return taken(rows, np.flatnonzero(~rows[1].isin(pd.to_datetime(dates))))


FAULTS: dict[str, tuple[Callable[[Rows], Rows], str]] = {
    "half of the rows": (
        lambda r: taken(r, np.flatnonzero(np.random.default_rng(0).random(len(r[0])) < 0.5)),
        "(rows) volume",
    ),
    "every row twice": (lambda r: taken(r, np.repeat(np.arange(len(r[0])), 2)), "(rows) copies"),
    "a day twice": (
        lambda r: taken(r, np.r_[np.arange(len(r[0])), np.flatnonzero(r[1] == SPAN[0])]),
        "(rows) copies",
    ),
    "two days missing": (lambda r: without(r, "2013-07-10", "2013-07-11"), "(rows) gaps"),
    "the distances of other rows": (lambda r: misjoined(r, "distance"), "dest relation"),
    "kilometres": (
        lambda r: (r[0].assign(distance=r[0]["distance"] * 1.609344), r[1]),
        "distance unit",
    ),
    "one destination": (lambda r: (r[0].assign(dest="ATL"), r[1]), "dest stuck"),
    "a tenth moved": (
        lambda r: (r[0].assign(origin=r[0]["origin"].where(r[0].index % 10 > 0, "JFK")), r[1]),
        "origin share",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named(reference: Reference, week: Rows, name: str) -> None:
    fault, expected = FAULTS[name]
    found = alarms(reference, *fault(week))
    pair = {expected, expected.replace("dest relation", "dest relation")}
    assert pair & set(found), {key: check.words for key, check in found.items()}


def test_an_ordinary_week_is_quiet(reference: Reference, week: Rows) -> None:
    assert alarms(reference, *week) == {}


def test_last_weeks_file_under_new_dates(reference: Reference, flights: Rows) -> None:
    inside = flights[1].between(SPAN[0] - pd.Timedelta(days=7), SPAN[0] - pd.Timedelta(days=1))
    table, days = (part[inside].reset_index(drop=True) for part in flights)
    assert "(rows) repeated" in alarms(reference, table, days + pd.Timedelta(days=7))


def test_a_small_certain_change_is_noticed(reference: Reference, week: Rows) -> None:
    table, days = week
    moved = table.assign(origin=table["origin"].where(table.index % 12 > 0, "JFK"))
    window = count_window(moved, reference, days)
    null = fit_null_distribution(reference, window.days, 0.007)
    found = compare_window(window, reference, null)
    (share,) = [c for c in found if (c.column, c.what) == ("origin", "share")]
    assert share.alarm and share.effect < null.limits.alarm_share and share.tier == "warn", share
