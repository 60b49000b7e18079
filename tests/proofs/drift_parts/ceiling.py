"""What could be seen at all: the power of a judge who knows how much the weeks of a column vary.

A reference tells this only as well as its weeks are many; the judge is told it from the whole data set, and predicts a week by the eight before it. The share of false alarms that a window may have is divided among its columns and five checks of each. Where even this judge misses a change, no check of that figure by weeks sees it at that rate; a check of another figure may.
"""

import numpy as np
import pandas as pd
from scipy import stats

from drift_parts.sets import Dataset
from drift_parts.windows import RATE

CHECKS = 5  # of a column
WEEKS_BEFORE = 8  # that a week is predicted by


def full_weeks(dataset: Dataset) -> tuple[np.ndarray, pd.Series]:
    "Number the week of each row; count the rows of weeks that are not cut off."
    week = (dataset.day - dataset.day[0]).astype("int64") // 7
    rows = pd.Series(week).value_counts().sort_index()
    return week, rows[rows > rows.median() / 2]


def seen_share(figures: pd.Series, shift: float, rate: float) -> float:
    "Compute in how many weeks a shift of a weekly figure is seen."
    before = figures.shift(1).rolling(WEEKS_BEFORE, min_periods=4).mean()
    deviation = (figures - before).std()
    if not deviation > 0:
        return 1.0
    return float(stats.norm.sf(stats.norm.isf(rate / 2) - shift / deviation))


def moved_ceiling(values: pd.Series, week: np.ndarray, full: pd.Index, rate: float) -> float:
    "A tenth of the rows, moved from the commonest category to the second: either share tells it."
    names = values.value_counts().index[:2]
    if len(names) < 2:
        return np.nan
    by_week = [(values == name).groupby(week).mean().loc[full] for name in names]
    return max(seen_share(shares, 0.10, rate) for shares in by_week)


def ceilings(dataset: Dataset) -> dict[str, list[float]]:
    "Compute, by change, the share of weeks in which each column's is seen; of rows one figure."
    week, rows = full_weeks(dataset)
    rate = RATE / (CHECKS * len(dataset.kinds))
    found: dict[str, list[float]] = {"10 % moved": [], "+5 % missing": []}
    for column, kind in dataset.kinds.items():
        values = dataset.table[column]
        gone = values.isna().groupby(week).mean().loc[rows.index]
        found["+5 % missing"].append(seen_share(gone, 0.05, rate))
        if kind == "category":
            seen = moved_ceiling(values, week, rows.index, rate)
            found["10 % moved"] += [seen] if np.isfinite(seen) else []
    found["half lost"] = [seen_share(np.log(rows), np.log(2), rate)]
    return found
