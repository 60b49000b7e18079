"""Judge windows by other tools; runs in an environment of their own.

    python tools.py FOLDER       every folder in it holds a case; prints one line of JSON for each

A case holds reference.parquet and windows.parquet (a column "(version)": which window, "(day)": its day) and case.json.
"""

import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
os.environ["DO_NOT_TRACK"] = "1"
import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
Found = dict[str, list[str]]  # by version: columns that alarm


def by_evidently(past: pd.DataFrame, versions: dict[str, pd.DataFrame], case: dict) -> Found:
    "Ask Evidently's preset for drift, as it is."
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    kinds = {c: k for c, k in case["kinds"].items() if past[c].notna().any()}
    definition = DataDefinition(
        numerical_columns=[c for c, k in kinds.items() if k == "number"],
        categorical_columns=[c for c, k in kinds.items() if k == "category"],
    )
    before, found = Dataset.from_pandas(past[list(kinds)], data_definition=definition), {}
    for version, table in versions.items():
        some = [c for c in kinds if table[c].notna().any()]
        now = Dataset.from_pandas(table[list(kinds)], data_definition=definition)
        report = Report([DataDriftPreset(columns=some)], include_tests=True).run(now, before)
        tests = [t for t in report.dict()["tests"] if "column" in t["metric_config"]["params"]]
        bad = [t for t in tests if str(t["status"]).upper().endswith("FAIL")]
        found[version] = [t["metric_config"]["params"]["column"] for t in bad]
    return found


def make_chunker(sizes: dict[int, list[int]]) -> object:
    "Cut tables of known lengths into chunks of given sizes."
    from nannyml.chunk import Chunk, Chunker

    class Sized(Chunker):
        def _split(self, data: pd.DataFrame) -> list:
            ends = np.cumsum(sizes.get(len(data), [len(data)]))
            begins = [0, *ends[:-1]]
            return [
                Chunk(str(n), data.iloc[a:b].reset_index(drop=True), start_index=a, end_index=b - 1)
                for n, (a, b) in enumerate(zip(begins, ends))
            ]

    return Sized()


def alerts(result: object, columns: list[str]) -> set[str]:
    "Name the columns of which the only chunk has an alert."
    table = result.filter(period="analysis").to_df()
    named = lambda levels: next((x for x in levels if x in columns), None)
    some = [c for c in table if c[-1] == "alert" and bool(table[c].fillna(False).any())]
    return {named(c) for c in some} - {None}


def by_nannyml(past: pd.DataFrame, versions: dict[str, pd.DataFrame], case: dict) -> Found:
    "Ask NannyML for drift, missing and unseen values, by chunks as long as the window."
    from nannyml import MissingValuesCalculator, UnivariateDriftCalculator, UnseenValuesCalculator

    chunk = ((case["days"] - 1 - past["(day)"].to_numpy()) // case["length"]).astype(int)
    past = past[chunk < case["days"] // case["length"]].reset_index(drop=True)
    own = chunk[chunk < case["days"] // case["length"]]
    sizes = pd.Series(own).groupby(own, sort=False).size().tolist()
    chunker, found = make_chunker({len(past): sizes}), {}
    kinds = {c: k for c, k in case["kinds"].items() if past[c].notna().any()}
    names, texts = list(kinds), [c for c, k in kinds.items() if k == "category"]
    makers = [
        lambda: UnivariateDriftCalculator(names, treat_as_categorical=texts, chunker=chunker),
        lambda: MissingValuesCalculator(names, chunker=chunker),
        *([lambda: UnseenValuesCalculator(texts, chunker=chunker)] if texts else []),
    ]
    for make in makers:
        calculator = make().fit(past[names])
        for version, table in versions.items():
            if len(table) == len(past):
                table = table.iloc[:-1]  # told apart by its length
            result = calculator.calculate(table[names].reset_index(drop=True))
            found[version] = sorted(set(found.get(version, [])) | alerts(result, names))
    return found


def by_whylogs(past: pd.DataFrame, versions: dict[str, pd.DataFrame], case: dict) -> Found:
    "Ask whylogs' drift report, as it is."
    import whylogs
    from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

    names = list(case["kinds"])
    before, found = whylogs.log(past[names]).view(), {}
    for version, table in versions.items():
        scores = calculate_drift_scores(
            whylogs.log(table[names]).view(), before, with_thresholds=True
        )
        found[version] = [c for c, s in scores.items() if s and s["drift_category"] == "DRIFT"]
    return found


TOOLS: dict[str, Callable] = {
    "Evidently": by_evidently,
    "NannyML": by_nannyml,
    "whylogs": by_whylogs,
}


def judge_case(folder: Path) -> dict:
    "Judge a case by every tool; a tool that raises gives its error."
    case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    past = pd.read_parquet(folder / "reference.parquet")
    windows = pd.read_parquet(folder / "windows.parquet")
    versions = {v: windows[windows["(version)"] == v] for v in windows["(version)"].unique()}
    result = {"case": folder.name, "tools": {}}
    for tool, ask in TOOLS.items():
        started = time.process_time()
        try:
            found = {"alarms": ask(past, versions, case)}
        except Exception as error:  # said in the output
            found = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
        found["seconds"] = round(time.process_time() - started, 2)
        result["tools"][tool] = found
    return result


if __name__ == "__main__":
    for folder in sorted(Path(sys.argv[1]).iterdir()):
        print(json.dumps(judge_case(folder)), flush=True)
