"""Measure seconds and peak memory of stages on a made project of many rows: `python tests/bench/scale.py --rows 3000000` prints one JSON list. bench.py runs it on few.

The rows are the example's whole year, repeated with noise: other minutes of the hour and other weather, so that none is a copy of another.
`--trained-rows` makes the model on fewer rows than are monitored; `--folder` keeps the project.
"""

import argparse
import json
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from bench import COMMAND, PYTHON, TIMER, copy_project, run, say

STAGES = ("features", "train", "evaluate", "gate", "package", "monitor")
NOISE = {"temp": 1.0, "dewp": 1.0, "humid": 2.0, "pressure": 1.0}  # standard deviations
FILE_ROWS = 500_000  # rows of a file at most, as `ingest` writes them


def example_year(folder: Path) -> list[Path]:
    "Make a project of the example's whole year; give its validated files."
    copy_project(folder)
    params = (folder / "params.yaml").read_text(encoding="utf-8")
    (folder / "params.yaml").write_text(
        re.sub(r'asof: "[^"]*"', 'asof: "2013-12-31"', params), encoding="utf-8"
    )
    for stage in ("code", "ingest", "validate"):
        run([COMMAND, *(["stage"] if stage != "code" else []), stage], folder, folder)
    shutil.copytree(folder / "data/clean", folder / "bench/year")
    return sorted((folder / "bench/year").glob("*.parquet"))


def with_noise(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    "Move rows within their hour, and vary their weather."
    minutes = pd.to_timedelta(rng.integers(0, 60, len(rows)), unit="min")
    changed = {"scheduled": rows["scheduled"].dt.floor("h") + minutes}
    for name, spread in NOISE.items():
        changed[name] = (rows[name] + rng.normal(0, spread, len(rows))).round(2)
    return rows.assign(**changed)


def write_rows(files: list[Path], folder: Path, rows: int) -> int:
    "Write about so many rows in the place of the validated ones; give how many they are."
    total = sum(len(pd.read_parquet(file, columns=["scheduled"])) for file in files)
    copies, rng, written = max(1, round(rows / total)), np.random.default_rng(1), 0
    shutil.rmtree(folder)
    folder.mkdir()
    for file in files:
        month = pd.read_parquet(file)
        step = max(1, FILE_ROWS // len(month))
        for part, first in enumerate(range(0, copies, step), start=1):
            count = min(step, copies - first)
            made = pd.concat([with_noise(month, rng) for _ in range(count)], ignore_index=True)
            made = made.sort_values("scheduled", kind="stable", ignore_index=True)
            name = file.stem if copies <= step else f"{file.stem}-{part:03d}"
            made.to_parquet(folder / f"{name}.parquet", index=False, compression="zstd")
            written += len(made)
    return written


def measure(folder: Path, stage: str) -> dict[str, float]:
    """Run a stage as DVC does; give its seconds and its peak memory in MB, millions of bytes.

    The timer is a process of its own: a child's peak is at least that of its parent.
    """
    run([PYTHON, "-I", "-S", "-c", TIMER, stage, COMMAND, "stage", stage], folder, folder)
    line = (folder / "bench/costs.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    _, seconds, _, peak = json.loads(line)
    return {"seconds": seconds, "MB": peak}


def measure_stages(
    folder: Path, rows: int, trained: int, stages: list[str]
) -> list[dict[str, float | str]]:
    "Make a project and measure its stages in their order."
    files = example_year(folder)
    made, result = write_rows(files, folder / "data/clean", trained), []
    for stage in STAGES[: 1 + max(map(STAGES.index, stages))]:
        if stage == "monitor" and rows != trained:
            made = write_rows(files, folder / "data/clean", rows)
        say(f"scale: {stage}, {made:,} rows")
        result.append({"stage": stage, "rows": made} | measure(folder, stage))
    return [line for line in result if line["stage"] in stages]


def main() -> None:
    "Measure and print."
    parser = argparse.ArgumentParser(description="Measure the memory of stages on many rows.")
    parser.add_argument("--rows", type=int, default=330_000, help="about so many rows")
    parser.add_argument("--trained-rows", type=int, help="rows to train on; default: --rows")
    parser.add_argument("--folder", type=Path, help="where the project goes; default: removed")
    parser.add_argument("stages", nargs="*", default=list(STAGES), help=", ".join(STAGES))
    options = parser.parse_args()
    if unknown := set(options.stages) - set(STAGES):
        parser.error(f"{unknown.pop()} is no stage that is measured: {', '.join(STAGES)}")
    with tempfile.TemporaryDirectory(prefix="mlops_nb-scale-") as temporary:
        folder = (options.folder or Path(temporary) / "project").resolve()
        trained = options.trained_rows or options.rows
        print(json.dumps(measure_stages(folder, options.rows, trained, options.stages)))


if __name__ == "__main__":
    main()
