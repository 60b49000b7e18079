"Labels, leaks, wide tables and sensitive names, as `mlops-nb init` reads them."

from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlops_kit.core.contract import encode_target
from mlops_kit.core.files import UserError
from mlops_kit.models.encoding import class_names
from mlops_kit.models.outputs import label_column
from mlops_kit.data.validation import judge_rows
from mlops_kit.scaffold.contract_draft import draft_contract
from mlops_kit.scaffold.profiling import profile_table

RANDOM = np.random.default_rng(0)
YES = RANDOM.random(400) < 0.4


def draft(table: pd.DataFrame) -> tuple[dict[str, Any], pd.DataFrame, str]:
    contract, typed, notes = draft_contract(
        profile_table([table.astype("str")]), "y", None, "auto", None, "p"
    )
    return contract, typed, "\n".join(notes)


@pytest.mark.parametrize(
    "no, yes", [("alive", "dead"), ("no", "yes"), ("1", "2"), ("0", "1"), ("stays", "leaves")]
)
def test_labels_that_were_read_stay_as_they_are(no: str, yes: str) -> None:
    table = pd.DataFrame({"x": RANDOM.normal(size=400).round(3), "y": np.where(YES, yes, no)})
    contract, typed, _ = draft(table)
    contract = {"positive": None} | contract
    once = encode_target(typed["y"], contract)
    assert encode_target(once, contract).equals(once) and 0 < once.mean() < 1
    assert encode_target(once.astype("bool"), contract).tolist() == once.tolist()


SPELLINGS = {
    "case": (["Good", "GOOD", "good"], ["Bad", "bad", "BAD"], "category"),
    "blanks": (
        ["on  time", "On time", "on time"],
        ["too late", "Too  Late", "too late"],
        "category",
    ),
    "numbers": (["2", "2.0", "+2"], ["1", "1.0", "1"], "category"),
    "truth": (["TRUE", "True", "true"], ["FALSE", "False", "false"], "boolean"),
    "letters": (["Y", "y", "Y"], ["n", "N", "n"], "boolean"),
}


@pytest.mark.parametrize("kind", SPELLINGS)
def test_labels_that_differ_in_spelling_only_are_one(kind: str) -> None:
    yes, no, expected = SPELLINGS[kind]
    labels = [yes[i % 3] if truth else no[i % 3] for i, truth in enumerate(YES)]
    contract, typed, notes = draft(pd.DataFrame({"x": RANDOM.normal(size=400), "y": labels}))
    assert contract["task"] == "binary" and contract["columns"]["y"]["type"] == expected
    assert "differ in spelling only are one" in notes
    positive = encode_target(typed["y"], {"positive": None} | contract)
    assert positive.tolist() in (YES.tolist(), (~YES).tolist())


@pytest.mark.parametrize(
    "yes, no", [("oui", "non"), ("Sì", "No"), ("是", "否"), ("O", "N"), ("+1", "-1")]
)
def test_yes_is_the_positive_label_in_any_language_however_often(yes: str, no: str) -> None:
    for often in (YES, ~YES):
        contract, _, notes = draft(
            pd.DataFrame({"x": RANDOM.normal(size=400), "y": np.where(often, yes, no)})
        )
        assert contract["positive"] == yes and f"the positive label is {yes!r}" in notes


@pytest.mark.parametrize("other", [("YES!", "NO!"), ("1", "0"), ("Kept", "lost")])
def test_labels_in_other_words_break_the_contract_instead_of_counting_as_no(
    other: tuple[str, str],
) -> None:
    table = pd.DataFrame({"x": RANDOM.normal(size=400), "y": np.where(YES, "kept", "lost")})
    contract, _, _ = draft(table)
    assert contract["columns"]["y"]["allowed"] == ["kept", "lost"]
    assert (judge_rows(table, contract)[1] == "").all()
    later = table.assign(y=np.where(YES, *other))
    broken = judge_rows(later, contract)[1]
    assert (broken == "y: not an allowed value").sum() >= YES.sum()


@pytest.mark.parametrize("odd", ["ye", "maybe", "yes; no"])
def test_a_few_odd_rows_do_not_make_a_question_a_task_of_three_classes(odd: str) -> None:
    table = pd.DataFrame({"x": RANDOM.normal(size=400), "y": np.where(YES, "yes", "no")})
    table.loc[399, "y"] = odd
    with pytest.raises(UserError, match="is '(yes|no)' or '(yes|no)' but in 1 of 400 rows"):
        draft(table)


def test_a_question_keeps_its_own_words_in_the_monitored_label() -> None:
    spec = {"task": "binary", "classes": ["alive", "dead"]}
    assert class_names(spec) == ["alive", "dead"]
    assert set(label_column(pd.Series(YES), spec)[0]) == {"alive", "dead"}


@pytest.mark.parametrize("low, high", [(3, 9), (0, 2), (1, 5)])
def test_whole_numbers_without_a_gap_are_said_to_fit_both_tasks(low: int, high: int) -> None:
    table = pd.DataFrame({"x": RANDOM.normal(size=400), "y": RANDOM.integers(low, high + 1, 400)})
    contract, _, notes = draft(table)
    assert contract["task"] == "multiclass" and "--task regression" in notes
    assert f"from {low} to {high} without a gap" in notes


def test_a_column_filled_in_for_one_class_is_a_leak_and_a_strong_state_is_not() -> None:
    state = RANDOM.integers(0, 12, 400)
    strong = pd.DataFrame(
        {
            "x": RANDOM.normal(size=400).round(3),
            "state": [f"state {s}" for s in state],
            "y": (state * 100 + RANDOM.normal(0, 60, 400)).round(1),
        }
    )
    contract, _, notes = draft(strong)
    assert "review: 'state'" in notes and contract["columns"]["state"].get("role") != "suspect"
    late = strong.drop(columns="state").assign(
        y=np.where(YES, "dead", "alive"), cause=np.where(YES, state % 3, -1)
    )
    late["cause"] = late["cause"].map({-1: "unknown", 0: "heart", 1: "lung", 2: "fall"})
    contract, _, notes = draft(late)
    assert contract["columns"]["cause"]["role"] == "suspect" and "filled in only for" in notes


def test_a_wide_table_is_said_to_be_wide() -> None:
    table = pd.DataFrame(RANDOM.normal(size=(400, 60))).add_prefix("gene")
    assert "WIDE: 60 features on 400 rows" in draft(table.assign(y=np.where(YES, "ill", "well")))[2]
