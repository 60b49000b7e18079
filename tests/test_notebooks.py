"Every notebook's examples and asserts hold for the exported module too, in its own namespace: an export that leans on a notebook's global fails here."

import importlib
import os
import re

import pytest
from conftest import ROOT

from mlops_kit.notebooks.source import code_cells, project_notebooks, projection, read_notebook, without_magics

EXPORTED = [
    name
    for name, path in project_notebooks(ROOT).items()
    if projection(read_notebook(path), exported_only=True)
]


@pytest.mark.parametrize("name", EXPORTED)
def test_examples_hold_for_the_module(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IN_TEST", "1")
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(ROOT / "nbs")
    module = importlib.import_module(f"mlops_nb.{name}")
    namespace = {k: v for k, v in vars(module).items() if k != "__file__"} | {
        "__name__": f"test_{name}"
    }
    ran = 0
    for cell in code_cells(read_notebook(project_notebooks(ROOT)[name])):
        if re.match(r"#\s*\|\s*(export|default_exp)", cell):
            continue
        exec(compile(without_magics(cell), f"{name} cell", "exec"), namespace)
        ran += 1
    assert ran > 0
    assert os.environ.get("MLOPS_NB_ROOT") is None


@pytest.mark.parametrize("name", EXPORTED)
def test_every_public_function_is_documented_and_typed(name: str) -> None:
    import inspect

    module = importlib.import_module(f"mlops_nb.{name}")
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


def test_notebooks_are_clean_and_within_budget() -> None:
    for name, path in project_notebooks(ROOT).items():
        notebook = read_notebook(path)
        code = [c for c in notebook["cells"] if c["cell_type"] == "code"]
        assert not any(c["outputs"] or c["execution_count"] for c in code), (
            f"{path.name} holds outputs: run `make export`"
        )
        assert len(code) <= 60, f"{path.name} has {len(code)} code cells"
        exported = projection(notebook, exported_only=True)
        assert exported.count("\n") <= 300, (
            f"{path.name} exports {exported.count(chr(10))} lines: split it"
        )


def test_notebooks_import_only_from_earlier_ones() -> None:
    from mlops_kit.notebooks.source import imported_modules

    names = list(project_notebooks(ROOT))
    for name, path in project_notebooks(ROOT).items():
        if name == "index":
            continue
        later = [
            m
            for m in imported_modules(projection(read_notebook(path)))
            if names.index(m) > names.index(name)
        ]
        allowed = {"sample": {"stage"}}.get(name, set())
        assert not set(later) - allowed, f"{path.name} imports from later notebooks: {later}"
