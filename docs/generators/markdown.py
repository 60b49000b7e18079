"Tables, code and lists of pages, as Markdown."

import re
from typing import Any

TABLE = "| {} |"


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
