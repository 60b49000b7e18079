"Versions of a real project: made, compared with the champion, brought back, rebuilt; and what is lost or damaged is named."

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import make_project, ran, repro, run, set_params

from mlops_kit.core.files import UserError, load_json
from mlops_kit.registry.champion import read_champion
from mlops_kit.registry.tags import find_holder, model_name, read_entries
from mlops_kit.registry.restore import fetch, rebuild
from mlops_kit.storage.objects import cache_path, list_output_files, open_store
from mlops_kit.storage.outputs import list_outputs
from mlops_kit.storage.sync import check_storage, pull, push
from mlops_kit.registry.versions import model_lines, promote, register, rollback


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def refused(function, *arguments) -> str:
    "Give the one line of an error."
    with pytest.raises(UserError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def ann() -> Iterator[None]:
    "Commit as Ann, while this module's tests run."
    with pytest.MonkeyPatch.context() as patch:
        for who in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{who}_NAME", "Ann")
            patch.setenv(f"GIT_{who}_EMAIL", "ann@example.org")
        yield


@pytest.fixture(scope="module")
def project(ann: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    "A project with a DVC remote, whose first model was registered."
    folder = make_project(tmp_path_factory.mktemp("versions") / "p")
    git(folder, "add", "-A"), git(folder, "commit", "-qm", "first")
    return folder


def test_a_closed_gate_is_closed(project: Path) -> None:
    git(project, "checkout", "-q", "-b", "refused")
    set_params(project, {"gate.min_score": 2.0})
    assert "differ from the last commit" in refused(register, project)
    git(project, "commit", "-qam", "a limit")
    assert "not up to date" in refused(register, project)
    assert repro(project).returncode == 0
    git(project, "commit", "-qam", "refused")
    assert "the gate refused" in refused(register, project)
    gate = project / "metrics/gate.json"
    gate.write_text(gate.read_text().replace("false", "true"))
    git(project, "commit", "-qam", "sabotage")
    assert "somebody edited it" in refused(register, project) or "not up to date" in refused(
        register, project
    )
    git(project, "checkout", "-q", "-")
    run(["dvc", "checkout"], project)
    assert read_entries(project, model_name(project)) == []


def test_register_promote_compare_roll_back(project: Path) -> None:
    assert "v1.0.0 registered" in register(project) and "nothing to do" in register(project)
    assert "holds prod now" in promote(
        project, "latest", "prod", "for a test"
    ) and "nothing to do" in promote(project, "v1.0.0", "prod")
    assert ran(repro(project)) == [] and read_champion(project)["version"] is None
    rounds = yaml.safe_load((project / "params.yaml").read_text())["train"]["rounds"]
    set_params(project, {"train.rounds": rounds - 4})
    assert "evaluate" in ran(repro(project))
    champion = load_json(project / "metrics/evaluate.json")["champion"]
    assert (
        champion["version"] == "v1.0.0" == read_champion(project)["version"]
        and champion["state"] == "compared"
    ), champion
    assert (
        champion["difference"]["low"]
        <= champion["difference"]["value"]
        <= champion["difference"]["high"]
    )
    assert "not_worse_than_champion" in [
        c["name"] for c in load_json(project / "metrics/gate.json")["checks"]
    ]
    git(project, "commit", "-qam", "fewer rounds")
    assert "v1.0.1 registered" in register(project, "fewer rounds") and "before: v1.0.0" in promote(
        project, "v1.0.1", "prod"
    )
    assert "v1.0.0 holds prod again" in rollback(
        project, "prod", "slow", "v1.0.1"
    ) and "nothing to do" in rollback(project, "prod", "slow", "v1.0.1")
    assert "no earlier version" in refused(
        rollback, project, "prod"
    ) and "no version 'v7'" in refused(promote, project, "v7", "prod")
    assert find_holder(read_entries(project, model_name(project)), "prod").version == "v1.0.0"
    assert "rollback  v1.0.0 prod · Ann: slow" in "\n".join(model_lines(project, True))


def test_a_version_comes_back_and_is_made_again(project: Path) -> None:
    line = fetch(project, "v1.0.0")
    assert (
        "all other metrics the same" in line
        and "nothing was overwritten" not in line
        and fetch(project, "v1.0.0") == line
    )
    card = project / "models/versions/v1.0.0/gate.json"
    card.chmod(0o644)
    card.write_text("{}")
    assert "holds something else" in refused(fetch, project, "v1.0.0") and card.read_text() == "{}"
    same, lines = rebuild(project, "v1.0.0")
    assert same and "all " in lines[-1], lines


def test_the_command_line_says_it_in_one_line(project: Path) -> None:
    for words in (
        ["promote", "v9", "prod"],
        ["promote", "v1.0.0", "production"],
        ["rollback", "staging"],
        ["fetch", "v9"],
    ):
        result = run(["mlops-nb", *words], project, PYTHONPATH=str(project))
        assert (
            result.returncode == 1
            and len(result.stderr.strip().splitlines()) == 1
            and result.stderr.startswith("mlops-nb: ")
        ), result.stderr
    assert run(["mlops-nb", "storage", "--deep"], project, PYTHONPATH=str(project)).returncode == 0
    assert "v1.0.1" in run(["mlops-nb", "models"], project, PYTHONPATH=str(project)).stdout


@pytest.fixture
def clone(project: Path, tmp_path: Path) -> Path:
    "Another folder of the same project, with a DVC remote and a cache of its own."
    folder = tmp_path / "q"
    git(tmp_path, "clone", "-q", str(project), "q")
    store = open_store(project)
    shutil.copytree(store.url, tmp_path / "remote")
    (folder / ".dvc/config.local").write_text(
        f"['remote \"storage\"']\n    url = {tmp_path / 'remote'}\n"
    )
    return folder


def test_what_is_lost_or_damaged_is_named_and_left(clone: Path, tmp_path: Path) -> None:
    assert "came now" in pull(clone) and "0 came now" in pull(clone)
    store, outs = open_store(clone), list_outputs(clone)
    model = next(
        f for out in outs for f in list_output_files(store, out) if f.path == "models/model.skops"
    )
    kept, far = cache_path(store.cache, model.md5), Path(store.remote.oid_to_path(model.md5))
    whole = kept.read_bytes()
    shutil.rmtree(store.cache)
    assert check_storage(store, outs)["cache"] and "came now" in pull(clone)  # the cache is lost
    for content in (whole[:10], b"x" + whole[1:]):  # a truncated cache file, a wrong hash
        kept.chmod(0o644)
        kept.write_bytes(content)
        for word in (push, pull):
            line = refused(word, clone)
            assert "/model.skops" in line and kept.name in line, line
        assert kept.read_bytes() == content
    kept.unlink()
    for content in (whole[:10], b"x" + whole[1:]):  # the same in the remote
        far.chmod(0o644)
        far.write_bytes(content)
        assert (
            "/model.skops" in refused(pull, clone)
            and far.read_bytes() == content
            and not kept.exists()
        )
    far.unlink()
    assert "not in the DVC remote" in refused(pull, clone)
    (tmp_path / "remote").rename(tmp_path / "elsewhere")
    assert "cannot be reached" in refused(pull, clone)
    (tmp_path / "elsewhere").rename(tmp_path / "remote")
    assert "neither in the cache" in refused(push, clone)
    edited = clone / "models/model.skops"
    far.write_bytes(whole)
    edited.chmod(0o644)
    edited.write_bytes(b"mine")
    assert "not overwritten" in refused(pull, clone) and edited.read_bytes() == b"mine"


def test_a_lock_that_names_what_is_nowhere(clone: Path) -> None:
    lock = clone / "dvc.lock"
    bundle = next(o for o in list_outputs(clone) if o.path == "models/bundle")
    lock.write_text(lock.read_text().replace(bundle.md5, "0" * 32 + ".dir"))
    assert "models/bundle" in refused(pull, clone) and "models/bundle" in refused(push, clone)
    assert (
        json.dumps(check_storage(open_store(clone), list_outputs(clone))).count("models/bundle")
        >= 1
    )
