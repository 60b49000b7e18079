"Times, numbers, missing values and codes in the clothes of other programs: read right, or said; never a number or a category in silence."

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_kit.core.files import UserError
from mlops_kit.scaffold.contract_draft import draft_contract, profile_source

ROWS = 600
AT = pd.date_range("2019-01-01", periods=ROWS, freq="91h")
DAYS = AT.floor("D")
RNG = np.random.default_rng(5)
PRICE = RNG.normal(50, 12, ROWS).clip(5).round(2)


def draft(
    folder: Path, values: Any, name: str = "x", **others: Any
) -> tuple[dict[str, Any], pd.Series, str]:
    "Draft the contract of a file with one column of interest: its entry, its values, all sentences."
    table = pd.DataFrame({name: list(values), **others, "z": RNG.normal(size=ROWS).round(3)})
    table["y"] = (table["z"] + RNG.normal(size=ROWS) / 9).round(3)
    table.to_csv(folder / "t.csv", index=False)
    contract, typed, said = draft_contract(
        profile_source(str(folder / "t.csv"), folder), "y", None, "auto", None, "p", ()
    )
    rules = contract["columns"][name]
    return rules, typed[name], " ".join([*said, rules["evidence"]])


SECONDS = AT.astype("int64") // 10**6
TIMES = {
    "year and day": (AT.strftime("%Y%j"), DAYS),
    "two digits": (AT.strftime("%y%m%d"), DAYS),
    "to the hour": (AT.strftime("%Y%m%d%H"), AT.floor("h")),
    "ticks": ((SECONDS + 62135596800) * 10**7, AT),
    "filetime": ((SECONDS + 11644473600) * 10**7, AT),
    "matlab": (SECONDS / 86400 + 719529, AT),
    "julian": (SECONDS / 86400 + 2440587.5, AT),
    "century first": (AT.strftime("1%y%j"), DAYS),
    "colon": (AT.strftime("%Y-%m-%d %H:%M:%S:000"), AT),
    "russian": ([f"{t.day} {'янв фев мар апр мая июн июл авг сен окт ноя дек'.split()[t.month - 1]} {t.year} г." for t in AT], DAYS),
}  # fmt: skip


@pytest.mark.parametrize("kind", TIMES)
def test_counted_and_written_times_are_read(kind: str, tmp_path: Path) -> None:
    "A time as another program counts it is the same time."
    values, true = TIMES[kind]
    rules, typed, _ = draft(tmp_path, values, "when")
    assert rules["type"] == "datetime", rules
    assert (typed - pd.Series(true)).abs().max() < pd.Timedelta("1s")


REFUSED = {
    "Buddhist": [f"{t.day}/{t.month}/{t.year + 543}" for t in AT],
    "Persian": [f"{1400 + i // 360}/{i // 30 % 12 + 1:02d}/{i % 30 + 1:02d}" for i in range(ROWS)],
    "Taiwan": [f"{t.year - 1911}{t:%m%d}" for t in AT],
    "by its name": SECONDS * 10,
    "last zero": [f"{t.year}.{t.month:02d}".rstrip("0") for t in AT],
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_time_that_cannot_be_read_is_refused(what: str, tmp_path: Path) -> None:
    "Another calendar, or a count of nothing known, is no time and no number."
    with pytest.raises(UserError, match=rf"'when' looks like .*{what}.*--time none"):
        draft(tmp_path, REFUSED[what], "when")


NUMBERS = {
    "millions": ([f"{v / 9:.2f} Mio. €".replace(".", ",", 1) for v in PRICE], (PRICE / 9).round(2) * 1e6),
    "formula": ([f'="{v:.2f}"' for v in PRICE], PRICE),
    "apostrophe": ([f"'{v:.2f}" for v in PRICE], PRICE),
    "footnotes": ([f"{v:.2f}" + "*" * (i % 9 == 0) for i, v in enumerate(PRICE)], PRICE),
    "signs behind": ([f"{v:.2f}+" if i % 2 else f"{v:.2f}-" for i, v in enumerate(PRICE)], PRICE * ([-1, 1] * (ROWS // 2))),
    "refused": (["refused" if i % 5 == 0 else f"{v:.2f}" for i, v in enumerate(PRICE)], [np.nan if i % 5 == 0 else v for i, v in enumerate(PRICE)]),
}  # fmt: skip


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_with_something_around_them_are_read(kind: str, tmp_path: Path) -> None:
    "What stands around a number does not make it a category."
    rules, typed, _ = draft(tmp_path, NUMBERS[kind][0])
    assert rules["type"] == "number", rules
    assert np.allclose(typed, NUMBERS[kind][1], equal_nan=True)


SAID = {
    "durations": pd.to_timedelta((PRICE * 3000).round(), unit="s").astype("str"),
    "degrees": [f"{v // 1:.0f}°{v % 1 * 60:.0f}'N" for v in PRICE],
    "a sign for the decimal point": [f"{v:.2f}".replace(".", "€") for v in PRICE],
}


@pytest.mark.parametrize("what", SAID)
def test_numbers_that_cannot_be_read_are_no_feature(what: str, tmp_path: Path) -> None:
    "Numbers in a notation of their own are named and left out."
    rules, _, said = draft(tmp_path, SAID[what])
    assert rules["role"] == "unparsed" and not rules["known"] and what in said


COUNT = np.arange(ROWS)
COMPOSED = {
    "pounds": [f"£{v:.0f} {i % 20}s {i % 12}d" for i, v in enumerate(PRICE)],
    "weights": [f"{v:.0f} lb {i % 16} oz" for i, v in enumerate(PRICE)],
    "coordinates": [f"{v:.0f}°{i % 60}'N {i % 90}°{i % 47}'E" for i, v in enumerate(PRICE)],
    "points": [f"{v}, {w}" for v, w in zip(PRICE, PRICE[::-1])],
    "parts of a whole": [f"{i % 97} of {i % 97 + i % 7}" for i in COUNT],
    "addresses": [f"10.{i % 200}.{i % 7}.{i % 251}" for i in COUNT],
    "versions": [f"{i % 3}.{i % 11}.{i}" for i in COUNT],
    "codes": [f"{'ABCDEFGHJKLM'[i % 12]}{i % 31}-{'XYZ'[i % 3]}{i % 7}-{i}" for i in COUNT],
}


@pytest.mark.parametrize("kind", COMPOSED)
def test_several_numbers_in_one_value_are_no_feature(kind: str, tmp_path: Path) -> None:
    "A composed value is said with its count, left out, and the next step named."
    rules, _, said = draft(tmp_path, COMPOSED[kind])
    assert rules["role"] == "unparsed" and not rules["known"]
    assert "in 600 of 600 values" in said and "write the parts that matter into columns" in said


def test_sizes_bands_and_few_versions_stay_categories(tmp_path: Path) -> None:
    "A composed value that comes back is an honest category."
    for few in (["S/M", "L/XL"], ["20-29", "30-39", "40-49"], ["1.2.3", "1.2.4", "2.0.0"]):
        rules, typed, _ = draft(tmp_path, RNG.choice(few, ROWS))
        assert rules["type"] == "category" and rules["known"] and set(typed) == set(few)
    subnets = [f"10.0.{i % 8}.{i % 5}" for i in COUNT]
    rules, _, said = draft(tmp_path, subnets)
    assert rules["known"] and "40 different), taken as a category" in said


CODES = {
    "powers": ["10E1", "1E2", "22E3", "1E10"],
    "versions": ["1.1", "1.9", "1.10", "1.2"],
    "dialling": ["+39", "+47", "+51", "+1"],
    "names": ["Nan", "Null", "Anna", "Eve"],
}


@pytest.mark.parametrize("kind", CODES)
def test_codes_are_told_by_how_they_are_written(kind: str, tmp_path: Path) -> None:
    "Two codes that are one number, or a word for missing, stay themselves."
    _, typed, _ = draft(tmp_path, RNG.choice(CODES[kind], ROWS))
    assert set(typed.dropna()) == set(CODES[kind]) and typed.notna().all()


@pytest.mark.parametrize(
    "places", [["IT", "NO", "PE"], ["EMEA", "APAC", "LATAM"], ["RM", "MI", "TO"]]
)
def test_na_among_places_is_a_place(places: list[str], tmp_path: Path) -> None:
    "Namibia, North America and Naples are no missing values, though NA is one among the prices."
    missing = np.where(np.arange(ROWS) % 9 == 0, "NA", PRICE.astype("str"))
    _, typed, said = draft(tmp_path, RNG.choice([*places, "NA"], ROWS), "country", price=missing)
    assert (typed == "NA").any() and "kept as a value" in said
    _, typed, _ = draft(tmp_path, RNG.choice(["low", "Rec", "NA"], ROWS), "alley", price=missing)
    assert typed.isna().any() and not (typed == "NA").any()


def test_a_number_beyond_a_scale_is_said(tmp_path: Path) -> None:
    "A 9 beside answers from 1 to 5 may mean no answer; 99 beside 0 and 1 does."
    scale = np.where(np.arange(ROWS) % 9 == 0, 9, RNG.integers(1, 6, ROWS))
    assert "may mean missing (all others are 1 to 5)" in draft(tmp_path, scale)[2]
    flag = np.where(np.arange(ROWS) % 9 == 0, 99, RNG.integers(0, 2, ROWS))
    assert draft(tmp_path, flag)[0]["missing"] == ["99"]
