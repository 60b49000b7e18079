"The page of the proofs."

import ast
import csv
import re

from generators.markdown import code, table
from generators.sources import ROOT


def last_runs() -> str:
    "Write when each proof ran last and how it ended, as tests/proofs/run.py noted it."
    with open(ROOT / "tests/proofs/last_run.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return "No run has been recorded in `tests/proofs/last_run.csv` yet.\n"
    head = ["proof", "last run", "commit", "seconds", "result"]
    link = lambda name: f"[{name}](#{name.replace('_', '-')})"
    return table(
        head,
        [[link(r["proof"]), r["day"], code(r["commit"]), r["seconds"], r["result"]] for r in rows],
    )


def drift_figures() -> str:
    "Lay out what `tests/proofs/drift.py` measured last: windows with a false alarm, and power."
    with open(ROOT / "tests/proofs/drift.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows = [r for r in rows if r["set"] == "all" or r["what"] == "alarms"]
    found: dict[tuple[str, str, str], list[int]] = {}
    for r in rows:
        what = r["change"] or "false alarms"
        pair = found.setdefault((r["tool"], r["window"], what), [0, 0])
        pair[0], pair[1] = pair[0] + int(r["hits"]), pair[1] + int(r["tries"])
    lengths = list(dict.fromkeys(window for _, window, _ in found))
    lines = dict.fromkeys((tool, what) for tool, _, what in found)
    cell = lambda pair: f"{pair[0] / pair[1]:.1%} of {pair[1]:,}" if pair and pair[1] else ""
    shown = [
        [tool, what, *(cell(found.get((tool, length, what))) for length in lengths)]
        for tool, what in lines
    ]
    days = sorted({r["day"] for r in rows})
    return (
        f"Measured on {' and '.join(days)}, over references of all lengths; a power is a share of "
        "the columns and windows in which the change was made.\n\n"
        + table(["by", "what", *(f"a {length}" for length in lengths)], shown)
    )


def proofs_page() -> str:
    "Write what each slow proof shows and how it is run, as its own docstring says."
    text = (
        "# Proofs\n\nA proof is a slow test of a claim: it repeats, kills, damages or replays, and "
        "fails when the claim does not hold. `make proofs` runs them one after another; each can be "
        "run by itself, in the environment of `make setup`. A proof prints its figures; those that "
        "belong to the machine that ran it are not copied here.\n\n" + last_runs()
    )
    for path in sorted((ROOT / "tests/proofs").glob("*.py")):
        if path.stem in ("run", "servers"):
            continue  # what proofs share
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        head, _, rest = doc.partition("\n\n")
        shown = [line.strip() for line in rest.splitlines() if "python tests/proofs/" in line]
        shown = shown or [f"python tests/proofs/{path.name}"]
        more = [line for line in rest.splitlines() if "python tests/proofs/" not in line]
        text += f"\n## {path.stem}\n\n{head.strip()}\n\n```bash\n"
        text += "\n".join(re.sub(r"\s{2,}(.*)$", r"   # \1", line) for line in shown) + "\n```\n"
        text += "\n" + "\n".join(line.strip() for line in more).strip() + "\n"
        text += "\n" + drift_figures() if path.stem == "drift" else ""
    return text
