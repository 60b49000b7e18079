"""Prove that the tutorial can be followed: every command of its three lessons runs, from top to bottom, in a clone of the last commit.

    python tests/proofs/tutorial.py
    python tests/proofs/tutorial.py --here    only the last two, in this environment, as CI does

The clone builds its own environment, and so does the project that the second lesson makes.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LESSONS = ("first-hour", "own-data", "first-drift")
SHIM = '#!/bin/sh\n[ "$1" = repro ] && exec mlops-nb repro\nexec /usr/bin/make "$@"\n'


def script(lessons: tuple[str, ...]) -> str:
    "Join the commands of lessons into one script that stops at the first that fails."
    found = ["set -e"]
    for lesson in lessons:
        text = (ROOT / f"docs/tutorial/{lesson}.md").read_text(encoding="utf-8")
        found += re.findall(r"^```bash\n(.*?)^```", text, flags=re.M | re.S)
    return "\n".join(found)


def follow(folder: Path, template: Path, lessons: tuple[str, ...], **env: str) -> str:
    "Run the commands of lessons in a template's folder; give what they print."
    who = {
        f"GIT_{w}_{k}": "t@example.org" for w in ("AUTHOR", "COMMITTER") for k in ("NAME", "EMAIL")
    }
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLOPS_NB_", "VIRTUAL_ENV"))}
    done = subprocess.run(
        ["sh", "-c", script(lessons)],
        cwd=folder,
        env={**kept, **who, "TEMPLATE": str(template), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def expect_what_the_lessons_say(out: str) -> None:
    "Compare what the last two lessons print with what their text says."
    assert "v1.0.0 registered" in out and "v1.0.0 holds prod" in out
    quiet, broken = out.index("drift: quiet · 2024-12-31"), out.index("drift: broken · 2024-12-31")
    assert quiet < broken < out.index("exit code 1") and "weight_g" in out[broken:]


def follow_here(folder: Path) -> str:
    "Follow the last two lessons by this environment's command; give what they print."
    shutil.copytree(ROOT / "docs/tutorial", folder / "template/docs/tutorial")
    (folder / "bin").mkdir()
    (folder / "bin/make").write_text(SHIM)
    (folder / "bin/make").chmod(0o755)
    path = f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    out = follow(folder / "template", ROOT, LESSONS[1:], PATH=path)
    assert (folder / "shop/contract.yaml").is_file()
    return out


def follow_all(folder: Path) -> str:
    "Follow the whole tutorial in a clone; give what it prints."
    clone = folder / "template"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    out = follow(clone, clone, LESSONS)
    assert "gate: passed" in out and (clone / "reports/experiments.html").is_file()
    return out


def main() -> None:
    "Follow the tutorial, and compare what it prints with what it says."
    lessons = LESSONS[1:] if "--here" in sys.argv else LESSONS
    with tempfile.TemporaryDirectory(prefix="tutorial-") as folder:
        expect_what_the_lessons_say(
            (follow_here if "--here" in sys.argv else follow_all)(Path(folder))
        )
    print(f"tutorial: {len(script(lessons).splitlines())} lines ran, and say what the lessons say")


if __name__ == "__main__":
    sys.exit(main())
