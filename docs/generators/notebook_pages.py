"A notebook as a page of the site."

import json
import re

from generators.markdown import code
from mlops_kit.core.files import UserError


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


def module_of(notebook: dict) -> str:
    "Name the module that a notebook of the library is exported to."
    text = "\n".join("".join(c["source"]) for c in notebook["cells"])
    return code("mlops_kit." + re.search(r"#\| *default_exp (\S+)", text)[1])
