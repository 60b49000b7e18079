"""Measure what notebooks cost: start-up, nothing to do, the table of experiments, drift checks, the cold pipeline against plain scripts, memory.

Everything runs in temporary copies of the working tree. One table is printed; nothing is judged beyond saying which targets are met.
The whole takes a few minutes; `.venv/bin/python tests/bench/bench.py --skip-cold` leaves out the long half.
"""

import argparse
import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from mlops_kit.core.files import read_yaml
from mlops_kit.core.project import project_notebooks, read_notebook, stage_names
from mlops_kit.core.fork_server import limit_threads
from mlops_kit.notebooks.source import without_magics
from mlops_kit.core.params import all_declared, resolve_parameters, sample_params

ROOT = Path(__file__).resolve().parents[2]
PYTHON = str(ROOT / ".venv/bin/python")
COMMAND = str(ROOT / ".venv/bin/mlops-nb")
REPRO = [PYTHON, "-m", "dvc", "repro"]
Row = tuple[str, str, str, str, str]  # what, this project, beside it, how they compare, target
# seconds, processor seconds and peak MB by stage; of `dvc repro` under "all"
Costs = dict[str, tuple[float, float, float]]

# Starts a stage's command as DVC would, and notes seconds, processor seconds and peak memory of it
# and its children.
TIMER = """
import json, os, sys, time
started = time.perf_counter()
_, status, used = os.wait4(os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ), 0)
peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
fact = [sys.argv[1], time.perf_counter() - started, used.ru_utime + used.ru_stime, peak]
with open("bench/costs.jsonl", "a") as log:
    log.write(json.dumps(fact) + "\\n")
sys.exit(os.waitstatus_to_exitcode(status))
"""

# Runs `mlops-nb stage empty` and says how long each part took.
PARTS = """
import json, sys, time
took, begun = {}, time.time()
last = begun

def mark(part):
    global last
    now = time.time()
    took[part], last = took.get(part, 0) + now - last, now

def execute(*args):
    mark("parameters")
    import papermill.execute
    mark("papermill, import")
    import mlops_kit.notebooks.engine
    mark("IPython, import")
    mlops_kit.notebooks.engine.NotebookShell.instance()
    mark("IPython, shell")
    done = original_execute(*args)
    mark("cells")
    return done

def save_report(*args):
    page = original_report(*args)
    mark("report")
    return page

def stage_command(name):
    mark("command line")
    return original_command(name)

import mlops_kit.cli.main
mark("command line")
import mlops_kit.notebooks.runner as stage
mark("stage modules, import")
original_execute, stage.execute = stage.execute, execute
original_report, stage.save_report = stage.save_report, save_report
original_command, stage.stage_command = stage.stage_command, stage_command
sys.argv = ["mlops-nb", "stage", "empty"]
try:
    mlops_kit.cli.main.main()
except SystemExit as end:
    mark("timings, lock")
    print(json.dumps([begun, took, last]))
    raise
"""

# What a script made from a notebook begins with: what the runner says of threads, figures drawn to
# files, nothing displayed.
SCRIPT = '''"""The Run section of {notebook}, without the notebook."""
import os
{threads}
def display(*values, **options): pass
from pathlib import Path
trial = Path("bench/trial")
'''
FIGURES = """
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
def save_figures(_plot=plt, _seen=[]):
    for number in _plot.get_fignums():
        _seen.append(number)
        _plot.figure(number)
        _plot.savefig(f"bench/{name}-{{len(_seen)}}.png")
    _plot.close("all")
plt.show = save_figures
"""


def say(text: str) -> None:
    "Tell on stderr what goes on."
    print(text, file=sys.stderr, flush=True)


def clean_environment(code: Path) -> dict[str, str]:
    "Give the environment of a fresh terminal in which the package in `code` is imported."
    dropped = ("PYTHON", "MLOPS_NB_", "GIT_", "IN_TEST", "DVC_", "COVERAGE_", "VIRTUAL_ENV")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    path = os.pathsep.join([str(Path(PYTHON).parent), kept.get("PATH", os.defpath)])
    author = {
        f"GIT_{who}_{what}": "bench@example.com"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    return (
        kept
        | author
        | {"PATH": path, "PYTHONPATH": f"{code / 'lib'}{os.pathsep}{code}", "DVC_NO_ANALYTICS": "1"}
    )


def run(command: list[str], folder: Path, code: Path = ROOT) -> tuple[float, str]:
    """Run a command in a folder; give its seconds and what it printed.

    Ends the bench when the command fails.
    """
    started = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(code),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(
            f"bench: {' '.join(command)} ended with {done.returncode} in {folder}:\n"
            f"{(done.stdout + done.stderr)[-3000:]}"
        )
    return seconds, done.stdout


def copy_project(folder: Path) -> Path:
    "Copy the working tree, uncommitted edits and all, without anything the pipeline has made."
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in sorted(set(listed.stdout.split("\0")) - {"", "dvc.lock", "MODEL_CARD.md"}):
        if (ROOT / name).is_file() and not name.startswith("metrics/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / "bench").mkdir()
    (folder / ".gitignore").write_text(
        (folder / ".gitignore").read_text(encoding="utf-8") + "/bench/\n", encoding="utf-8"
    )
    for command in (
        ["git", "init", "-q"],
        ["git", "add", "-A"],
        ["git", "commit", "-qm", "bench", "--no-verify"],
        [PYTHON, "-m", "compileall", "-q", "mlops_nb", "lib/mlops_kit"],
    ):
        run(command, folder, folder)
    return folder


def empty_project(folder: Path) -> Path:
    "Make a project of one stage whose notebook holds one parameter and nothing else."
    for name in ("nbs", ".dvc/tmp"):
        (folder / name).mkdir(parents=True)
    cell = {
        "cell_type": "code",
        "id": "a",
        "metadata": {"tags": ["parameters"]},
        "outputs": [],
        "execution_count": None,
        "source": "n: int = 1",
    }
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    (folder / "nbs/01_empty.ipynb").write_text(json.dumps(notebook))
    (folder / "settings.ini").write_text("[DEFAULT]\nlib_name = empty\n")
    (folder / "dvc.yaml").write_text("stages:\n  code: {cmd: x}\n  empty: {cmd: x}\n")
    (folder / "params.yaml").write_text("empty:\n  n: 2\n")
    return folder


def copying_pipeline(folder: Path) -> Path:
    "Make a DVC pipeline of ten stages, each of which copies a small file, and run it."
    folder.mkdir()
    (folder / "0.txt").write_text("something\n")
    stages = {
        f"copy{n}": {
            "cmd": f"cp {n}.txt {n + 1}.txt",
            "deps": [f"{n}.txt"],
            "outs": [f"{n + 1}.txt"],
        }
        for n in range(10)
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    for command in (["git", "init", "-q"], [PYTHON, "-m", "dvc", "init", "-q"], REPRO):
        run(command, folder)
    return folder


def row(what: str, here: float, beside: float, unit: str = "s", target: float | None = None) -> Row:
    "Compare two figures by their ratio."
    digits = 0 if unit == "MB" else 2
    ratio = here / beside if beside else float("nan")
    aim = f"at most {target:.1f} times: {'met' if ratio <= target else 'MISSED'}" if target else ""
    return (
        what,
        f"{here:.{digits}f} {unit}",
        f"{beside:.{digits}f} {unit}",
        f"{ratio:.2f} times",
        aim,
    )


def start_up(work: Path, code: Path, repeats: int = 7) -> list[Row]:
    "Time Python, the import of papermill and an empty stage in turn, and the parts of the stage."
    folder = empty_project(work / "empty")
    commands = {
        "python": [PYTHON, "-c", "pass"],
        "papermill": [PYTHON, "-c", "import papermill"],
        "stage": [COMMAND, "stage", "empty"],
        "parts": [PYTHON, "-c", PARTS],
    }
    seconds, parts = {name: [] for name in commands}, []
    for number in range(repeats + 1):  # the first round only warms up
        for name, command in commands.items():
            started = time.time()
            took, printed = run(command, folder, code)
            seconds[name] += [took] if number else []
        begun, took_by_part, ended = json.loads(printed.splitlines()[-1])
        parts.append(
            {"Python, start": begun - started, **took_by_part, "Python, end": time.time() - ended}
        )
    python, papermill, stage, _ = (median(seconds[name]) for name in commands)
    inside = {part: median(p[part] for p in parts[1:]) for part in parts[0]}
    more = stage - papermill
    return [
        ("python -c pass", f"{python:.2f} s", "", "", ""),
        ("import papermill", f"{papermill:.2f} s", "", "", ""),
        (
            "an empty stage",
            f"{stage:.2f} s",
            f"{papermill:.2f} s",
            f"{more:+.2f} s",
            f"at most +1.0 s: {'met' if more <= 1 else 'MISSED'}",
        ),
        *(
            (f"  {part}", f"{took:.2f} s", "", f"{took / sum(inside.values()):.0%}", "")
            for part, took in inside.items()
        ),
    ]


def nothing_to_do(project: Path, copies: Path, repeats: int = 5) -> list[Row]:
    "Time `dvc repro` where everything is up to date, here and in the pipeline of copies, in turn."
    commands = {
        "here": (REPRO, project),
        "copies": (REPRO, copies),
        "mlops-nb": ([COMMAND, "repro"], project),
    }
    seconds = {name: [] for name in commands}
    for number in range(repeats + 1):  # the first round only warms up
        say(f"nothing to do, round {number} of {repeats}")
        for name, (command, folder) in commands.items():
            took, printed = run(command, folder, project)
            if name != "mlops-nb" and "Data and pipelines are up to date." not in printed:
                sys.exit(f"bench: {folder} is not up to date:\n{printed[-3000:]}")
            if number:
                seconds[name].append(took)
    here, beside, command = (median(seconds[name]) for name in commands)
    return [
        row("dvc repro", here, beside, target=1.3),
        row("mlops-nb repro, with its summary", command, beside),
    ]


def small_project(folder: Path) -> Path:
    """Make a copy of the project whose pipeline has run on the small parameters of the parameters
    cells.
    """
    copy_project(folder)
    (folder / "params.yaml").write_text(yaml.safe_dump(sample_params(folder), sort_keys=False))
    say("running the pipeline on a sample, so that there is nothing to do")
    run(REPRO, folder, folder)
    return folder


def many_experiments(folder: Path, count: int) -> None:
    """Give a project refs of experiments as a grid would leave them.

    The workspace's files with other parameters and scores.
    """
    head = run(["git", "rev-parse", "HEAD"], folder)[1].strip()
    params, metrics = (
        (folder / "params.yaml").read_text(encoding="utf-8"),
        json.loads((folder / "metrics/evaluate.json").read_text(encoding="utf-8")),
    )
    stream = []
    for number in range(count):
        metrics["metrics"][metrics["metric"]]["value"] = 0.5 + number / 1000
        files = {
            "params.yaml": re.sub(r"(?m)^(  rounds:).*$", rf"\1 {number + 1}", params),
            "metrics/evaluate.json": json.dumps(metrics),
        }
        files |= {
            name: (folder / name).read_text(encoding="utf-8")
            for name in ("metrics/gate.json", "metrics/train.json")
        }
        files["dvc.lock"] = (folder / "dvc.lock").read_text(encoding="utf-8") + f"# {number}\n"
        stream.append(
            f"commit refs/exps/{head[:2]}/{head[2:]}/bench-{number}\ncommitter bench "
            f"<bench@example.com> {1700000000 + number} +0000\ndata 5\nbench\nfrom {head}\n"
        )
        stream += [
            f"M 100644 inline {name}\ndata {len(text.encode())}\n{text}\n"
            for name, text in files.items()
        ]
    subprocess.run(
        ["git", "fast-import", "--quiet"], cwd=folder, input="".join(stream).encode(), check=True
    )


def table_of_experiments(project: Path, count: int = 50, repeats: int = 5) -> list[Row]:
    """Time `mlops-nb experiments` beside `dvc exp show`, with the machine at rest and with every
    core busy.
    """
    many_experiments(project, count)
    commands = {
        "here": [COMMAND, "experiments"],
        "dvc": [PYTHON, "-m", "dvc", "exp", "show", "--csv"],
    }
    rows = []
    for state, burners in (("at rest", 0), ("every core busy", os.cpu_count() or 1)):
        burning = [subprocess.Popen([PYTHON, "-c", "while True: pass"]) for _ in range(burners)]
        seconds = {name: [] for name in commands}
        try:
            for number in range(repeats + 1):  # the first round only warms up
                for name, command in commands.items():
                    took, printed = run(command, project, project)
                    if f"bench-{count - 1}" not in printed:
                        sys.exit(
                            f"bench: {' '.join(command)} does not list the experiments:\n"
                            f"{printed[-3000:]}"
                        )
                    seconds[name] += [took] if number else []
        finally:
            for process in burning:
                process.kill()
                process.wait()
        here, beside = (median(seconds[name]) for name in commands)
        what, *middle, _ = row(f"{count} experiments, {state}", here, beside)
        rows.append(
            (
                what,
                *middle,
                f"at most 2.0 s: {'met' if max(seconds['here']) <= 2 else 'MISSED'} (worst "
                f"{max(seconds['here']):.2f} s)",
            )
        )
    return rows


def only_imports(source: str) -> bool:
    "Tell whether a cell does nothing but import."
    body = ast.parse(without_magics(source)).body
    return bool(body) and all(isinstance(node, (ast.Import, ast.ImportFrom)) for node in body)


def run_cells(notebook: dict[str, Any]) -> list[str]:
    """Choose the cells that do a stage's work.

    Imports before the parameters, then everything from `## Run` on, or from the parameters where
    there is no such heading.
    """
    cells = [(c, "".join(c["source"])) for c in notebook["cells"]]
    given = next(
        i for i, (c, _) in enumerate(cells) if "parameters" in c["metadata"].get("tags", [])
    )
    start = next(
        (
            i
            for i, (c, s) in enumerate(cells)
            if c["cell_type"] == "markdown" and re.search(r"^## Run\b", s, re.M)
        ),
        given + 1,
    )
    code = [(i, s) for i, (c, s) in enumerate(cells) if c["cell_type"] == "code"]
    return [
        s
        for i, s in code
        if (i < given and only_imports(s)) or (i >= start and "stage_parameters(" not in s)
    ]


def plain_script(name: str, path: Path, values: dict[str, Any]) -> str:
    "Write the script that does a stage's work without its notebook."
    source = without_magics("\n\n".join(run_cells(read_notebook(path))))
    source = re.sub(
        r"^from IPython\.display import ([\w, ]+)$",
        lambda m: " = ".join([n.strip() for n in m[1].split(",")] + ["display"]),
        source,
        flags=re.M,
    )
    given = "".join(f"{key} = {value!r}\n" for key, value in values.items())
    figures = FIGURES.format(name=name) if re.search(r"\bplt\b", source) else ""
    settings: dict[str, str] = {}
    limit_threads(settings)
    threads = "\n".join(f"os.environ.setdefault({k!r}, {v!r})" for k, v in settings.items())
    return (
        SCRIPT.format(notebook=path.name, threads=threads) + figures + given + "\n" + source + "\n"
    )


def write_scripts(folder: Path) -> None:
    "Write a script for every stage of the project in a folder."
    params, declared = read_yaml(folder / "params.yaml"), all_declared(folder)
    (folder / "scripts_plain").mkdir()
    for name in stage_names(folder):
        text = plain_script(
            name, project_notebooks(folder)[name], resolve_parameters(name, params, declared)
        )
        (folder / f"scripts_plain/{name}.py").write_text(text, encoding="utf-8")


def set_commands(folder: Path, plain: bool) -> None:
    """Put the timer before every stage's command.

    Make the stages plain scripts that write no report, if asked.
    """
    pipeline = read_yaml(folder / "dvc.yaml")
    for name, stage in pipeline["stages"].items():
        if plain and name != "code":
            stage["cmd"] = f"python -P scripts_plain/{name}.py"
            stage["outs"] = [
                out
                for out in stage["outs"]
                if out not in (f"reports/{name}.html", f"reports/{name}.ipynb")
            ]
            stage["deps"] = [dep for dep in stage["deps"] if not dep.endswith(".ipynb")]
        stage["cmd"] = f"python -I -S bench/timer.py {name} {stage['cmd']}"
    (folder / "bench/timer.py").write_text(TIMER)
    (folder / "dvc.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False, width=1000))


def cold_run(folder: Path, plain: bool) -> Costs:
    "Run the whole pipeline in a fresh copy of the project: no cache, no lock file."
    copy_project(folder)
    if plain:
        write_scripts(folder)
    set_commands(folder, plain)
    seconds, _ = run(REPRO, folder, folder)
    lines = [json.loads(line) for line in (folder / "bench/costs.jsonl").read_text().splitlines()]
    say(f"cold pipeline, {'plain scripts' if plain else 'notebooks'}: {seconds:.1f} s")
    return {name: (took, busy, peak) for name, took, busy, peak in lines} | {
        "all": (seconds, sum(line[2] for line in lines), 0.0)
    }


def results(folder: Path) -> dict[str, bytes]:
    "Read the results that a pipeline wrote, timings left out."
    return {
        p.name: p.read_bytes()
        for p in sorted((folder / "metrics").glob("*.json"))
        if p.name != "timings.json"
    }


def warm_up(code: Path) -> None:
    "Read every library once, so that the first pipeline does not pay for the disk."
    files = [*(code / "mlops_nb").glob("[a-z]*.py"), *(code / "lib/mlops_kit").glob("*/[a-z]*.py")]
    parts = [p.relative_to(code).with_suffix("").parts for p in sorted(files)]
    names = ", ".join(".".join(p[1:] if p[0] == "lib" else p) for p in parts)
    run(
        [
            PYTHON,
            "-c",
            f"import {names}, matplotlib.pyplot, dvclive, nbdev.export, papermill.execute",
        ],
        code,
        code,
    )


def cold_runs(work: Path, repeats: int) -> tuple[Costs, Costs, bool]:
    """Run the cold pipeline with notebooks and with plain scripts in turn.

    Give the medians and whether all results agree.
    """
    runs: dict[bool, list[Costs]] = {False: [], True: []}
    found = []
    for number in range(repeats):
        for plain in (False, True) if number % 2 == 0 else (True, False):
            folder = work / f"{'plain' if plain else 'notebooks'}{number}"
            runs[plain].append(cold_run(folder, plain))
            found.append(results(folder))
            if number or plain:
                shutil.rmtree(folder)
    here, beside = (
        {n: tuple(median(r[n][i] for r in part) for i in range(3)) for n in part[0]}
        for part in (runs[False], runs[True])
    )
    return here, beside, all(f == found[0] for f in found) and len(found[0]) > 0


def cold_rows(here: Costs, beside: Costs, same: bool) -> list[Row]:
    "Compare the seconds of the two cold pipelines."
    rows = [row(name, here[name][0], beside[name][0]) for name in here if name != "all"]
    dvc = [
        c["all"][0] - sum(cost[0] for n, cost in c.items() if n != "all") for c in (here, beside)
    ]
    rows += [row("DVC itself", *dvc), row("all", here["all"][0], beside["all"][0], target=1.3)]
    rows.append(
        row(
            "all, had the scripts no stage `code`",
            here["all"][0],
            beside["all"][0] - beside["code"][0],
        )
    )
    rows.append(row("all stages, processor time", here["all"][1], beside["all"][1]))
    return [*rows, ("metrics/*.json", "", "", "the same bytes" if same else "DIFFERENT", "")]


def memory_rows(here: Costs, beside: Costs) -> list[Row]:
    "Compare the peak memory of the stages."
    return [row(name, here[name][2], beside[name][2], "MB") for name in here if name != "all"]


def compare_rows(what: str, took: dict[str, float]) -> list[Row]:
    "Hold the cost of a reference and a verdict against the bar, which is for 20 columns."
    seconds, bar = took["reference"] + took["verdict"], what.startswith("20")
    met = lambda value, most, unit: (
        f"at most {most} {unit}: {'met' if value <= most else 'MISSED'}" if bar else ""
    )
    return [
        (f"reference and verdict, {what}", f"{seconds:.2f} s", "", "", met(seconds, 6, "s")),
        (f"their memory, {what}", f"{took['MB']:.0f} MB", "", "", met(took["MB"], 400, "MB")),
    ]


def drift_checks(code: Path) -> list[Row]:
    """Time profiles, references and verdicts, and measure the memory of profiling many rows, each in
    a process of its own.
    """
    measured = {}
    for what in ("profile", "compare", "memory"):
        say(f"drift checks: {what}")
        measured[what] = json.loads(
            run([PYTHON, str(ROOT / "tests/bench/drift.py"), what], code, code)[1].splitlines()[-1]
        )
    ours, theirs, peak = (
        measured["profile"]["here"],
        measured["profile"]["beside"],
        measured["memory"]["MB"],
    )
    return [
        (
            "profile of 300,000 × 20",
            f"{ours:.2f} s",
            f"{theirs:.2f} s",
            f"{theirs / ours:.2f} times as fast",
            f"at least 1.7 times: {'met' if theirs >= 1.7 * ours else 'MISSED'}",
        ),
        *(row for what, took in measured["compare"].items() for row in compare_rows(what, took)),
        (
            f"profile of {measured['memory']['rows']:,} × 20 in batches",
            f"{peak:.0f} MB",
            "",
            "",
            f"at most 1000 MB: {'met' if peak <= 1000 else 'MISSED'}",
        ),
    ]


# rows and MB at which a stage is held against its bar; of fewer rows the bar is met easily
BARS = {"features": (3_000_000, 1500), "train": (3_000_000, 3000), "monitor": (10_000_000, 1000)}


def many_rows(work: Path, code: Path, rows: int) -> list[Row]:
    "Measure stages on a made project of many rows, in a process of their own."
    script, folder = str(ROOT / "tests/bench/scale.py"), str(work / "scale")
    printed = run([PYTHON, script, "--rows", str(rows), "--folder", folder], ROOT, code)[1]
    shutil.rmtree(folder)
    found = []
    for line in json.loads(printed.splitlines()[-1]):
        at, most = BARS.get(line["stage"], (0, 0))
        peak = line["MB"]
        met = f": {'met' if peak <= most else 'MISSED'}" if line["rows"] >= at else ""
        aim = f"at most {most} MB at {at:,} rows{met}" if most else ""
        what = f"{line['stage']}, {line['rows']:,} rows"
        found.append((what, f"{peak:.0f} MB", "", f"{line['seconds']:.0f} s", aim))
    return found


def show(sections: dict[str, list[Row]]) -> None:
    "Print all sections as one table."
    head: Row = ("", "this project", "beside it", "compared", "target")
    widths = [
        max(len(r[i]) for rows in [[head], *sections.values()] for r in rows) for i in range(5)
    ]

    def line(cells: Row) -> str:
        return "  ".join(
            c.ljust(w) if i in (0, 4) else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths))
        ).rstrip()

    print(line(head))
    for title, rows in sections.items():
        print("-" * (sum(widths) + 8), title, *map(line, rows), sep="\n")


def main() -> None:
    "Measure and print."
    parser = argparse.ArgumentParser(
        description="Measure start-up, nothing to do, the cost of notebooks and memory."
    )
    parser.add_argument(
        "--skip-cold", action="store_true", help="leave out the cold pipelines and their memory"
    )
    parser.add_argument(
        "--repeat",
        type=int,
        default=1,
        metavar="N",
        help="run the cold pipelines N times in turn and take medians",
    )
    parser.add_argument(
        "--rows",
        type=int,
        default=330_000,
        metavar="N",
        help="rows of the project on which the memory of stages is measured; 0: leave it out",
    )
    options = parser.parse_args()
    if options.repeat < 1:
        parser.error("--repeat must be at least 1")
    with tempfile.TemporaryDirectory(prefix="mlops_nb-bench-") as folder:
        work = Path(folder).resolve()
        code, cold = copy_project(work / "code"), None
        say("start-up")
        sections = {"START-UP (beside it: import papermill)": start_up(work, code)}
        if not options.skip_cold:
            warm_up(code)
            cold = cold_runs(work, options.repeat)
        project = work / "notebooks0" if cold else small_project(work / "small")
        sections["NOTHING TO DO (beside it: ten stages of cp)"] = nothing_to_do(
            project, copying_pipeline(work / "copies")
        )
        sections["TABLE OF EXPERIMENTS (beside it: dvc exp show)"] = table_of_experiments(project)
        sections["DRIFT CHECKS (beside it: one why.log)"] = drift_checks(code)
        if options.rows:
            say(f"stages on {options.rows:,} rows")
            sections["STAGES ON MANY ROWS (peak memory)"] = many_rows(work, code, options.rows)
        if cold:
            sections["COLD PIPELINE (beside it: the Run sections as plain scripts)"] = cold_rows(
                *cold
            )
            sections["PEAK MEMORY (beside it: plain scripts)"] = memory_rows(*cold[:2])
    show(sections)


if __name__ == "__main__":
    main()
