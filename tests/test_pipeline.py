"The pipeline as a whole: one name everywhere, exact dependencies, nothing reruns without reason, the same bytes twice."

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest
from conftest import ROOT, copy_project, make_project, ran, repro, run

from mlops_kit.core.files import read_yaml
from mlops_kit.cli.explain import explain_rerun, parameter_names
from mlops_kit.core.params import all_declared
from mlops_kit.core.project import package_name, project_notebooks, read_notebook, stage_names
from mlops_kit.notebooks.pipeline import (
    chapter_code,
    kit_modules,
    projected_packages,
    projections,
)
from mlops_kit.notebooks.test_sample import run_in
from mlops_kit.notebooks.source import code_cells, import_closure, projection

DVC = read_yaml(ROOT / "dvc.yaml")["stages"]


def paths(entries: list) -> set[str]:
    return {next(iter(e)) if isinstance(e, dict) else e for e in entries}


def reached(name: str) -> tuple[set[str], set[str]]:
    "List the chapters and the library's rooms that a stage's imports reach."
    chapters, package = chapter_code(ROOT), package_name(ROOT)
    source = projection(read_notebook(project_notebooks(ROOT)[name]))
    modules = import_closure(source, chapters | kit_modules(ROOT))
    own = {m.removeprefix(f"{package}.") for m in modules if m in chapters}
    return own - {name}, {m.split(".")[1] for m in modules if m not in chapters}


def code_of(name: str) -> set[str]:
    "List what a stage must depend on: its own code, which names the rooms, and the chapters."
    modules = {f"projection/modules/{chapter}.py" for chapter in reached(name)[0]}
    return modules | {f"projection/notebooks/{name}.py"}


@pytest.mark.parametrize("name", stage_names(ROOT))
def test_dependencies_are_exactly_the_imports(name: str) -> None:
    assert {d for d in DVC[name]["deps"] if d.startswith("projection/")} == code_of(name)
    text = projections(ROOT, [name])[f"projection/notebooks/{name}.py"]
    assert set(projected_packages(text)) == reached(name)[1]


def test_code_projects_what_stages_depend_on() -> None:
    assert paths(DVC["code"]["outs"]) == {d for n in stage_names(ROOT) for d in code_of(n)}


def test_the_pipeline_can_be_read() -> None:
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) <= 170


def test_versions_that_stages_depend_on_are_those_installed() -> None:
    known = read_yaml(ROOT / "environment.yaml")
    for stage in DVC.values():
        for name in parameter_names(stage).get("environment.yaml", []):
            assert known[name] == version(name), f"{name}: run `make lock`"


@pytest.mark.parametrize("name", stage_names(ROOT))
def test_one_name_everywhere(name: str) -> None:
    assert DVC[name]["cmd"] == f"mlops-nb stage {name}"
    assert name in project_notebooks(ROOT)
    assert {f"reports/{name}.html", f"reports/{name}.ipynb"} <= paths(DVC[name]["outs"])
    assert name in read_yaml(ROOT / "params.yaml")


@pytest.mark.parametrize("name", stage_names(ROOT))
def test_parameters_of_notebook_params_and_dvc_agree(name: str) -> None:
    params, declared = read_yaml(ROOT / "params.yaml"), all_declared(ROOT)[name]
    own = set(params.get(name) or {})
    shared = {"seed" if key == "seed" else f"data.{key}" for key in declared if key not in own}
    needed = set(parameter_names(DVC[name])["params.yaml"])
    of_others = {p for p in needed if p.split(".")[0] in set(DVC) - {name}}
    assert needed - of_others == shared | {name}
    code = "\n".join(code_cells(read_notebook(project_notebooks(ROOT)[name])))
    for parameter in of_others:  # the settings of another stage, which the notebook reads itself
        assert all(f'"{key}"' in code for key in parameter.split(".")), parameter
    assert own <= set(declared)


def test_no_stage_depends_on_a_file_inside_a_directory_out() -> None:
    outs = {o for s in DVC.values() for o in paths([*s.get("outs", []), *s.get("metrics", [])])}
    for name, stage in DVC.items():
        for dep in stage["deps"]:
            assert dep in outs or not any(dep.startswith(o + "/") for o in outs), (
                f"{name} depends on {dep}"
            )


def test_export_and_clean_leave_the_tree_unchanged(tmp_path: Path) -> None:
    copy = tmp_path / "a copy"
    files = copy_project(copy)
    for command, folder in (
        (["mlops-nb", "code"], copy),
        (["nbdev_clean"], copy),
        (["nbdev_clean"], copy / "lib"),
    ):
        if not folder.is_dir():  # a made project's library is a wheel
            continue
        result = run(command, folder, IN_TEST="")
        assert result.returncode == 0, result.stderr
    changed = [f for f in files if (ROOT / f).read_bytes() != (copy / f).read_bytes()]
    assert not changed, f"run `make export` and commit: {changed}"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("pipeline") / "ein Projekt · ünï")


def test_results_are_all_there(project: Path) -> None:
    for file in (
        "metrics/evaluate.json",
        "metrics/gate.json",
        "reports/index.html",
        "models/bundle/model.skops",
        "models/bundle/reference.bin",
        "MODEL_CARD.md",
    ):
        assert (project / file).is_file(), file
    assert isinstance(json.loads((project / "metrics/gate.json").read_text())["passed"], bool)


def test_nothing_to_do_does_nothing(project: Path) -> None:
    assert ran(repro(project)) == [] and explain_rerun(project) == {}


def test_reports_hold_no_addresses_and_nothing_from_the_network(project: Path) -> None:
    for page in (project / "reports").glob("*.html"):
        text = page.read_text()
        assert "http-equiv" not in text and str(project) not in text
        assert re.findall("<script[^>]*>", text) == ['<script src="state.js" defer>']
        assert 'src="http' not in text and 'name="viewport"' in text


def test_sample_stages_run_alone(sample) -> None:
    assert run_in(sample("evaluate"), "gate").returncode == 0
