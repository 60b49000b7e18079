"Calendar windows that follow a reference, and the verdict on each."

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from drift_parts.sets import Dataset

from mlops_kit.monitoring.checks import Check
from mlops_kit.monitoring.counting import count_window
from mlops_kit.monitoring.deliveries import check_rows
from mlops_kit.monitoring.limits import LIMITS
from mlops_kit.monitoring.null_distribution import NullDistribution, fit_null_distribution
from mlops_kit.monitoring.reference import Reference, make_reference
from mlops_kit.monitoring.outcomes import repeated_rows
from mlops_kit.monitoring.training_reference import count_copies, sketch_rows
from mlops_kit.monitoring.verdict import compare_window

REFERENCES = (30, 90, 180, 365)  # days
LENGTHS = ("day", "week", "month")
GAPS = (0, 1, 2)  # windows between the reference and the window
STATED = 0.01  # false alarms of a window, as params.yaml has it
RATE = STATED * LIMITS.share_of_inputs
MIN_ROWS = 20  # a window with fewer is not judged
DATASETS: dict[str, Dataset] = {}  # filled before the workers are forked


@dataclass
class Placed:
    "A window that follows a reference."

    start: int  # which reference
    length: str
    gap: int
    table: pd.DataFrame
    day: pd.Series
    span: tuple[pd.Timestamp, pd.Timestamp]  # first and last day


def after(day: np.datetime64, length: str, count: int = 1) -> np.datetime64:
    "Give the day so many windows later."
    step = pd.DateOffset(**{f"{length}s": count})
    return np.datetime64((pd.Timestamp(day) + step).date(), "D")


def starts(dataset: Dataset, days: int, count: int) -> list[int]:
    "Spread references over a data set, so that a month of at most 31 days follows each."
    last = dataset.span - days - 31
    return [] if last < 0 else sorted({int(s) for s in np.linspace(0, last, count)})


@lru_cache(maxsize=2)
def reference_of(name: str, days: int, start: int) -> Reference:
    "Make the reference of some days of a data set."
    dataset = DATASETS[name]
    first = dataset.day[0] + start
    table, day = dataset.rows(dataset.between(first, first + days))
    about = {"copies": count_copies(table, "") / len(table), "rows": sketch_rows(table, "", day)}
    return make_reference(table, dataset.kinds, day, about)


def windows_after(name: str, days: int, start: int, gaps: tuple[int, ...]) -> Iterator[Placed]:
    "Give the windows that follow a reference."
    dataset = DATASETS[name]
    end = dataset.day[0] + start + days
    for length in LENGTHS:
        for gap in gaps:
            first = after(end, length, gap)
            last = after(end, length, gap + 1)
            table, day = dataset.rows(dataset.between(first, last))
            if len(table) >= MIN_ROWS and last <= dataset.day[-1] + 1:
                span = (pd.Timestamp(first), pd.Timestamp(last - 1))
                yield Placed(start, length, gap, table, day, span)


def judge(
    reference: Reference, table: pd.DataFrame, day: pd.Series
) -> tuple[list[Check], NullDistribution]:
    "Compare a window with a reference as the stage monitor does."
    window = count_window(table, reference, day)
    null = fit_null_distribution(reference, window.days, RATE, known=window.known)
    return compare_window(window, reference, null), null


def judge_rows(
    reference: Reference, table: pd.DataFrame, day: pd.Series, placed: Placed
) -> list[Check]:
    "Check a delivery as such: its volume, gaps, and rows that came before or twice."
    found = check_rows(table, day, placed.span, "", reference, STATED / 10)
    if any(c.what == "copies" for c in found):
        return found
    copies = count_copies(table, "")
    return [*found, *repeated_rows(copies, len(table), reference.about["copies"], reference.rows)]


def fails(checks: list[Check]) -> list[Check]:
    "Give the checks that make the verdict an alarm."
    return [c for c in checks if c.alarm and c.tier == "fail"]
