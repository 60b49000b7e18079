"What reruns and why: prose is free, a function, a version or a parameter reruns exactly what depends on it."

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from conftest import ROOT, edit, make_project, ran, repro, run, set_params

from mlops_kit.cli.explain import explain_rerun
from mlops_kit.core.files import read_yaml
from mlops_kit.core.project import project_notebooks, read_notebook, stage_names
from mlops_kit.notebooks.pipeline import projected_packages, projections

DVC = read_yaml(ROOT / "dvc.yaml")["stages"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("reruns") / "ein Projekt · ünï")


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
    assert run(["mlops-nb", "code"], project, PYTHONPATH=str(project)).returncode == 0
    why = run(["mlops-nb", "why"], project, PYTHONPATH=str(project)).stdout
    assert "the library's package experiments changed (its code, not its prose)" in why
    code = projections(project, stage_names(project))
    importers = [
        name
        for name in stage_names(project)
        if "experiments" in projected_packages(code[f"projection/notebooks/{name}.py"])
    ]
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
    edit(project, "gate", "## Minimum score", "## Minimum of the score")
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
