"README is short and complete, its files are there, every command helps with an example, and telemetry is off."

import re
import subprocess
from pathlib import Path

import pytest
import typer
from conftest import ROOT, run
from typer.testing import CliRunner

from mlops_kit.cli.main import app

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_short_and_has_what_a_first_reader_needs() -> None:
    assert len(README.split()) <= 800
    assert "](docs/report.png)" in README
    for heading in ("Two commands", "Your own data", "Your own feature", "Where things are"):
        assert f"\n## {heading}\n" in README
    for path in (ROOT / "nbs").glob("*.ipynb"):
        assert f"](nbs/{path.name})" in README, path.name
    folders = {p.parts[0] for p in map(Path, tracked()) if len(p.parts) > 1}
    for folder in folders - {".ci", ".dvc", ".github", "extras", "scripts", "starter"}:
        assert re.search(rf"^(.* )?{folder}/", README, flags=re.M), folder


def tracked() -> list[str]:
    "List the files that git tracks."
    return subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()


@pytest.mark.parametrize("word", sorted(typer.main.get_command(app).commands))
def test_every_command_helps_with_an_example(word: str) -> None:
    done = CliRunner().invoke(app, [word, "--help"], env={"COLUMNS": "500"})
    assert done.exit_code == 0
    assert f"Example: mlops-nb {word}" in " ".join(done.output.split())


@pytest.mark.parametrize("path", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_links_lead_somewhere(path: str) -> None:
    assert (ROOT / path).exists()


def test_telemetry_is_off_in_the_environment() -> None:
    result = run(
        [
            "python",
            "-c",
            """import os; print(os.environ['ITERATIVE_DO_NOT_TRACK'],
            os.environ['DVC_NO_ANALYTICS'],
            """
            "os.environ['WHYLOGS_NO_ANALYTICS'], os.environ['MLFLOW_DISABLE_TELEMETRY'])",
        ],
        ROOT,
    )
    assert result.stdout.split() == ["1", "1", "True", "true"]
    assert "analytics = false" in (ROOT / ".dvc/config").read_text()
