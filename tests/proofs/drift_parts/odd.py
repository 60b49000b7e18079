"Odd data: whatever tables hold, a verdict comes without an error and without a warning."

import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from drift_parts.windows import RATE

from mlops_kit.monitoring.counting import count_window
from mlops_kit.monitoring.false_alarms import measure_false_alarm_rate
from mlops_kit.monitoring.null_distribution import fit_null_distribution
from mlops_kit.monitoring.reference import load_reference, make_reference, save_reference
from mlops_kit.monitoring.verdict import compare_window, describe_finding, reach_verdict


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
    text = lambda c: past[c].dtype == "object" or pd.api.types.is_string_dtype(past[c])
    kinds = {c: "category" if text(c) else "number" for c in past}
    times = pd.Series(day) if day is not None else None
    with tempfile.TemporaryDirectory() as folder:
        save_reference(Path(folder), make_reference(past, kinds, times, {"importance": {}}))
        reference = load_reference(Path(folder))
    window = count_window(now, reference, pd.Series(now_day) if now_day is not None else None)
    null = fit_null_distribution(reference, window.days, RATE, known=window.known)
    rates = measure_false_alarm_rate(reference, null, window.rows)
    if not 0 <= rates["low"] <= rates["share"] <= rates["stated"] <= 1:
        raise AssertionError(f"rates out of order: {rates}")
    return reach_verdict(compare_window(window, reference, null), reference)


def odd_cases() -> list[tuple[str, Callable[[], dict[str, Any]], tuple[str, ...]]]:
    "List what is asked, and which states are a sensible answer."
    calm, found = ("quiet", "noticed"), ("changed", "changed and matters", "broken")
    past, day = odd_rows(200, 60, 1)
    now, later = odd_rows(7, 60, 2)
    later = later + np.timedelta64(203, "D")  # whole weeks: "weekly" follows the weekday
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
                odd_rows(360, 60, 5)[1] + np.timedelta64(203, "D"),
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
            (*calm, "changed", "broken"),
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


def ask_case(ask: Callable[[], dict[str, Any]], sensible: tuple[str, ...]) -> tuple[str, str]:
    "Ask for one verdict with every warning an error: its state, and what is wrong with it."
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        try:
            found = ask()
        except Exception as error:  # whatever it is, it must not be
            return "", f"FAILED: {type(error).__name__}: {str(error)[:150]}"
    if found["state"] in sensible:
        return found["state"], ""
    told = "; ".join(describe_finding(f)[:90] for f in found["findings"][:2])
    return found["state"], f"FAILED: {told}"


def odd_data() -> list[tuple[str, str, str]]:  # case, state, what is wrong
    "Ask everything odd."
    return [(what, *ask_case(ask, sensible)) for what, ask, sensible in odd_cases()]


def wide_table() -> tuple[str, str, str]:  # case, seconds, what is wrong
    "Time a verdict on 120 columns with a year of days, and that of its rate."
    past, day = odd_rows(365, 100, 1, columns=105)
    now, later = odd_rows(7, 100, 2, columns=105)
    kinds = {c: "number" if past[c].dtype == "float64" else "category" for c in past}
    reference, started = make_reference(past, kinds, pd.Series(day), {}), time.process_time()
    window = count_window(now, reference, pd.Series(later + np.timedelta64(371, "D")))
    null = fit_null_distribution(reference, window.days, RATE, known=window.known)
    reach_verdict(compare_window(window, reference, null), reference)
    compared = time.process_time() - started
    measure_false_alarm_rate(reference, null, window.rows)
    measured = time.process_time() - started - compared
    words = f"compared in {compared:.2f} s, its rate measured in {measured:.2f} s"
    bad = "" if max(compared, measured) < 3 else "MISSED: at most 3 s each"
    return "120 columns, 365 days", words, bad
