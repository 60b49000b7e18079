"The chapters as the pipeline executed them, and their list."

import re
from collections.abc import Iterator
from pathlib import Path

from generators.markdown import table, toctree
from generators.notebook_pages import page_of, tags, title_and_summary
from generators.sources import ROOT
from mlops_kit.core.files import load_json


def code_cells(notebook: dict) -> list[str]:
    "List the code of a notebook, without the parameters that papermill put in."
    kept = [c for c in notebook["cells"] if "injected-parameters" not in tags(c)]
    return ["".join(c["source"]) for c in kept if c["cell_type"] == "code"]


def chapters() -> Iterator[tuple[Path, dict]]:
    """Give every chapter in reading order: its path in nbs/, and the notebook.

    It is the executed one where the pipeline ran this very code.
    """
    paths = sorted((ROOT / "nbs").glob("*.ipynb"), key=lambda p: (p.stem != "index", p.name))
    for path in paths:
        notebook = load_json(path)
        executed = ROOT / f"reports/{re.sub(r'^[0-9]+_', '', path.stem)}.ipynb"
        if executed.is_file() and code_cells(load_json(executed)) == code_cells(notebook):
            notebook = load_json(executed)
        yield path, notebook


def page_name(path: Path) -> str:
    "Name a chapter's page: index.ipynb is the story, because the list of chapters is the index."
    return "story" if path.stem == "index" else path.stem


def chapter_pages() -> dict[str, str]:
    "Write the chapters and their list."
    found = dict(chapters())
    links = {re.sub(r"^\d+_", "", path.stem) + ".html": path.name for path in found}
    links["../lib/nbs/"] = "../library/"
    pages = {f"chapters/{page_name(path)}.ipynb": page_of(n, links) for path, n in found.items()}
    rows = [
        [f"[{title}]({page_name(path)}.ipynb)", summary, f"`nbs/{path.name}`"]
        for path, n in found.items()
        for title, summary in [title_and_summary(n)]
    ]
    pages["chapters/index.md"] = (
        "# Chapters\n\nEach stage of the pipeline is one of these notebooks. They are shown as the "
        "pipeline executed them last; a chapter that has not run here is shown without results.\n\n"
        + table(["chapter", "what it does", "notebook"], rows)
        + "\n"
        + toctree([page_name(path) for path in found])
    )
    return pages
