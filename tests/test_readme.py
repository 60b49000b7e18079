"README's commands exist, its files are there, and every command helps with an example."

import re
import subprocess

import pytest
from conftest import ROOT, run

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_make_words_exist() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    words = set(re.findall(r"`make (\w+)`", README)) | set(
        re.findall(r"^make (\w+)", README, flags=re.M)
    )
    assert {"repro", "test"} <= words
    for word in words:
        assert re.search(rf"^{word}\s", listed, flags=re.M), word


def test_commands_have_help_with_an_example() -> None:
    listed = run(["mlops-nb", "--help"], ROOT).stdout
    for word in set(re.findall(r"mlops-nb (\w+)", README)):
        assert re.search(rf"^\s+{word}\s", listed, flags=re.M), word
        assert "Example: mlops-nb" in " ".join(
            run(["mlops-nb", word, "--help"], ROOT, COLUMNS="500").stdout.split()
        )


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
