"Copy the files that a step uploads into this local run's artifacts, laid out as GitHub does: from the folder that all named paths share."

import os
import shutil
import sys
from glob import glob
from pathlib import Path


def found(pattern):
    "List the files that a pattern names; of a folder all that it holds."
    hidden = os.environ.get("HIDDEN") == "true"
    here = [Path(p) for p in glob(pattern, recursive=True, include_hidden=True)]
    files = {f for p in here for f in (p.rglob("*") if p.is_dir() else [p]) if f.is_file()}
    # the folder named counts as well
    own = len(start(pattern).parts) - (start(pattern) == Path(pattern))
    return {f for f in files if hidden or not any(part.startswith(".") for part in f.parts[own:])}


def start(pattern):
    "Name the folder that a pattern starts from."
    fixed = []
    for part in Path(pattern).parts:
        if set(part) & set("*?["):
            break
        fixed.append(part)
    whole = Path(*fixed)
    return whole if whole.is_dir() else whole.parent


def read_lines():
    "Read the patterns of the input `path`, absolute; those that exclude begin with !."
    lines = []
    for line in (s.strip() for s in os.environ["PATHS"].splitlines()):
        if line.startswith("!"):
            lines.append("!" + os.path.abspath(line[1:]))
        elif line:
            lines.append(os.path.abspath(os.path.expanduser(line)))
    return lines


def find_files(lines):
    "List the files that the patterns name; where there are none, end as the input says."
    files = {f for line in lines if not line.startswith("!") for f in found(line)}
    files -= {f for line in lines if line.startswith("!") for f in found(line[1:])}
    if files:
        return sorted(files)
    none_found = os.environ["NONE_FOUND"]
    text = (
        f"No files were found with the provided path: {' '.join(lines)}. No artifacts will be "
        "uploaded."
    )
    level = "error" if none_found == "error" else "warning"
    print(text if none_found == "ignore" else f"::{level}::{text}")
    sys.exit(none_found == "error")


def check_name(name, target):
    "End with GitHub's error for a name that it refuses or that is taken."
    if set(name) & set('":<>|*?\r\n\\/'):
        sys.exit(
            f"::error::upload-artifact: the name {name!r} holds a character that GitHub refuses "
            "in an artifact's name"
        )
    if target.exists() and os.environ.get("OVERWRITE") != "true":
        sys.exit(
            "::error::Failed to CreateArtifact: Received non-retryable error: Failed request: "
            "(409) Conflict: an artifact with this name already exists on the workflow run: "
            f"{name}"
        )


def main():
    "Copy the files, and say where they are."
    name, lines = os.environ["NAME"], read_lines()
    world, run = os.environ["MLOPS_NB_ACT_WORLD"], os.environ["MLOPS_NB_ACT_RUN"]
    target = Path(world, "artifacts", run, name)
    check_name(name, target)
    files = find_files(lines)
    shutil.rmtree(target, ignore_errors=True)
    base = os.path.commonpath([start(line) for line in lines if not line.startswith("!")])
    for file in files:
        copy = target / os.path.relpath(file, base)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy)
    with open(os.environ["GITHUB_OUTPUT"], "a", encoding="utf-8") as out:
        out.write(f"artifact-id={name}\nartifact-url={target.as_uri()}\n")
    print(f"upload-artifact (stand-in): {len(files)} files as {name}")


main()
