"The library's notebooks, the lists of them, and links to them by the name of their module."

import difflib
import re
from pathlib import Path

from generators.markdown import table, toctree
from generators.notebook_pages import module_of, page_of, title_and_summary
from generators.sources import ROOT, agree
from mlops_kit.core.files import UserError, load_json


def package_pages(package: str, meaning: str, folder: Path) -> dict[str, str]:
    "Write the notebooks of a package, and their list."
    notebooks = {p: load_json(p) for p in sorted(folder.glob("*.ipynb"))}
    links = {"../../../nbs/": "../../chapters/"}
    pages = {f"library/{package}/{p.name}": page_of(n, links) for p, n in notebooks.items()}
    rows = [
        [f"[{title}]({p.name})", module_of(n), summary]
        for p, n in notebooks.items()
        for title, summary in [title_and_summary(n)]
    ]
    pages[f"library/{package}/index.md"] = (
        f"# The package `{package}`\n\n{meaning}\n\n"
        + table(["notebook", "module", "what it does"], rows)
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
        + toctree([f"{package} <{package}/index>" for package in meanings])
    )
    return pages


# --- Links, such as `[Silences](module:alerting.silences)`: a notebook's number may change


def module_address(module: str, page: str, notebooks: dict[str, Path]) -> str:
    "Give the address of a module's notebook, as seen from a page of the site."
    if module not in notebooks:
        near = difflib.get_close_matches(module, notebooks, 1)
        raise UserError(
            f"{page} links to module:{module}, which the library does not have; "
            + (f"did you mean module:{near[0]}?" if near else "write module:package.name")
        )
    address = notebooks[module].relative_to(ROOT / "lib/nbs").as_posix()
    return "../" * page.count("/") + "library/" + address


def link_modules(page: str, text: str, notebooks: dict[str, Path]) -> str:
    """Turn the links of a Markdown page to modules to their notebooks.

    Raises UserError for a module that does not exist, and for a notebook named by its number.
    """
    if numbered := re.search(r"\]\([^)]*library/(\w+)/\d+[a-z]?_(\w+)\.ipynb", text):
        raise UserError(
            f"{page} links to a notebook by its number, which changes; write "
            f"module:{numbered[1]}.{numbered[2]}"
        )
    return re.sub(
        r"\]\(module:([^)#]*)", lambda m: f"]({module_address(m[1], page, notebooks)}", text
    )
