"""Write the source of the documentation site: the pages of docs/, and those that docs/generators
makes of the chapters, the library's notebooks and the code.

    python docs/generate.py docs/_build/source

A chapter is taken as the pipeline executed it (reports/NAME.ipynb), or from nbs/ when this code
has not run. A field, key or package without an entry in docs/meanings.yaml is an error.
"""

import sys
from pathlib import Path

from generators.chapters import chapter_pages
from generators.commands import commands_page
from generators.contract import contract_page
from generators.library import library_pages, link_modules
from generators.markdown import code, toctree
from generators.metrics import metrics_page
from generators.parameters import parameters_page
from generators.proofs import proofs_page
from generators.sources import DOCS, ROOT, read_meanings
from mlops_kit.core.files import UserError
from mlops_kit.core.project import project_notebooks, stage_names

PAGES = ("index.md", "conf.py", "_static", "tutorial", "how-to", "explanation", "report.png")


def site_pages() -> dict[str, str]:
    "Give every generated page by its path."
    meanings = read_meanings()
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
        **library_pages(meanings["packages"]),
        "reference/index.md": reference + toctree(names),
        "reference/parameters.md": parameters_page(),
        "reference/contract.md": contract_page(meanings),
        "reference/commands.md": commands_page(),
        "reference/metrics.md": metrics_page(meanings),
        "proofs.md": proofs_page(),
    }


def site_files() -> dict[str, bytes]:
    "Give every file of the site's source by its path: generated, or as it stands in docs/."
    files = {name: text.encode() for name, text in site_pages().items()}
    for name in PAGES:
        for path in (p for p in [DOCS / name, *(DOCS / name).rglob("*")] if p.is_file()):
            files[str(path.relative_to(DOCS))] = path.read_bytes()
    notebooks = project_notebooks(ROOT / "lib")
    pages = {name: content.decode() for name, content in files.items() if name.endswith(".md")}
    linked = {name: link_modules(name, text, notebooks) for name, text in pages.items()}
    return files | {name: text.encode() for name, text in linked.items()}


def write_source(target: Path) -> int:
    "Write the site's source; a file that has not changed keeps its date, one that is gone goes."
    wanted = site_files()
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
