"What the example's data can do wrong, and what it should give."

from pathlib import Path

import pandas as pd
import pytest
from conftest import expect_failure, set_params

from mlops_kit.notebooks.test_sample import run_in


def change(folder: Path, where: str, edit) -> Path:
    "Rewrite one month of a sample project."
    path = sorted((folder / where).glob("*.parquet"))[1]
    edit(pd.read_parquet(path)).to_parquet(path, index=False)
    return path


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda t: t.drop(columns="distance"), ("lacks the column `distance`",)),
        (
            lambda t: t.rename(columns={"distance": "distance_km"}),
            ("lacks the column `distance`", "`distance_km`", "renamed"),
        ),
        (
            lambda t: (
                t.astype({"distance": "object"})
                .assign(distance=lambda t: t["distance"].where(t.index > 3, "far"))
                .astype({"distance": "str"})
            ),
            ("distance: not an integer", "'far'"),
        ),
        (lambda t: t.assign(temp=None), ("all values are missing in column `temp`",)),
        (lambda t: pd.concat([t, t.head(40)]), ("40 of", "duplicate of scheduled")),
        (lambda t: t.assign(carrier="ZZ"), ("carrier: not an allowed value", "'ZZ'")),
        (lambda t: t.assign(distance=-1), ("distance: outside 1 to 6000",)),
        (lambda t: t.assign(distance=float("inf")), ("distance: not an integer", "inf")),
    ],
)
def test_bad_data(sample, edit, words: tuple) -> None:
    folder = sample("ingest")
    path = change(folder, "data/raw", edit)
    before = {p: p.read_bytes() for p in (folder / "data/raw").iterdir()}
    expect_failure(folder, "validate", path.name, *words)
    assert before == {p: p.read_bytes() for p in (folder / "data/raw").iterdir()}


def test_few_bad_rows_are_kept_aside_with_the_reason(sample) -> None:
    folder = sample("ingest")
    set_params(folder, {"validate.max_bad_rows": 0.1})
    path = change(
        folder, "data/raw", lambda t: t.assign(distance=t["distance"].where(t.index > 2, -5))
    )
    assert run_in(folder, "validate").returncode == 0
    aside, clean = (
        pd.read_parquet(folder / "data/quarantine" / path.name),
        pd.read_parquet(folder / "data/clean" / path.name),
    )
    assert aside["reason"].tolist() == ["distance: outside 1 to 6000"] * 3
    assert len(aside) + len(clean) == len(pd.read_parquet(path))


def test_one_class_target(sample) -> None:
    folder = sample("validate")
    for path in (folder / "data/clean").glob("*.parquet"):
        pd.read_parquet(path).assign(late=False).astype({"late": "boolean"}).to_parquet(
            path, index=False
        )
    expect_failure(folder, "features", "only one label", "late is False", "train window")


def test_empty_window(sample) -> None:
    folder = sample("validate")
    set_params(folder, {"data.asof": "2014-06-30"})
    expect_failure(folder, "features", "window", "is empty", "data.asof")


def test_a_window_of_three_rows(sample) -> None:
    folder = sample("validate")
    path = sorted((folder / "data/clean").glob("*.parquet"))[-1]
    pd.read_parquet(path).query("late.notna()").head(3).to_parquet(path, index=False)
    expect_failure(folder, "features", "test window", "3 labelled rows", "features.min_rows")


def test_clock_before_the_data_and_no_date(sample) -> None:
    folder = sample(None)
    for asof, word in (("2012-12-31", "2012-12-31"), ("2013-02-30", "expected a date")):
        set_params(folder, {"data.asof": asof})
        expect_failure(folder, "ingest", word)


def test_a_column_known_too_late_cannot_be_a_feature(sample) -> None:
    folder = sample("validate")
    set_params(folder, {"features.derived": ["dep_delay"]})
    expect_failure(folder, "features", "'dep_delay'", "defines")
    text = (folder / "contract.yaml").read_text()
    (folder / "contract.yaml").write_text(
        text.replace(
            "nullable: true, max_missing: 0.3, known: false, sensitive: false, source: computed",
            "nullable: true, max_missing: 0.3, known: true, sensitive: false, source: computed",
        )
    )
    expect_failure(folder, "features", "target late", "known: false")


def test_months_are_files(sample) -> None:
    months = [p.name for p in sorted((sample("ingest") / "data/raw").iterdir())]
    assert months == ["2013-01.parquet", "2013-02.parquet", "2013-03.parquet", "2013-04.parquet"]


def test_unwritable_data_folder(sample) -> None:
    folder = sample(None)
    (folder / "data").write_text("a file where the folder should be")
    expect_failure(folder, "ingest", "cannot write", "data/pieces", "permissions")
    assert (folder / "data").read_text() == "a file where the folder should be"
