"The reference of params.yaml."

import re

from generators.markdown import code, table
from generators.notebook_pages import tags
from generators.sources import ROOT, agree
from mlops_kit.core.files import load_json
from mlops_kit.core.params import declared_parameters


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


def section_rows(given: dict[str, tuple[str, str]]) -> dict[str, list[list[str]]]:
    "Write the parameters that the notebooks declare, by section of params.yaml."
    sections: dict[str, list[list[str]]] = {"seed": [], "data": []}
    for path in sorted((ROOT / "nbs").glob("*.ipynb")):
        notebook, stem = load_json(path), re.sub(r"^\d+_", "", path.stem)
        sources = ["".join(c["source"]) for c in notebook["cells"] if "parameters" in tags(c)]
        said = comments_of(sources[0]) if sources else {}
        for name, (kind, _) in declared_parameters(notebook).items():
            section = stem if f"{stem}.{name}" in given else "data"
            full = name if name == "seed" else f"{section}.{name}"
            rows = sections.setdefault("seed" if name == "seed" else section, [])
            if full in given and full not in names_of(rows):
                rows += parameter_rows(full, kind, said.get(name, ""), given)
    return sections


def names_of(rows: list[list[str]]) -> list[str]:
    "List the names that rows begin with."
    return [row[0].strip("`") for row in rows]


def parameters_page() -> str:
    "Write every parameter: name, type, value, meaning, by section of params.yaml."
    given = nested_parameters((ROOT / "params.yaml").read_text(encoding="utf-8"))
    sections = section_rows(given)
    valued = {name for name, (value, _) in given.items() if value}
    documented = {name for rows in sections.values() for name in names_of(rows)}
    agree("parameters", valued, documented & valued)
    text = (
        "# Parameters\n\nEverything a user decides stands in `params.yaml`. Each section belongs to "
        "the notebook of the same name, whose `parameters` cell declares names, types and meanings; "
        "a name that no notebook declares is refused. The values are those of this project.\n"
    )
    for section, rows in sections.items():
        text += f"\n## {section}\n\n" + table(["name", "type", "value", "meaning"], rows)
    return text
