"Where the project is, and what its pages take from docs/meanings.yaml."

from pathlib import Path

import yaml

from mlops_kit.core.files import UserError

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def read_meanings() -> dict:
    "Read what cannot be read from the code."
    return yaml.safe_load((DOCS / "meanings.yaml").read_text(encoding="utf-8"))


def agree(what: str, there: set[str], described: set[str]) -> None:
    "Raise UserError for a name without a meaning, or a meaning without its name."
    if there != described:
        raise UserError(
            f"docs/meanings.yaml: {what} must describe what is there; not described: "
            f"{', '.join(sorted(there - described)) or 'none'}; described but not there: "
            f"{', '.join(sorted(described - there)) or 'none'}"
        )
