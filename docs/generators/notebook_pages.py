"A notebook as a page of the site."

import json
import re

from generators.markdown import code
from mlops_kit.core.files import UserError
from mlops_kit.notebooks.html import CAPTION, plain_text


def tags(cell: dict) -> list[str]:
    "List a cell's tags."
    return cell.get("metadata", {}).get("tags", [])


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


def reader_outputs(outputs: list[dict], links: dict[str, str]) -> list[dict]:
    """Give what a cell showed, its links turned to the site's pages.

    What only a report draws, the banner and the captions, is left out: the same words stand there
    as Markdown.
    """
    kept = []
    for output in outputs:
        data = {k: v for k, v in output.get("data", {}).items() if "vnd.mlops" not in k}
        if "text/markdown" in data:
            data["text/markdown"] = relinked("".join(data["text/markdown"]), links)
        kept.append({**output, "data": data} if "data" in output else output)
    return kept


def figure_metadata(outputs: list[dict], heading: str) -> dict:
    "Say for a reader who does not see a cell's figures what their caption says, or the heading."
    data = [output.get("data", {}) for output in outputs]
    if not any("image/png" in d for d in data):
        return {}
    captions = [plain_text(d[CAPTION]["text"]) for d in data if CAPTION in d]
    return {"mystnb": {"image": {"alt": (captions or [heading])[0]}}}


def page_of(notebook: dict, links: dict[str, str]) -> str:
    "Give a notebook as a page: nbdev's own cells left out, its links turned to the site's pages."
    kept, heading = [], ""
    for c in notebook["cells"]:
        source, shown = "".join(c["source"]), {}
        if c["cell_type"] == "markdown":
            heading = ([heading] + re.findall(r"^#+ +(.+)$", source, flags=re.M))[-1]
            source = relinked(source, links)
        elif re.match(r"#\| *(default_exp|hide)\b", source):
            continue
        else:
            source = re.sub(r"^#\|.*\n?", "", source, flags=re.M).strip("\n")
            shown = {"outputs": reader_outputs(c["outputs"], links)}
        metadata = figure_metadata(c.get("outputs", []), heading)
        kept.append({**c, **shown, "source": source, "metadata": metadata})
    language = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    return json.dumps({**notebook, "cells": kept, "metadata": language}, indent=1)


def module_of(notebook: dict) -> str:
    "Name the module that a notebook of the library is exported to."
    text = "\n".join("".join(c["source"]) for c in notebook["cells"])
    return code("mlops_kit." + re.search(r"#\| *default_exp (\S+)", text)[1])
