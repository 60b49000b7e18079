"The extras' locks: hashes for everything, no addresses, nothing that the base lock has, and the names that settings.ini gives; and the uv that set-up kept."

import hashlib
import re
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest
from conftest import ROOT


def locked(path: Path) -> dict[str, str]:
    "Read a lock: the version of each package."
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", path.read_text(encoding="utf-8"), flags=re.M))


def asked() -> dict[str, list[str]]:
    "Read what settings.ini asks for beside the base, name by name."
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    found = {
        key.removesuffix("_requirements"): value.split()
        for key, value in config["DEFAULT"].items()
        if key.endswith("_requirements")
    }
    return {name: packages for name, packages in found.items() if name != "dev"}


EXTRAS = sorted((ROOT / "extras").glob("*.txt"))


def test_locks_are_those_of_settings() -> None:
    assert [p.stem for p in EXTRAS] == sorted(asked()) and EXTRAS


@pytest.mark.parametrize("path", EXTRAS, ids=lambda p: p.stem)
def test_a_lock_holds_hashes_and_only_what_the_base_lacks(path: Path) -> None:
    text, own = path.read_text(encoding="utf-8"), locked(path)
    assert {re.match(r"[\w.-]+", package)[0] for package in asked()[path.stem]} <= own.keys()
    assert not own.keys() & locked(ROOT / "requirements.txt").keys()
    assert "://" not in text and "--index" not in text and "--find" not in text
    blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.M)[1:]
    assert len(blocks) == len(own) and all(
        re.search(r"--hash=sha256:[0-9a-f]{64}\b", block) for block in blocks
    )


def test_locks_agree_where_they_overlap() -> None:
    versions: dict[str, set[str]] = {}
    for path in EXTRAS:
        for name, version in locked(path).items():
            versions.setdefault(name, set()).add(version)
    assert all(len(found) == 1 for found in versions.values()), versions


@pytest.mark.parametrize("words", [[], ["nothing"], ["s3 nothing"]])
def test_an_unknown_extra_is_one_line_naming_the_others(words: list[str]) -> None:
    done = subprocess.run(
        ["sh", "scripts/extra.sh", *" ".join(words).split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1 and done.stdout == ""
    assert all(name in done.stderr for name in asked())


def unpack(folder: Path) -> subprocess.CompletedProcess:
    "Ask set-up's script for the uv of the wheels that are kept in a folder."
    command = [sys.executable, str(ROOT / "scripts/kept_uv.py"), str(folder), str(folder / "kept")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_set_up_takes_a_kept_uv_only_with_the_hash_of_the_lock(tmp_path: Path) -> None:
    wheel = tmp_path / "uv-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("uv-1.0.data/scripts/uv", "#!/bin/sh\necho uv 1.0\n")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock = tmp_path / "requirements.txt"
    lock.write_text(f"uv==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    assert unpack(tmp_path).returncode == 1 and not (tmp_path / "kept").exists()
    lock.write_text(f"uv==1.0 \\\n    --hash=sha256:{digest}\n")
    done = unpack(tmp_path)
    assert done.returncode == 0 and Path(done.stdout.strip()).name.startswith("pip-"), done.stderr
    said = subprocess.run([tmp_path / "kept/uv"], capture_output=True, text=True).stdout
    assert said == "uv 1.0\n"
