"The tutorial's lessons on own data and the first drift run as they are written, and print what they say."

import os
import shutil
import sys
from pathlib import Path

from conftest import ROOT
from proofs.tutorial import SHIM, expect_what_the_lessons_say, follow


def test_the_lessons_run_as_written(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs/tutorial", tmp_path / "template/docs/tutorial")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/make").write_text(SHIM)
    (tmp_path / "bin/make").chmod(0o755)
    path = f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    out = follow(tmp_path / "template", ROOT, ("own-data", "first-drift"), PATH=path)
    expect_what_the_lessons_say(out)
    assert (tmp_path / "shop/contract.yaml").is_file()
