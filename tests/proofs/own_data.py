"""Proof that a project on other data runs without an edit, and scores what a hand-made HistGradientBoosting does on the same rows.

    python tests/proofs/own_data.py              every data set, then one project's own `make test`
    python tests/proofs/own_data.py --only wine  one of them

Data sets are scikit-learn's and made-up ones with what real files hold: odd separators, encodings, dates, missing values, names.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
RNG = np.random.default_rng(20)


def toy(name: str) -> pd.DataFrame:
    from sklearn import datasets

    frame = getattr(datasets, f"load_{name}")(
        as_frame=True, **({"scaled": False} if name == "diabetes" else {})
    ).frame
    return frame.sample(frac=1, random_state=1, ignore_index=True)


def churn(n: int) -> pd.DataFrame:
    t = pd.DataFrame(
        {
            "customerID": [f"{i:06d}-X" for i in RNG.permutation(n)],
            "Gender": RNG.choice(["Male", "Female"], n),
            "tenure (months)": RNG.integers(0, 72, n),
            "Contract": RNG.choice(["Month-to-month", "One year", "Two year"], n),
            "MonthlyCharges": RNG.uniform(18, 120, n).round(2),
            "city": RNG.choice([f"Ville n° {i}" for i in range(300)], n),
            "Senior": RNG.choice([0, 1], n),
        }
    )
    z = (
        0.5
        - 0.05 * t["tenure (months)"]
        + 0.02 * t["MonthlyCharges"]
        + 1.2 * (t["Contract"] == "Month-to-month")
        + RNG.logistic(size=n)
    )
    total = (
        (t["tenure (months)"] * t["MonthlyCharges"])
        .round(2)
        .astype("str")
        .where(t["tenure (months)"] > 0, " ")
    )
    return t.assign(TotalCharges=total, Churn=np.where(z > 1.2, "Yes", "No"))


def fraud(n: int) -> pd.DataFrame:
    t = pd.DataFrame({f"V{i}": RNG.normal(size=n) for i in range(12)}).assign(
        Time=np.sort(RNG.integers(0, 172800, n)), Amount=RNG.gamma(1, 80, n).round(2)
    )
    return t.assign(
        Class=(t["V1"] * 1.5 + t["V2"] - t["V3"] + RNG.normal(size=n) * 0.7 > 6.2).astype("int")
    )


def sales(n: int) -> pd.DataFrame:
    at = pd.Timestamp("2022-01-01") + pd.to_timedelta(
        np.sort(RNG.integers(0, 2 * 365 * 1440, n)), unit="min"
    )
    t = pd.DataFrame(
        {
            "ordered at": at.strftime("%d.%m.%Y %H:%M"),
            "store_id": RNG.integers(1, 60, n),
            "product": RNG.choice([f"P{i:04d}" for i in range(900)], n),
            "price": RNG.gamma(2, 20, n).round(2),
            "promo": RNG.choice(["ja", "nein"], n),
        }
    )
    pull = (
        t["product"].str[1:].astype("int") % 17
        + 6 * (t["promo"] == "ja")
        - 0.05 * t["price"]
        + 3 * np.sin(at.day_of_year / 58)
    )
    return t.assign(quantity=(5 + pull + 3 * RNG.normal(size=n)).round(1))


def letters(n: int, classes: int) -> pd.DataFrame:
    from sklearn.datasets import make_classification

    x, y = make_classification(
        n,
        16,
        n_informative=10,
        n_classes=classes,
        n_clusters_per_class=1,
        class_sep=1.5,
        random_state=3,
    )
    return (
        pd.DataFrame(x.round(3))
        .rename(columns=lambda i: f"x.{i}")
        .assign(letter=[chr(65 + v) for v in y])
    )


def wide(n: int, columns: int) -> pd.DataFrame:
    from sklearn.datasets import make_classification

    x, y = make_classification(n, columns, n_informative=15, random_state=4)
    t = (
        pd.DataFrame(x.round(3))
        .rename(columns=lambda i: f"sensor {i}")
        .mask(RNG.random((n, columns)) < 0.3)
    )
    return t.assign(state=np.where(y == 1, "fehlerhaft", "gut"))


def houses(n: int) -> pd.DataFrame:
    t = pd.DataFrame(
        {
            "Id": range(1, n + 1),
            "LotArea": RNG.gamma(3, 3000, n).round(0),
            "Neighborhood": RNG.choice([f"N{i}" for i in range(25)], n),
            "YearBuilt": RNG.integers(1900, 2010, n),
            "PoolQC": np.where(RNG.random(n) < 0.99, None, "Gd"),
            "Alley": RNG.choice(["NA", "Grvl", "Pave"], n, p=[0.9, 0.05, 0.05]),
            "1stFlrSF": RNG.gamma(6, 200, n).round(0),
            "MoSold": RNG.integers(1, 13, n),
            "YrSold": RNG.integers(2006, 2011, n),
        }
    )
    price = (
        50000
        + 60 * t["1stFlrSF"]
        + 900 * (t["YearBuilt"] - 1900)
        + 2000 * t["Neighborhood"].str[1:].astype("int")
        + 15000 * RNG.normal(size=n)
    )
    return t.assign(SalePrice=price.round(0).astype("int"))


def reviews(n: int) -> pd.DataFrame:
    good, bad, rest = (
        ["great", "love", "perfect", "excellent"],
        ["broken", "refund", "terrible", "waste"],
        [
            "the",
            "it",
            "arrived",
            "box",
            "color",
            "size",
            "and",
            "was",
            "very",
            "this",
            "product",
            "my",
            "order",
        ],
    )
    y = RNG.random(n) < 0.6
    text = [
        " ".join(
            RNG.choice(rest, 9).tolist()
            + RNG.choice(good if v else bad, 1).tolist() * int(RNG.random() < 0.85)
        )
        for v in y
    ]
    return pd.DataFrame(
        {
            "review": text,
            "stars given": RNG.integers(1, 6, n),
            "posted": pd.date_range(
                "2023-01-01", periods=n, freq="2h", tz="Europe/Berlin"
            ).strftime("%Y-%m-%dT%H:%M:%S%z"),
            "recommended": y,
        }
    )


def bikes(n: int) -> pd.DataFrame:
    at = pd.date_range("2021-01-01", periods=n, freq="h")
    t = pd.DataFrame(
        {
            "datetime": at,
            "season": (at.month % 12 // 3 + 1),
            "temp": (10 + 12 * np.sin((at.day_of_year - 100) / 58) + RNG.normal(size=n) * 3).round(
                1
            ),
            "windspeed": RNG.gamma(2, 5, n).round(1),
            "holiday": RNG.random(n) < 0.03,
        }
    )
    rush = np.exp(-((at.hour - 8) ** 2) / 6) + np.exp(-((at.hour - 17) ** 2) / 8)
    count = RNG.poisson(np.maximum(1, 20 + 150 * rush * (at.day_of_week < 5) + 4 * t["temp"]))
    return t.assign(count=count)


def adult(n: int) -> pd.DataFrame:
    t = pd.DataFrame(
        {
            "age": RNG.integers(17, 90, n),
            "workclass": RNG.choice(
                ["Private", "Self-emp", "Gov", "?"], n, p=[0.7, 0.1, 0.14, 0.06]
            ),
            "education": RNG.choice(["HS-grad", "Bachelors", "Masters", "Some-college", "11th"], n),
            "sex": RNG.choice(["Male", "Female"], n),
            "hours-per-week": RNG.integers(1, 99, n),
            "capital-gain": np.where(RNG.random(n) < 0.9, 0, RNG.gamma(2, 4000, n).round()),
            "native-country": RNG.choice(["United-States", "Mexico", "?"], n, p=[0.9, 0.07, 0.03]),
        }
    )
    z = (
        -4
        + 0.03 * t["age"]
        + 0.03 * t["hours-per-week"]
        + 1.1 * t["education"].isin(["Bachelors", "Masters"])
        + t["capital-gain"] / 6000
        + RNG.logistic(size=n)
    )
    return t.assign(income=np.where(z > 0, " >50K", " <=50K"))


def csv(**how: object) -> Callable[[pd.DataFrame, Path], None]:
    return lambda table, path: table.to_csv(path, index=False, **how)


SETS: dict[
    str,
    tuple[str, Callable[[], pd.DataFrame], Callable[[pd.DataFrame, Path], None], str, list[str]],
] = {
    "iris": (
        "iris.csv",
        lambda: toy("iris").assign(
            target=lambda t: t["target"].map({0: "setosa", 1: "versicolor", 2: "virginica"})
        ),
        csv(),
        "target",
        [],
    ),
    "wine": ("wine.tsv", lambda: toy("wine"), csv(sep="\t"), "target", []),
    "cancer": ("cancer.csv", lambda: toy("breast_cancer"), csv(sep=";", decimal=","), "target", []),
    "diabetes": (
        "diabetes.parquet",
        lambda: toy("diabetes"),
        lambda t, p: t.to_parquet(p),
        "target",
        [],
    ),
    "digits": ("digits.csv.gz", lambda: toy("digits"), csv(), "target", ["--task", "multiclass"]),
    "churn": ("churn.csv", lambda: churn(7000), csv(encoding="latin-1"), "Churn", []),
    "fraud": ("fraud.csv.bz2", lambda: fraud(60_000), csv(), "Class", []),
    "sales": (
        "sales.csv",
        lambda: sales(100_000),
        csv(sep=";", decimal=",", encoding="utf-8-sig"),
        "quantity",
        [],
    ),
    "letters": (
        "letters.jsonl",
        lambda: letters(20_000, 10),
        lambda t, p: t.to_json(p, orient="records", lines=True),
        "letter",
        [],
    ),
    "wide": (
        "wide.parquet",
        lambda: wide(4000, 300),
        lambda t, p: t.to_parquet(p),
        "state",
        ["--positive", "fehlerhaft"],
    ),
    "houses": ("houses.csv", lambda: houses(1460), csv(quoting=1), "SalePrice", []),
    "reviews": ("reviews.csv", lambda: reviews(6000), csv(sep="|"), "recommended", []),
    "bikes": ("bikes.parquet", lambda: bikes(17_000), lambda t, p: t.to_parquet(p), "count", []),
    "adult": ("adult.csv", lambda: adult(48_000), csv(), "income", []),
    "small": ("small.csv", lambda: churn(150), csv(), "Churn", []),
    "large": ("large.parquet", lambda: fraud(550_000), lambda t, p: t.to_parquet(p), "Class", []),
}


def by_hand(project: Path) -> tuple[float, float, float]:
    """Fit scikit-learn's defaults on the same windows.

    Give its score, ours, and the standard error of ours.
    """
    from sklearn import ensemble, metrics
    from sklearn.preprocessing import OrdinalEncoder

    listing, ours = (
        json.loads((project / "data/features/features.json").read_text()),
        json.loads((project / "metrics/evaluate.json").read_text()),
    )
    windows = {
        n: pd.read_parquet(project / f"data/features/{n}.parquet")
        for n in ("train", "valid", "test")
    }
    train, test, kinds, target, task = (
        pd.concat([windows["train"], windows["valid"]]),
        windows["test"],
        listing["features"],
        listing["target"],
        listing["spec"]["task"],
    )
    names = [c for c in kinds if kinds[c] != "text"]
    words = [c for c in names if kinds[c] != "number"]
    x, z = train[names].copy(), test[names].copy()
    if words:
        codes = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan
        )
        x[words] = codes.fit_transform(x[words].astype("object").where(x[words].notna(), None))
        z[words] = codes.transform(z[words].astype("object").where(z[words].notna(), None))
    kind = (
        ensemble.HistGradientBoostingRegressor
        if task == "regression"
        else ensemble.HistGradientBoostingClassifier
    )
    model = kind(
        random_state=0,
        categorical_features=[c in words and train[c].nunique() < 250 for c in names],
    ).fit(x, train[target])
    score = {
        "regression": lambda: metrics.r2_score(test[target], model.predict(z)),
        "binary": lambda: metrics.roc_auc_score(
            test[target].astype("bool"), model.predict_proba(z)[:, 1]
        ),
        "multiclass": lambda: metrics.f1_score(test[target], model.predict(z), average="macro"),
    }[task]()
    own = ours["metrics"][ours["metric"]]
    return float(score), own["value"], (own["high"] - own["low"]) / 3.92


def prove(name: str, work: Path) -> str:
    """Make a project on one data set, run it, and give a line.

    It begins with FAILED when it is not good enough.
    """
    file, make, write, target, more = SETS[name]
    write(make(), work / file)
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/example")]
    from test_init import repro

    started = time.perf_counter()
    made = subprocess.run(
        [
            str(Path(sys.executable).parent / "mlops-nb"),
            "init",
            name,
            "--data",
            file,
            "--target",
            target,
            "--name",
            f"of_{name}",
            *more,
        ],
        cwd=work,
        capture_output=True,
        text=True,
    )
    if made.returncode:
        return f"FAILED {name}: {made.stderr.strip()}"
    looked = time.perf_counter() - started
    result = repro(work / name, work / f"bin-{name}")
    if result.returncode:
        return f"FAILED {name}: {(result.stdout + result.stderr).strip()[-1500:]}"
    seconds = time.perf_counter() - started
    hand, ours, error = by_hand(work / name)
    good = ours >= 0.98 * hand or ours >= hand - 2 * error
    gate = (
        "passed"
        if json.loads((work / name / "metrics/gate.json").read_text())["passed"]
        else "not passed"
    )
    return (
        f"{'' if good else 'FAILED '}{name:<10}{len(make()):>9,} rows  init {looked:5.1f} s  all "
        f"{seconds:6.1f} s  ours {ours:.4f}  by hand {hand:.4f}  {ours / hand:.3f}  gate {gate}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", choices=list(SETS))
    parser.add_argument("--keep", action="store_true", help="keep the projects and say where")
    chosen = parser.parse_args()
    work, failed = Path(tempfile.mkdtemp(prefix="mlops_nb-own-")), []
    for name in chosen.only or SETS:
        line = prove(name, work)
        print(line, flush=True)
        failed += [name] if line.startswith("FAILED") else []
    if not chosen.only:
        started = time.perf_counter()
        done = subprocess.run(
            ["make", "test"],
            cwd=work / "churn",
            env={k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")},
            capture_output=True,
            text=True,
        )
        print(
            f"{'' if done.returncode == 0 else 'FAILED '}churn: its own `make test`, "
            f"{time.perf_counter() - started:.0f} s: {done.stdout.strip().splitlines()[-1][-120:]}"
        )
        failed += ["make test"] if done.returncode else []
    print(f"projects are in {work}") if chosen.keep else shutil.rmtree(work, ignore_errors=True)
    sys.exit(f"FAILED: {', '.join(failed)}" if failed else None)


if __name__ == "__main__":
    main()
