"The reference of metrics/*.json."

import subprocess
from pathlib import Path
from typing import Any

from generators.markdown import code, table
from generators.sources import ROOT, agree
from mlops_kit.core.files import load_json


def described(path: str, entries: dict[str, str]) -> str | None:
    "Find the entry for a key's path; `*` stands for any one name."
    for pattern in entries:
        parts, names = pattern.split("."), path.split(".")
        if len(parts) == len(names) and all(p in ("*", n) for p, n in zip(parts, names)):
            return pattern
    return None


def metric_types(
    value: Any, path: str, entries: dict[str, str], found: dict[str, set[str]]
) -> None:
    "Collect the types of every documented key, and the names of those that are not."
    pairs = value.items() if isinstance(value, dict) else []
    if isinstance(value, list):
        pairs = [("[]", item) for item in value if isinstance(item, dict)]
    for key, inner in pairs:
        name = f"{path}.{key}".strip(".")
        if key == "[]":
            metric_types(inner, name, entries, found)
            continue
        pattern = described(name, entries)
        if pattern is None:
            found[name] = set()
            continue
        found.setdefault(pattern, set()).add("null" if inner is None else type(inner).__name__)
        depth = len(name.split("."))
        if any(
            described(name, {".".join(e.split(".")[:depth]): ""}) and len(e.split(".")) > depth
            for e in entries
        ):
            metric_types(inner, name, entries, found)


def written_by_code(key: str) -> bool:
    "Tell whether the code names a key: what a file lacks today, another run may write."
    folders = [ROOT / "lib/nbs", ROOT / "nbs"]
    texts = (p.read_text(encoding="utf-8") for f in folders for p in f.rglob("*.ipynb"))
    return any(f'\\"{key}\\"' in text or f"{key}=" in text for text in texts)


def tracked() -> set[str]:
    "Name the metrics files that git tracks: timings are not among them."
    done = subprocess.run(
        ["git", "ls-files", "metrics"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {Path(line).stem for line in done.stdout.splitlines()}


def metrics_page(meanings: dict) -> str:
    "Write the keys of every file in metrics/ with type and meaning."
    files = {p.stem: load_json(p) for p in (ROOT / "metrics").glob("*.json") if p.stem in tracked()}
    agree("metrics", set(files) | {"retrain"}, set(meanings["metrics"]))
    text = (
        "# Metrics files\n\nThe small results that people compare in a pull request are committed as "
        "`metrics/*.json`. `*` stands for a name of the data, such as a column; `[]` for each entry "
        "of a list. The types are those of this project's files; a key without one does not occur "
        "in them.\n"
    )
    for stem, given in meanings["metrics"].items():
        entries = {str(k): v for k, v in given.items() if k != "about"}
        found: dict[str, set[str]] = {}
        if entries:
            metric_types(files.get(stem, {}), "", entries, found)
            kept = {k for k in entries if k in found or written_by_code(k.split(".")[-1])}
            agree(f"metrics.{stem}", kept | set(found), set(entries))
        rows = [[code(k), ", ".join(sorted(found.get(k, ()))), v] for k, v in entries.items()]
        text += f"\n## {stem}.json\n\n{given['about']}\n"
        text += "\n" + table(["key", "type", "meaning"], rows) if rows else ""
    return text
