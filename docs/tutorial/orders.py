"Write orders.csv: a shop's orders of two years, some of which were returned. With a second argument, the orders of the two weeks that follow."

import sys

import numpy as np
import pandas as pd

path, later = sys.argv[1], sys.argv[2:]
rng = np.random.default_rng(7)
days = (
    pd.date_range("2023-01-01", periods=730)
    if not later
    else pd.date_range("2024-12-31", periods=14)
)
rows = 8 * len(days)
orders = pd.DataFrame(
    {
        "ordered_at": np.repeat(days, 8) + pd.to_timedelta(rng.integers(8, 20, rows), unit="h"),
        "customer": rng.integers(0, 300, rows),
        "weight_g": rng.gamma(4, 300, rows).round(1),
        "price": rng.gamma(2, 20, rows).round(2),
        "size": rng.choice(["S", "M", "L"], rows),
        "gift": rng.choice(["yes", "no"], rows, p=[0.2, 0.8]),
    }
)
pull = orders["price"] / 25 + 1.2 * (orders["size"] == "L") - 1.5 * (orders["gift"] == "yes")
orders["returned"] = np.where(pull + rng.normal(size=rows) > 2.2, "yes", "no")
if later == ["kilograms"]:
    orders["weight_g"] /= 1000
orders.to_csv(path, index=False)
