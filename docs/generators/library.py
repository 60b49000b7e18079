"The library's notebooks, and the lists of them."

from pathlib import Path

from generators.markdown import table, toctree
from generators.notebook_pages import module_of, page_of, title_and_summary
from generators.sources import ROOT, agree
from mlops_kit.core.files import load_json


def package_pages(package: str, meaning: str, folder: Path) -> dict[str, str]:
    "Write the notebooks of a package, and their list."
    notebooks = {p: load_json(p) for p in sorted(folder.glob("*.ipynb"))}
    links = {"../../../nbs/": "../../chapters/"}
    pages = {f"library/{package}/{p.name}": page_of(n, links) for p, n in notebooks.items()}
    rows = [
        [f"[{title}]({p.name})", summary, module_of(n)]
        for p, n in notebooks.items()
        for title, summary in [title_and_summary(n)]
    ]
    pages[f"library/{package}/index.md"] = (
        f"# The package `{package}`\n\n{meaning}\n\n"
        + table(["notebook", "what it does", "module"], rows)
        + "\n"
        + toctree([p.stem for p in notebooks])
    )
    return pages


def library_pages(meanings: dict[str, str]) -> dict[str, str]:
    "Write the library's notebooks, a list for each package, and the list of packages."
    folders = {p.name: p for p in sorted((ROOT / "lib/nbs").iterdir()) if p.is_dir()}
    agree("packages", set(folders), set(meanings))
    pages, rows = {}, []
    for package, meaning in meanings.items():
        written = package_pages(package, meaning, folders[package])
        rows.append([f"[{package}]({package}/index.md)", meaning, len(written) - 1])
        pages |= written
    pages["library/index.md"] = (
        "# Library\n\nThe library `mlops_kit` is written in notebooks too: each shows its functions "
        "with the example and the asserts that test them. A package imports only from packages "
        "above it in this table.\n\n"
        + table(["package", "what it is for", "notebooks"], rows)
        + "\n"
        + toctree([f"{package}/index" for package in meanings])
    )
    return pages
