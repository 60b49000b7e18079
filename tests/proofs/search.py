"""Proof of the search: with its default budget it beats the settings of params.yaml on validation and is not worse on test; `kill -9` costs one trial.

    python tests/proofs/search.py                       the budget of params.yaml
    python tests/proofs/search.py --seconds 20

Works in a copy of this folder, which must have been brought up to date by `mlops-nb repro`. Compares on the test window, on the same draws of days.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def stage(work: Path, seed: int, limit: float | None = None, **search) -> dict:
    """Run the stage train in a copy with a search; kill it with all it started after `limit`
    seconds.

    Give metrics/train.json.
    """
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["seed"] = seed
    params["train"]["search"] |= search
    (work / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    env = os.environ | {"MLOPS_NB_ROOT": str(work)}
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "mlops-nb"), "stage", "train"],
        cwd=work,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        text, _ = process.communicate(timeout=limit or 900)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if limit is None:
            sys.exit("FAILED: the stage did not end in 900 s")
        return {}
    if process.returncode:
        sys.exit(f"FAILED: {text}")
    return json.loads((work / "metrics/train.json").read_text())


def on_test(work: Path, given: Path) -> dict[str, float]:
    """Compare the copy's model with one of the settings of params.yaml on the test window.

    The difference with its interval.
    """
    from mlops_kit.core.files import load_json, load_table
    from mlops_kit.models.evaluation import resample_units
    from mlops_kit.models.metrics import bootstrap_interval, primary_metric, resample_weights
    from mlops_kit.models.estimators import predict_scores
    from mlops_kit.models.encoding import encode_labels
    from mlops_kit.models.serialization import load_model

    listing, rows = (
        load_json(ROOT / "data/features/features.json"),
        load_table(ROOT / "data/features/test.parquet"),
    )
    names, answer, values = (
        list(listing["features"]),
        listing["spec"],
        encode_labels(rows[listing["target"]], listing["spec"]),
    )
    ours, theirs = (
        predict_scores(load_model(path), rows[names], answer)
        for path in (work / "models/model.skops", given)
    )
    units, _ = resample_units(rows, listing["time"], listing["group"])
    draws = [
        primary_metric(values, ours, answer, w) - primary_metric(values, theirs, answer, w)
        for w in resample_weights(units, 200, 1)
    ]
    return {
        "value": primary_metric(values, ours, answer) - primary_metric(values, theirs, answer),
        **dict(zip(("low", "high"), map(float, bootstrap_interval(draws)))),
    }


def prove(seeds: list[int], seconds: float) -> None:
    for seed in seeds:
        work = copy_of_project()
        try:
            stage(work, seed, method="none")
            shutil.copy(work / "models/model.skops", work / "given.skops")
            started = time.perf_counter()
            found = stage(work, seed, method="tpe", seconds=seconds, trials=0)["search"]
            test = on_test(work, work / "given.skops")
            line = (
                f"seed {seed}: {found['trials']} trials ({found['pruned']} cut short) in "
                f"{time.perf_counter() - started:.0f} s with the stage; validation "
                f"{found['given']:.4f} → {found['score']:.4f}; "
            )
            print(
                line + f"test {test['value']:+.4f} [{test['low']:+.4f}, {test['high']:+.4f}]",
                flush=True,
            )
            if found["score"] <= found["given"]:
                sys.exit(
                    "FAILED: the search does not beat the settings of params.yaml on validation"
                )
            if test["high"] < 0:
                sys.exit("FAILED: the search's model is worse on test")
        finally:
            shutil.rmtree(work)


def prove_kill(seconds: float) -> None:
    "Kill a search twice; it must end with the trials and the bytes of one that was left alone."
    work = copy_of_project()
    try:
        alone = stage(work, 1, method="tpe", seconds=0, trials=9)
        left_alone = (work / "models/model.skops").read_bytes()
        (work / "models/model.skops").unlink()
        for limit in (seconds / 4, seconds / 3):
            stage(work, 1, limit, method="tpe", seconds=0, trials=9)
            logs = list((work / ".dvc/tmp/search").glob("*.jsonl"))
            print(
                f"killed after {limit:.0f} s: "
                f"{sum(len(log.read_text().splitlines()) for log in logs)} of 9 trials on record",
                flush=True,
            )
        again = stage(work, 1, method="tpe", seconds=0, trials=9)
        if again != alone or (work / "models/model.skops").read_bytes() != left_alone:
            sys.exit("FAILED: a search that was killed ends otherwise than one that was left alone")
        if list((work / ".dvc/tmp/search").glob("*.jsonl")):
            sys.exit("FAILED: the trials of a search that ended are still on record")
        print(
            "a search killed twice gives the same metrics and the same model as one left alone",
            flush=True,
        )
    finally:
        shutil.rmtree(work)


def copy_of_project() -> Path:
    "Copy what the stage train needs."
    if not (ROOT / "data/features/train.parquet").exists():
        sys.exit("FAILED: data/features is missing; run `mlops-nb repro` first")
    work = Path(tempfile.mkdtemp(prefix="search-"))
    for name in (
        "nbs",
        "settings.ini",
        "contract.yaml",
        "dvc.yaml",
        "params.yaml",
        "projection",
        "data/features",
    ):
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, work / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints")
            )
        else:
            shutil.copy(ROOT / name, work / name)
    return work


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--seconds",
        type=float,
        default=yaml.safe_load((ROOT / "params.yaml").read_text())["train"]["search"]["seconds"],
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[yaml.safe_load((ROOT / "params.yaml").read_text())["seed"], 1],
    )
    options = parser.parse_args()
    prove(options.seeds, options.seconds)
    prove_kill(options.seconds)
