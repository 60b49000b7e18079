"""Write the source of the documentation site: the pages of docs/, the chapters, the library's notebooks, and reference pages made from the code.

    python docs/generate.py docs/_build/source

A chapter is taken as the pipeline executed it (reports/NAME.ipynb), or from nbs/ when this code has not run. A field, key or package without an entry in docs/meanings.yaml is an error.
"""

import ast
import csv
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import typer
import yaml

from mlops_kit.cli.main import app
from mlops_kit.core import contract
from mlops_kit.core.files import UserError, load_json, read_yaml
from mlops_kit.core.params import declared_parameters
from mlops_kit.core.project import stage_names

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = ("index.md", "conf.py", "_static", "tutorial", "how-to", "explanation", "report.png")
TABLE = "| {} |"


# --- Markdown


def cell(text: Any) -> str:
    "Write a text as a cell of a table."
    return re.sub(r"\s+", " ", str(text)).replace("|", "\\|").strip() or " "


def table(head: list[str], rows: list[list[Any]]) -> str:
    "Write a table."
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(TABLE.format(" | ".join(map(cell, line))) for line in lines) + "\n"


def code(text: Any) -> str:
    "Write a value as code; nothing for nothing."
    return f"`{text}`" if str(text) else ""


def toctree(pages: list[str], caption: str = "") -> str:
    "List the pages below this one; the theme shows them at the side."
    head = f":caption: {caption}\n" if caption else ""
    return "```{toctree}\n:hidden:\n" + head + "\n" + "\n".join(pages) + "\n```\n"


# --- Notebooks


def title_and_summary(notebook: dict) -> tuple[str, str]:
    "Read a notebook's first cell: its heading, and the sentence quoted below it."
    first = "".join(notebook["cells"][0]["source"])
    found = re.match(r"# (.+)\n+> ((?:.+\n?)+)", first)
    if not found:
        raise UserError(f"a notebook must begin with `# Title` and `> one sentence`, not {first!r}")
    return found[1], " ".join(found[2].replace("\n> ", "\n").split())


def relinked(text: str, links: dict[str, str]) -> str:
    "Turn the links of a Markdown text to other pages: `links` says which to which."
    for old, new in links.items():
        text = text.replace(f"]({old}", f"]({new}")
    return text


def page_of(notebook: dict, relink: dict[str, str]) -> str:
    "Give a notebook as a page: nbdev's own cells left out, its links turned to the site's pages."
    kept = []
    for c in notebook["cells"]:
        source = "".join(c["source"])
        if c["cell_type"] == "code" and re.match(r"#\| *(default_exp|hide)\b", source):
            continue
        if c["cell_type"] == "code":
            source = re.sub(r"^#\|.*\n?", "", source, flags=re.M).strip("\n")
        if c["cell_type"] == "markdown":
            source = relinked(source, relink)
        for output in c.get("outputs", []):
            if text := output.get("data", {}).get("text/markdown"):
                output["data"]["text/markdown"] = relinked("".join(text), relink)
        kept.append({**c, "source": source, "metadata": {}})
    language = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    return json.dumps({**notebook, "cells": kept, "metadata": language}, indent=1)


def code_cells(notebook: dict) -> list[str]:
    "List the code of a notebook, without the parameters that papermill put in."
    kept = [c for c in notebook["cells"] if "injected-parameters" not in tags(c)]
    return ["".join(c["source"]) for c in kept if c["cell_type"] == "code"]


def without_report_data(notebook: dict) -> dict:
    "Drop what only a report draws, its banner and captions; the same words stand there as Markdown."
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            kept = {k: v for k, v in output.get("data", {}).items() if "vnd.mlops" not in k}
            output |= {"data": kept} if "data" in output else {}
    return notebook


def chapters() -> Iterator[tuple[Path, dict]]:
    """Give every chapter in reading order: its path in nbs/, and the notebook.

    It is the executed one where the pipeline ran this very code.
    """
    paths = sorted((ROOT / "nbs").glob("*.ipynb"), key=lambda p: (p.stem != "index", p.name))
    for path in paths:
        notebook = load_json(path)
        executed = ROOT / f"reports/{re.sub(r'^[0-9]+_', '', path.stem)}.ipynb"
        if executed.is_file() and code_cells(load_json(executed)) == code_cells(notebook):
            notebook = without_report_data(load_json(executed))
        yield path, notebook


def chapter_pages() -> dict[str, str]:
    "Write the chapters and their list."
    found = list(chapters())
    links = {re.sub(r"^\d+_", "", p.stem) + ".html": p.name for p, _ in found}
    links["../lib/nbs/"] = "../library/"
    pages = {
        f"chapters/{'story' if p.stem == 'index' else p.stem}.ipynb": page_of(n, links)
        for p, n in found
    }
    rows = [
        [f"[{t}]({'story' if p.stem == 'index' else p.stem}.ipynb)", s, f"`nbs/{p.name}`"]
        for p, n in found
        for t, s in [title_and_summary(n)]
    ]
    names = ["story" if p.stem == "index" else p.stem for p, _ in found]
    pages["chapters/index.md"] = (
        "# Chapters\n\nEach stage of the pipeline is one of these notebooks. They are shown as the "
        "pipeline executed them last; a chapter that has not run here is shown without results.\n\n"
        + table(["chapter", "what it does", "notebook"], rows)
        + "\n"
        + toctree(names)
    )
    return pages


def library_pages(meanings: dict) -> dict[str, str]:
    "Write the library's notebooks, a list for each package, and the list of packages."
    folders = {p.name: p for p in sorted((ROOT / "lib/nbs").iterdir()) if p.is_dir()}
    agree("packages", set(folders), set(meanings["packages"]))
    pages, packages = {}, []
    for package in meanings["packages"]:
        notebooks = {p: load_json(p) for p in sorted(folders[package].glob("*.ipynb"))}
        links = {"../../../nbs/": "../../chapters/"}
        pages |= {f"library/{package}/{p.name}": page_of(n, links) for p, n in notebooks.items()}
        rows = [
            [f"[{title_and_summary(n)[0]}]({p.name})", title_and_summary(n)[1], module_of(n)]
            for p, n in notebooks.items()
        ]
        pages[f"library/{package}/index.md"] = (
            f"# The package `{package}`\n\n{meanings['packages'][package]}\n\n"
            + table(["notebook", "what it does", "module"], rows)
            + "\n"
            + toctree([p.stem for p in notebooks])
        )
        packages.append(
            [f"[{package}]({package}/index.md)", meanings["packages"][package], len(notebooks)]
        )
    pages["library/index.md"] = (
        "# Library\n\nThe library `mlops_kit` is written in notebooks too: each shows its functions "
        "with the example and the asserts that test them. A package imports only from packages above it "
        "in this table.\n\n"
        + table(["package", "what it is for", "notebooks"], packages)
        + "\n"
        + toctree([f"{package}/index" for package in meanings["packages"]])
    )
    return pages


def module_of(notebook: dict) -> str:
    "Name the module that a notebook of the library is exported to."
    text = "\n".join("".join(c["source"]) for c in notebook["cells"])
    return code("mlops_kit." + re.search(r"#\| *default_exp (\S+)", text)[1])


# --- Reference


def agree(what: str, there: set[str], described: set[str]) -> None:
    "Raise UserError for a name without a meaning, or a meaning without its name."
    if there != described:
        raise UserError(
            f"docs/meanings.yaml: {what} must describe what is there; not described: "
            f"{', '.join(sorted(there - described)) or 'none'}; described but not there: "
            f"{', '.join(sorted(described - there)) or 'none'}"
        )


def comments_of(source: str) -> dict[str, str]:
    "Read what a parameters cell says of each name: at the end of its line, or on lines above it."
    said, above = {}, []
    for line in source.splitlines():
        if found := re.match(r"(\w+): [^#]*?(?:#\s*(.*))?$", line):
            said[found[1]] = found[2] or " ".join(above)
        elif found := re.match(r"\)\s*#\s*(.*)$", line):
            said[list(said)[-1]] = found[1]
        above = [*above, line.lstrip("# ")] if line.startswith("#") else []
    return said


def nested_parameters(text: str) -> dict[str, tuple[str, str]]:
    "Read params.yaml line by line: value as written and comment, by full name."
    found, path = {}, []
    for line in text.splitlines():
        if parts := re.match(r"( *)([\w-]+):(?: +([^#\s].*?))?(?:\s+#\s*(.*))?$", line):
            path = [*path[: len(parts[1]) // 2], parts[2]]
            found[".".join(path)] = (parts[3] or "", parts[4] or "")
    return found


def parameters_page() -> str:
    "Write every parameter: name, type, value, meaning, by section of params.yaml."
    given = nested_parameters((ROOT / "params.yaml").read_text(encoding="utf-8"))
    sections: dict[str, list[list[str]]] = {"seed": [], "data": []}
    for path, notebook in ((p, load_json(p)) for p in sorted((ROOT / "nbs").glob("*.ipynb"))):
        declared, stem = declared_parameters(notebook), re.sub(r"^\d+_", "", path.stem)
        sources = ["".join(c["source"]) for c in notebook["cells"] if "parameters" in tags(c)]
        said = comments_of(sources[0]) if sources else {}
        for name, (kind, _) in declared.items():
            section = stem if f"{stem}.{name}" in given else "data"
            full = name if name == "seed" else f"{section}.{name}"
            rows = sections.setdefault("seed" if name == "seed" else section, [])
            if full in given and full not in [row[0].strip("`") for row in rows]:
                rows += parameter_rows(full, kind, said.get(name, ""), given)
    documented = {row[0].strip("`") for rows in sections.values() for row in rows}
    agree(
        "parameters",
        {n for n in given if given[n][0]},
        documented & {n for n in given if given[n][0]},
    )
    text = (
        "# Parameters\n\nEverything a user decides stands in `params.yaml`. Each section belongs to "
        "the notebook of the same name, whose `parameters` cell declares names, types and meanings; "
        "a name that no notebook declares is refused. The values are those of this project.\n"
    )
    for section, rows in sections.items():
        text += f"\n## {section}\n\n" + table(["name", "type", "value", "meaning"], rows)
    return text


def tags(cell: dict) -> list[str]:
    "List a cell's tags."
    return cell.get("metadata", {}).get("tags", [])


def parameter_rows(
    full: str, kind: str, said: str, given: dict[str, tuple[str, str]]
) -> list[list[str]]:
    "Write a parameter, and below it what params.yaml holds inside it."
    value, comment = given[full]
    rows = [[code(full), code(kind), code(value), said or comment]]
    for name, (inner, note) in given.items():
        if name.startswith(full + "."):
            rows.append([code(name), "", code(inner), note])
    return rows


def contract_page(meanings: dict) -> str:
    "Write the parts of contract.yaml, the fields of a column, and this project's columns."
    agree("column_fields", set(contract.COLUMN_FIELDS), set(meanings["column_fields"]))
    content = read_yaml(ROOT / "contract.yaml")
    extra = set(content) - set(meanings["contract_parts"])
    agree("contract_parts", extra, set())
    fields = [
        [
            code(name),
            "required" if name in contract.REQUIRED_FIELDS else "optional",
            meanings["column_fields"][name],
        ]
        for name in (*contract.REQUIRED_FIELDS, *contract.OPTIONAL_FIELDS)
    ]
    columns = [
        [code(name), rules["type"], "known" if rules["known"] else "not known", rules["meaning"]]
        for name, rules in content["columns"].items()
    ]
    return (
        "# Data contract\n\n`contract.yaml` says what each column is and may hold. The stage "
        "`validate` enforces it row by row; the stage `features` takes from it which columns a model "
        "may see.\n\n## Parts of the file\n\n"
        + table(["part", "meaning"], [[code(k), v] for k, v in meanings["contract_parts"].items()])
        + "\n## Fields of a column\n\n"
        + table(["field", "presence", "meaning"], fields)
        + f"\nTypes: {', '.join(map(code, contract.COLUMN_TYPES))}. Tasks: {', '.join(map(code, contract.TASKS))}. "
        + f"Roles: {', '.join(map(code, contract.ROLES))}.\n"
        + "\n## Columns of the example\n\n"
        + table(["column", "type", "at prediction time", "meaning"], columns)
    )


def commands() -> dict[str, click.Command]:
    "Give every command of mlops-nb by name."
    return dict(typer.main.get_command(app).commands)


def summary_of(command: click.Command) -> str:
    "Give the first sentence of a command's help, without its example."
    return re.sub(r"\s*Example: mlops-nb .*", "", (command.help or "").split("\n")[0])


def command_section(name: str, command: click.Command) -> str:
    "Write a command: what it does, its arguments and options, its examples."
    text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    shown = re.findall(r"Example: (mlops-nb .*)", text)
    prose = re.sub(r"\s*Example: mlops-nb .*", "", text).strip()
    rows = []
    for param in command.params:
        if isinstance(param, click.Argument) or not hasattr(param, "opts"):
            label = code(param.make_metavar(click.Context(command)).strip("{}"))
        else:
            label = ", ".join(map(code, [*param.opts, *param.secondary_opts]))
        default = (
            ""
            if param.default in (None, False, "", ()) or callable(param.default)
            else param.default
        )
        rows.append([label, getattr(param, "help", "") or "", code(default)])
    return (
        f"\n## {name}\n\n{prose}\n\n```bash\n"
        + "\n".join(shown)
        + "\n```\n"
        + ("\n" + table(["argument or option", "meaning", "default"], rows) if rows else "")
    )


def commands_page() -> str:
    "Write every command of mlops-nb, and every target of make."
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    targets = [m.groups() for line in lines if (m := re.match(r"([a-z-]+):.*?## (.*)", line))]
    found = commands()
    listed = [[f"[`{n}`](#{n})", summary_of(c)] for n, c in found.items()]
    return (
        "# Commands\n\nActivate the environment first: `. .venv/bin/activate`. A command exits with "
        "code 0 only on success, and an error of a user is one line.\n\n"
        + table(["command", "what it does"], listed)
        + "\n## make\n\n"
        + table(["target", "what it does"], [[code(f"make {n}"), says] for n, says in targets])
        + "".join(command_section(n, c) for n, c in found.items())
    )


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


def last_runs() -> str:
    "Write when each proof ran last and how it ended, as tests/proofs/run.py noted it."
    with open(ROOT / "tests/proofs/last_run.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = ["| proof | last run | commit | seconds | result |", "|---|---|---|---:|---|"]
    lines += [
        f"| [{r['proof']}](#{r['proof'].replace('_', '-')}) | {r['day']} | `{r['commit']}` "
        f"| {r['seconds']} | {r['result']} |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


def proofs_page() -> str:
    "Write what each slow proof shows and how it is run, as its own docstring says."
    text = (
        "# Proofs\n\nA proof is a slow test of a claim: it repeats, kills, damages or replays, and "
        "fails when the claim does not hold. `make proofs` runs them one after another; each can be "
        "run by itself, in the environment of `make setup`. A proof prints its figures; none are "
        "copied here, because they belong to the machine that ran it.\n\n" + last_runs()
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
    return text


# --- The whole


def site_pages() -> dict[str, str]:
    "Give every generated page by its path."
    meanings = yaml.safe_load((DOCS / "meanings.yaml").read_text(encoding="utf-8"))
    names = ["parameters", "contract", "commands", "metrics"]
    reference = (
        "# Reference\n\nThese pages are generated from the code each time the site is built.\n\n"
        "- [Parameters](parameters.md): what `params.yaml` may say\n"
        "- [Data contract](contract.md): what `contract.yaml` may say\n"
        "- [Commands](commands.md): `mlops-nb` and `make`\n"
        "- [Metrics files](metrics.md): what `metrics/*.json` hold\n\n"
        f"The stages of the pipeline, in order: {', '.join(map(code, stage_names(ROOT)))}.\n\n"
    )
    return {
        **chapter_pages(),
        **library_pages(meanings),
        "reference/index.md": reference + toctree(names),
        "reference/parameters.md": parameters_page(),
        "reference/contract.md": contract_page(meanings),
        "reference/commands.md": commands_page(),
        "reference/metrics.md": metrics_page(meanings),
        "proofs.md": proofs_page(),
    }


def write_source(target: Path) -> int:
    "Write the site's source; a file that has not changed keeps its date, one that is gone goes."
    wanted = {name: text.encode() for name, text in site_pages().items()}
    for name in PAGES:
        for path in (p for p in [DOCS / name, *(DOCS / name).rglob("*")] if p.is_file()):
            wanted[str(path.relative_to(DOCS))] = path.read_bytes()
    for path in [p for p in target.rglob("*") if p.is_file()]:
        if str(path.relative_to(target)) not in wanted:
            path.unlink()
    for name, content in wanted.items():
        path = target / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return len(wanted)


if __name__ == "__main__":
    try:
        print(f"docs: {write_source(Path(sys.argv[1]))} files in {sys.argv[1]}")
    except UserError as error:
        sys.exit(f"docs: {error}")
