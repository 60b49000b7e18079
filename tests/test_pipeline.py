"The pipeline as a whole: one name everywhere, exact dependencies, nothing reruns without reason, the same bytes twice."

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest
from conftest import ROOT, copy_project, edit, make_project, ran, repro, run, set_params

from mlops_kit.core.files import read_yaml
from mlops_kit.cli.explain import explain_rerun, parameter_names
from mlops_kit.core.params import all_declared
from mlops_kit.core.project import package_name, project_notebooks, read_notebook, stage_names
from mlops_kit.notebooks.pipeline import chapter_code, kit_modules
from mlops_kit.notebooks.sample import run_in
from mlops_kit.notebooks.source import import_closure, projection

DVC = read_yaml(ROOT / "dvc.yaml")["stages"]


def paths(entries: list) -> set[str]:
    return {next(iter(e)) if isinstance(e, dict) else e for e in entries}


def code_of(name: str) -> set[str]:
    "List what a stage must depend on: its own code, the chapters and the rooms that its imports reach."
    chapters, package = chapter_code(ROOT), package_name(ROOT)
    source = projection(read_notebook(project_notebooks(ROOT)[name]))
    found = {f"projection/notebooks/{name}.py"}
    for module in import_closure(source, chapters | kit_modules(ROOT)):
        own = module.removeprefix(f"{package}.")
        if module not in chapters:
            found.add(f"projection/kit/{module.split('.')[1]}.txt")
        elif own != name:
            found.add(f"projection/modules/{own}.py")
    return found


@pytest.mark.parametrize("name", stage_names(ROOT))
def test_dependencies_are_exactly_the_imports(name: str) -> None:
    assert {d for d in DVC[name]["deps"] if d.startswith("projection/")} == code_of(name)


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
    assert set(parameter_names(DVC[name])["params.yaml"]) == shared | {name}
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


def test_prose_and_outputs_are_free(project: Path) -> None:
    before = (project / "models/bundle/provenance.json").read_bytes()
    edit(project, "train", "# Train", "# Train, in other words")
    path = project_notebooks(project)["evaluate"]
    notebook = read_notebook(path)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = (
                [{"output_type": "stream", "name": "stdout", "text": ["noise"]}],
                7,
            )
    path.write_text(json.dumps(notebook, indent=1))
    assert explain_rerun(project) == {}
    assert ran(repro(project)) in ([], ["code"])
    # a rebuilt report would show the new prose
    edit(project, "train", "# Train, in other words", "# Train")
    assert (project / "models/bundle/provenance.json").read_bytes() == before


def test_a_function_reruns_exactly_the_stages_that_import_it(project: Path) -> None:
    library = project / "lib"
    edit(project, "gate", "verdict = gate(", "assert gate\nverdict = gate(")
    assert "notebook gate: the code `assert gate` is new" in str(explain_rerun(project)["gate"])
    # the index shows what every stage said: it reads the executed notebooks, and their code changed
    assert ran(repro(project)) == ["code", "gate", "index"]
    if not library.is_dir():  # a made project's library is a wheel
        return
    edit(library, "experiments.table", "\n", "\n# a comment of the room experiments\n")
    assert ran(repro(project)) == ["code"]
    edit(library, "experiments.table", "#| export\n", "#| export\nUNUSED_NAME = 1\n")
    room = "projection/kit/experiments.txt"
    importers = [n for n in stage_names(project) if room in DVC[n]["deps"]]
    result = repro(project)
    assert ran(result) == ["code", *importers] and importers
    assert explain_rerun(project) == {}


def test_a_version_reruns_the_stages_that_depend_on_it(project: Path) -> None:
    file = project / "environment.yaml"
    before = file.read_text()
    file.write_text(before.replace(version("sqlalchemy"), "0.0.1").replace(version("tqdm"), "0.1"))
    assert list(explain_rerun(project))[0] == "ingest"
    assert "version of sqlalchemy" in explain_rerun(project)["ingest"][0]
    file.write_text(before)
    assert explain_rerun(project) == {}


def test_a_parameter_reruns_its_stage_and_why_says_so(project: Path) -> None:
    before = run(["mlops-nb", "gate"], project).returncode
    limit = read_yaml(project / "params.yaml")["gate"]["min_score"]
    set_params(project, {"gate.min_score": 2.0})
    why = run(["mlops-nb", "why"], project, PYTHONPATH=str(project)).stdout
    assert f"parameter gate.min_score: {limit} → 2.0" in why
    result = repro(project)
    assert ran(result) == ["gate", "package", "monitor", "index"]
    assert "gate: NOT passed" in result.stdout
    enforced = run(["mlops-nb", "gate"], project, PYTHONPATH=str(project))
    assert enforced.returncode == 1 and "NO   floor" in enforced.stdout
    set_params(project, {"gate.min_score": limit})
    assert set(ran(repro(project))) <= {"package"}  # the others come from DVC's run cache
    assert run(["mlops-nb", "gate"], project).returncode == before


def test_a_hand_edit_of_a_module_is_neither_used_nor_lost(project: Path) -> None:
    module = project / "mlops_nb/gate.py"
    before = module.read_text()
    module.write_text(before.replace("def gate(", "def gate_differently("))
    result = run(["mlops-nb", "stage", "gate"], project, PYTHONPATH=str(project))
    assert (
        result.returncode == 1
        and "nbdev_update" in result.stderr
        and len(result.stderr.strip().splitlines()) == 1
    )
    edit(project, "gate", "## Is it good enough?", "## Is it good?")
    assert repro(project).returncode != 0 and "gate_differently" in module.read_text()
    module.write_text(before)
    assert repro(project).returncode == 0


def test_dvc_shows_metrics_parameters_and_plots(project: Path, tmp_path: Path) -> None:
    shown = run(["dvc", "metrics", "show", "--json"], project)
    assert "metrics/evaluate.json" in shown.stdout and shown.returncode == 0
    assert run(["dvc", "params", "diff"], project).returncode == 0
    plots = run(["dvc", "plots", "show", "--json", "-o", str(tmp_path)], project)
    assert plots.returncode == 0 and all(
        next(iter(plot)) in plots.stdout for plot in read_yaml(ROOT / "dvc.yaml")["plots"]
    ), plots.stderr
    assert not json.loads(plots.stdout).get("errors")


def test_reports_hold_no_addresses_and_nothing_from_the_network(project: Path) -> None:
    for page in (project / "reports").glob("*.html"):
        text = page.read_text()
        assert "http-equiv" not in text and str(project) not in text
        assert re.findall("<script[^>]*>", text) == ['<script src="state.js" defer>']
        assert 'src="http' not in text and 'name="viewport"' in text


def test_a_failing_cell_is_named_and_leaves_a_partial_report(project: Path) -> None:
    edit(project, "gate", "verdict = gate(", "1 / 0\nverdict = gate(")
    result = repro(project)
    assert (
        result.returncode != 0
        and "gate: code cell" in result.stderr
        and "`1 / 0`" in result.stderr
        and "ZeroDivisionError" in result.stderr
    )
    assert (
        "reports/failed/gate.html" in result.stderr
        and "ZeroDivisionError" in (project / "reports/failed/gate.html").read_text()
    )
    edit(project, "gate", "1 / 0\nverdict = gate(", "verdict = gate(")
    assert repro(project).returncode == 0 and not (project / "reports/failed/gate.html").exists()


def test_sample_stages_run_alone(sample) -> None:
    assert run_in(sample("evaluate"), "gate").returncode == 0
