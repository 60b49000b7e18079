"""Measure profiles and drift checks: `python tests/bench/drift.py WHAT` prints one figure, or a few, as JSON. bench.py runs each in a process of its own.

profile: seconds of `make_profile` and of one `why.log` call on 300,000 rows by 20 columns, in turn.
compare: processor time of a reference of such a table over 400 days and of the verdict on a week after it, and the peak of memory, the table's own included; the same of 100 columns.
memory: peak MB of profiling 10 million rows in batches, merged.
"""

import json
import resource
import sys
import time
from statistics import median

import numpy as np
import pandas as pd

from mlops_kit.monitoring.counting import count_window
from mlops_kit.monitoring.null_distribution import fit_null_distribution
from mlops_kit.monitoring.verdict import compare_window, reach_verdict
from mlops_kit.monitoring.profiles import make_profile
from mlops_kit.monitoring.reference import make_reference


def table(rows: int, columns: int, seed: int) -> pd.DataFrame:
    """Make numbers of four kinds, whole ones and many zeros among them, and every fifth column
    categories.
    """
    rng, made = np.random.default_rng(seed), {}
    for n in range(columns):
        made[f"c{n}"] = [
            lambda: rng.normal(size=rows),
            lambda: rng.poisson(6, rows).astype("float64"),
            lambda: np.where(rng.random(rows) < 0.9, 0.0, rng.exponential(size=rows)),
            lambda: np.where(rng.random(rows) < 0.1, np.nan, rng.lognormal(size=rows)),
            lambda: rng.choice(
                np.array([f"category {i}" for i in range(4 + 10 * n)], dtype=object), rows
            ),
        ][n % 5]()
    return pd.DataFrame(made)


def kinds_of(rows: pd.DataFrame) -> dict[str, str]:
    return {c: "number" if pd.api.types.is_numeric_dtype(rows[c]) else "category" for c in rows}


def profile(rounds: int = 3) -> dict[str, float]:
    import whylogs as why

    rows, seconds = table(300_000, 20, 1), {"here": [], "beside": []}
    for number in range(rounds + 1):  # the first round only warms up
        for name, call in (("here", make_profile), ("beside", why.log)):
            started = time.perf_counter()
            call(rows)
            seconds[name] += [time.perf_counter() - started] if number else []
    return {name: median(took) for name, took in seconds.items()}


def verdict_on(rows: pd.DataFrame, days: int, week: pd.DataFrame) -> dict[str, float]:
    "Make a reference of rows spread over days, and judge a week after it: seconds, and peak MB."
    times = pd.Series(np.datetime64("2023-01-02") + np.arange(len(rows)) * days // len(rows))
    after = np.datetime64("2023-01-02") + days + np.arange(7)
    later = pd.Series(after[np.arange(len(week)) * 7 // len(week)])
    started = [time.process_time()]
    reference = make_reference(rows, kinds_of(rows), times, {})
    started.append(time.process_time())
    window = count_window(week, reference, later)
    null = fit_null_distribution(reference, window.days, 0.01, known=window.known)
    reach_verdict(compare_window(window, reference, null), reference)
    started.append(time.process_time())
    return {"reference": started[1] - started[0], "verdict": started[2] - started[1]}


def peak_memory() -> float:  # MB
    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def compare(rounds: int = 3) -> dict[str, dict[str, float]]:
    "Time the reference and the verdict of tables with days, the first in which memory is measured."
    result = {}
    for name, columns, days in (
        ("20 columns, 400 days", 20, 400),
        ("100 columns, 365 days", 100, 365),
    ):
        rows = table(300_000, columns, 1)
        week = table(len(rows) // days * 7, columns, 2)
        took = [verdict_on(rows, days, week) for _ in range(rounds)]
        result[name] = {part: max(t[part] for t in took) for part in took[0]}
        result[name]["MB"] = peak_memory()
        del rows
    return result


def memory(rows: int = 10_000_000, batch: int = 250_000) -> dict[str, float]:
    merged = None
    for start in range(0, rows, batch):
        part = make_profile(table(batch, 20, start))
        merged = part if merged is None else merged.merge(part)
    counted = merged.get_column("c0").get_metric("counts").n.value
    return {"rows": counted, "MB": peak_memory()}


if __name__ == "__main__":
    print(json.dumps({"profile": profile, "compare": compare, "memory": memory}[sys.argv[1]]()))
