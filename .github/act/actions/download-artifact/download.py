"Copy artifacts that earlier jobs of this local run uploaded: one by its name into the folder, several into a folder each."

import os
import shutil
import sys
from fnmatch import fnmatch
from pathlib import Path


def main():
    "Copy them."
    name, pattern, target = (
        os.environ["NAME"],
        os.environ["PATTERN"],
        Path(os.environ["TARGET"] or ".").expanduser().resolve(),
    )
    if os.environ["OTHER_RUN"]:
        sys.exit(
            "::error::download-artifact: the stand-in knows this run's artifacts only, run-id "
            "asks for another's"
        )
    folder = Path(os.environ["MLOPS_NB_ACT_WORLD"], "artifacts", os.environ["MLOPS_NB_ACT_RUN"])
    there = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    if name and name not in there:
        sys.exit(
            f"::error::Unable to download artifact(s): Artifact not found for name: {name}; there "
            f"are: {', '.join(there) or 'none'}"
        )
    chosen = [name] if name else [n for n in there if fnmatch(n, pattern or "*")]
    for one in chosen:
        shutil.copytree(
            folder / one,
            target if name or os.environ["MERGE"] == "true" else target / one,
            dirs_exist_ok=True,
        )
    with open(os.environ["GITHUB_OUTPUT"], "a", encoding="utf-8") as out:
        out.write(f"download-path={target}\n")
    print(f"download-artifact (stand-in): {', '.join(chosen) or 'nothing'} into {target}")


main()
