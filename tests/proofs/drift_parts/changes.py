"What is done to the rows of a window, to measure what is seen."

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

Change = Callable[[pd.Series, np.random.Generator], pd.Series]


def add_half_deviation(values: pd.Series, rng: np.random.Generator) -> pd.Series:
    return values + 0.5 * values.std()


def repeat_one(values: pd.Series, rng: np.random.Generator) -> pd.Series:
    "Give all rows one value that a row in the middle has."
    known = values.dropna()
    return pd.Series([known.iloc[len(known) // 2]] * len(values), dtype=values.dtype)


def move(values: pd.Series, share: float, rng: np.random.Generator) -> pd.Series:
    """Move a share of all rows from the commonest category to the second.

    Where the commonest has not as many, from anywhere to it.
    """
    names = values.value_counts().index[:2]
    own = np.flatnonzero((values == names[0]).to_numpy())
    count = round(share * len(values))
    enough = len(own) >= count
    picked = rng.choice(own if enough else len(values), count, replace=False)
    moved = values.to_numpy(dtype="object", copy=True)
    moved[picked] = names[-1] if enough else names[0]
    return pd.Series(moved, dtype=values.dtype)


def rename_some(values: pd.Series, share: float, rng: np.random.Generator) -> pd.Series:
    "Give a share of the rows a category that was never there."
    return values.where(rng.random(len(values)) >= share, "never seen")


def lose_values(values: pd.Series, share: float, rng: np.random.Generator) -> pd.Series:
    "Take away a share of all rows' values, as far as there are any."
    known = np.flatnonzero(values.notna().to_numpy())
    gone = np.zeros(len(values), dtype=bool)
    gone[rng.choice(known, min(len(known), round(share * len(values))), replace=False)] = True
    return values.mask(gone)


@dataclass
class Kind:
    "A change of single columns."

    columns: str  # "number", "category" or "both"
    make: Change
    least: float  # share of windows in which it must be seen, in every column


CHANGES = {
    "0.5 sd": Kind("number", add_half_deviation, 0.80),
    "× 1.5": Kind("number", lambda x, rng: x * 1.5, 0.95),
    "miles → km": Kind("number", lambda x, rng: x * 1.609344, 0.95),
    "°F → °C": Kind("number", lambda x, rng: (x - 32) / 1.8, 0.95),
    "stuck": Kind("both", repeat_one, 0.95),
    "all zero": Kind("number", lambda x, rng: x * 0, 0.95),
    "10 % moved": Kind("category", lambda x, rng: move(x, 0.10, rng), 0.95),
    "5 % new": Kind("category", lambda x, rng: rename_some(x, 0.05, rng), 0.95),
    "+5 % missing": Kind("both", lambda x, rng: lose_values(x, 0.05, rng), 0.95),
}


LEAST_CHANGED = 0.04  # share of rows


def change_columns(
    table: pd.DataFrame, kinds: dict[str, str], change: Kind, seed: int
) -> tuple[pd.DataFrame, list[str]]:
    """Change every column of the kind; name those in which enough rows are changed.

    A column of zeros that is all zero, or a dry week without rain, is no fault to be seen.
    """
    changed, touched = {}, []
    for place, column in enumerate(table):
        changed[column] = values = table[column]
        if change.columns not in (kinds[column], "both") or values.notna().sum() < 20:
            continue
        now = change.make(values, np.random.default_rng([seed, place]))
        changed[column] = now
        same = (now == values) | (now.isna() & values.isna())
        if (~same).mean() >= LEAST_CHANGED:
            touched.append(column)
    return pd.DataFrame(changed), touched


def deliver_twice(table: pd.DataFrame, day: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    places = np.repeat(np.arange(len(table)), 2)
    return table.iloc[places].reset_index(drop=True), day.iloc[places].reset_index(drop=True)


def lose_half(table: pd.DataFrame, day: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    kept = np.flatnonzero(np.random.default_rng(1).random(len(table)) < 0.5)
    return table.iloc[kept].reset_index(drop=True), day.iloc[kept].reset_index(drop=True)


DELIVERIES = {"rows twice": deliver_twice, "half lost": lose_half}
