"One time in many writings: the same reading and the same split, or a refusal in one line; never a random split in silence."

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_kit.core.files import UserError
from mlops_kit.scaffold.contract_draft import draft_contract, profile_source
from mlops_kit.scaffold.params_draft import draft_params

ROWS = 600
AT = pd.date_range("2014-01-01", periods=ROWS, freq="151h")
SECONDS = AT.astype("int64") // 10**6
FRENCH = "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.".split()
GERMAN = (
    "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split()
)
EXACT = {
    "iso": AT.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "db2": AT.strftime("%Y-%m-%d-%H.%M.%S.000000"),
    "ctime": [t.ctime() for t in AT],
    "apache": AT.strftime("[%d/%b/%Y:%H:%M:%S +0000]"),
    "rfc 1123": AT.strftime("%a, %d %b %Y %H:%M:%S GMT"),
    "oracle": AT.strftime("%d-%b-%y %I.%M.%S.000000 %p"),
    "javascript": AT.strftime("%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)"),
    "offsets": [t.isoformat() for t in AT.tz_localize("UTC").tz_convert("Europe/Berlin")],
    "german": [f"{t.day}. {GERMAN[t.month - 1]} {t.year}, {t:%H:%M}" for t in AT],
    "french": [f"{t.day} {FRENCH[t.month - 1]} {t.year} {t:%Hh%M}" for t in AT],
    "month first": AT.strftime("%m/%d/%Y %I:%M:%S %p"),
    "seconds": SECONDS.astype("str"),
    "nanoseconds": (SECONDS * 10**9).astype("str"),
    "serials": ((AT - pd.Timestamp("1899-12-30")) / pd.Timedelta(days=1)).astype("str"),
    "serials, comma": [
        f"{v:.7f}".replace(".", ",")
        for v in (AT - pd.Timestamp("1899-12-30")) / pd.Timedelta(days=1)
    ],
    "seconds, comma": [f"{second},0" for second in SECONDS],
    "json": [f"/Date({second * 1000}+0100)/" for second in SECONDS],
    "compact": AT.strftime("%Y%m%dT%H%M%SZ"),
}
COARSE = {
    "quarters": ([f"Q{t.quarter} {t.year}" for t in AT], "Q"),
    "quarters, T": ([f"T{t.quarter} {t.year}" for t in AT], "Q"),
    "quarters, K": ([f"{t.year}K{t.quarter}" for t in AT], "Q"),
    "quarters, word": ([f"{t.quarter}. Quartal {t.year}" for t in AT], "Q"),
    "month, comma": (AT.strftime("%Y,%m"), "M"),
    "weeks": (AT.strftime("%G-W%V"), "W"),
    "firsts, month first": (AT.strftime("%m/01/%Y"), "M"),
    "firsts, day first": (AT.strftime("01/%m/%Y"), "M"),
    "year first": (AT.strftime("%y/%m/%d"), "D"),
    "year": (AT.strftime("%Y"), "Y"),
    "month": (AT.strftime("%Y%m"), "M"),
    "ordinal": (AT.strftime("%Y-%j"), "D"),
}
UNREAD = {
    "no year": AT.strftime("%d %b %H:%M"),
    "roman": [f"{t.day} {'I V X L'.split()[t.quarter - 1]} {t.year}" for t in AT],
    "half": [str(t.date()) if k % 2 else f"~{t:%B} {t.year}, {k}" for k, t in enumerate(AT)],
    "season": [f"{'Winter' if t.month < 7 else 'Summer'} {t.year}" for t in AT],
    "half year": [f"{1 + (t.month > 6)}. Halbjahr {t.year}" for t in AT],
    "grouped": [
        f"{v:_.2f}".replace(".", ",").replace("_", ".")
        for v in (AT - pd.Timestamp("1899-12-30")) / pd.Timedelta(days=1)
    ],
    "era": [f"令和{t.year - 2013}年{t.month}月{t.day}日" for t in AT],
}


def draft(
    folder: Path, written: Any, *options: Any
) -> tuple[dict[str, Any], pd.Series, dict[str, Any], list[str]]:
    "Draft contract and parameters for a file: what `mlops-nb init` does before it writes."
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"when": list(written), "x": rng.normal(size=len(written)).round(3)})
    table["y"] = (table["x"] + np.arange(len(table)) / 90).round(3)
    table.to_csv(folder / "t.csv", index=False)
    profile = profile_source(str(folder / "t.csv"), folder)
    time, forms = options or (None, ())
    contract, typed, said = draft_contract(profile, "y", time, "auto", None, "p", forms)
    params, _, more = draft_params(profile, contract, typed, "t.csv", "p")
    return contract, typed["when"], params, said + more


@pytest.mark.parametrize("name", EXACT)
def test_every_writing_is_the_same_moment(tmp_path: Path, name: str) -> None:
    contract, times, params, _ = draft(tmp_path, EXACT[name])
    assert contract["time"] == "when" and params["data.asof"] == f"{AT[-1]:%Y-%m-%d}"
    assert np.abs((times - AT) / pd.Timedelta(seconds=1)).max() < 0.1


@pytest.mark.parametrize("name", COARSE)
def test_coarse_times_are_the_start_of_their_period(tmp_path: Path, name: str) -> None:
    written, unit = COARSE[name]
    contract, times, params, _ = draft(tmp_path, written)
    start = AT.to_period(unit).start_time
    assert contract["time"] == "when" and (times == start).all()
    assert params["data.asof"] == f"{start[-1]:%Y-%m-%d}"


@pytest.mark.parametrize("name", UNREAD)
def test_what_cannot_be_read_is_asked_for(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="looks like a time.* and .* cannot be read, such as"):
        draft(tmp_path, UNREAD[name])
    contract = draft(tmp_path, UNREAD[name], "none", ())[0]
    rules = contract["columns"]["when"]
    assert (rules["role"], rules["known"], contract["time"]) == ("unread", False, None)


def test_both_readings_are_named_where_two_fit(tmp_path: Path) -> None:
    said = draft(tmp_path, COARSE["firsts, month first"][0])[3]
    both = [line for line in said if "could be read as" in line]
    assert "every value is the first of a month" in both[0] and "'%d/%m/%Y'" in both[0]
    rng = np.random.default_rng(1)
    days = [f"{a:02}/{b:02}/2023" for a, b in rng.integers(1, 13, (ROWS, 2))]
    contract, _, _, said = draft(tmp_path, days)
    assert any("nothing in the values decides" in line for line in said)
    changed = draft(tmp_path, days, "when", ["%m/%d/%Y"])[0]
    assert contract["columns"]["when"]["format"] == "%d/%m/%Y"
    assert changed["columns"]["when"]["format"] == "%m/%d/%Y"


@pytest.mark.parametrize("form", ["%m.%d.%Y", "%m/%d/%Y", "%d-%m-%Y", "%d.%m.%y"])
def test_rows_in_order_decide_though_each_day_has_many(tmp_path: Path, form: str) -> None:
    days = pd.date_range("2021-01-01", "2022-12-31")
    days = days[days.day <= 12].repeat(8)
    contract, times, _, said = draft(tmp_path, days.strftime(form))
    assert contract["columns"]["when"]["format"] == form and (times == days).all()
    assert any("the rows are in order of time" in line for line in said)


def test_few_rows_without_a_time_do_not_stop_it(tmp_path: Path) -> None:
    holes = {3: "", 77: "2023-02-31", 300: "soon"}
    written = [holes.get(k, f"{t:%Y-%m-%d}") for k, t in enumerate(AT)]
    contract, times, _, said = draft(tmp_path, written)
    assert contract["time"] == "when" and times.isna().sum() == 3
    assert contract["columns"]["when"]["nullable"] is False
    assert any(line.startswith("3 of 600 rows have no time that can be read") for line in said)
    assert "never missing" not in contract["columns"]["when"]["evidence"]


def test_a_format_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not fit 600 of 600 values"):
        draft(tmp_path, EXACT["db2"], "when", ["%d/%m/%Y"])
    with pytest.raises(UserError, match="is no format of a time"):
        draft(tmp_path, EXACT["db2"], "when", ["yyyy-mm-dd"])
