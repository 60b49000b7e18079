"Every notebook's examples and asserts hold for the exported module too, in its own namespace: an export that leans on a notebook's global fails here."

import ast
import importlib
import os
import re
import symtable
from pathlib import Path

import pytest
from conftest import ROOT, run

from mlops_kit.core.project import code_folders, package_name, project_notebooks, read_notebook
from mlops_kit.notebooks.source import code_cells, projection, without_magics

NOTEBOOKS = {
    f"{package_name(folder)}.{name}": path
    for folder in code_folders(ROOT)
    for name, path in project_notebooks(folder).items()
}
EXPORTED = [
    name for name, path in NOTEBOOKS.items() if projection(read_notebook(path), exported_only=True)
]


def bound_names(cell: str) -> set[str]:
    "List what a cell binds at its top level: functions, classes, constants, imports."
    table = symtable.symtable(without_magics(cell), "cell", "exec")
    return {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_examples_hold_for_the_module(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a notebook from top to bottom as *Run All* does, but where a cell is exported take what it
    binds from the module: an example must find its function above itself, and the function must not
    need the notebook.
    """
    monkeypatch.setenv("IN_TEST", "1")
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(NOTEBOOKS[name].parent)
    module = vars(importlib.import_module(name)) if name in EXPORTED else {}
    namespace = {"__name__": f"test_{name}"}
    ran = 0
    for cell in code_cells(read_notebook(NOTEBOOKS[name])):
        if re.match(r"#\s*\|\s*(default_exp|eval:\s*false)", cell):
            continue
        if re.match(r"#\s*\|\s*export", cell):
            namespace |= {n: module[n] for n in bound_names(cell) if n in module}
            continue
        exec(compile(without_magics(cell), f"{name} cell", "exec"), namespace)
        ran += 1
    assert ran > 0
    assert os.environ.get("MLOPS_NB_ROOT") is None


@pytest.mark.parametrize("folder", code_folders(ROOT), ids=lambda folder: folder.name)
def test_nbdev_test_works_here(folder: Path) -> None:
    shortest = min(project_notebooks(folder).values(), key=lambda path: path.stat().st_size)
    done = run(["nbdev_test", "--path", str(shortest), "--n_workers", "0"], folder)
    assert done.returncode == 0 and "Success" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("name", EXPORTED)
def test_every_public_function_is_documented_and_typed(name: str) -> None:
    import inspect

    module = importlib.import_module(name)
    for public in module.__all__:
        thing = getattr(module, public)
        if inspect.isfunction(thing):
            assert thing.__doc__, f"{name}.{public} has no docstring"
            signature = inspect.signature(thing)
            untyped = [
                p.name
                for p in signature.parameters.values()
                if p.annotation is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
            ]
            assert not untyped and signature.return_annotation is not signature.empty, (
                f"{name}.{public}: {untyped}"
            )


@pytest.mark.parametrize("folder", code_folders(ROOT), ids=package_name)
def test_modules_are_within_budget(folder: Path) -> None:
    modules = [m for m in (folder / package_name(folder)).rglob("*.py") if m.name != "_modidx.py"]
    lines = {
        m.relative_to(folder).as_posix(): len(m.read_text("utf-8").splitlines()) for m in modules
    }
    assert len(lines) > 5 and {m: n for m, n in lines.items() if n > 400} == {}, "split these"


def test_notebooks_are_clean_and_within_budget() -> None:
    for path in NOTEBOOKS.values():
        notebook = read_notebook(path)
        code = [c for c in notebook["cells"] if c["cell_type"] == "code"]
        assert not any(c["outputs"] or c["execution_count"] for c in code), (
            f"{path.name} holds outputs: run `make export`"
        )
        assert len(code) <= 60, f"{path.name} has {len(code)} code cells"
        exported = projection(notebook, exported_only=True)
        for node in ast.walk(ast.parse(without_magics(exported))):
            if isinstance(node, ast.FunctionDef):
                lines = node.end_lineno - node.lineno + 1
                assert lines <= 40, f"{path.name}: {node.name} has {lines} lines: divide it"
