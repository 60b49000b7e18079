"Rebuilt from nothing by `dvc repro` alone, each stage a process of its own, with other threads, hash seed, time zone, locale and processor, a project has the same bytes; `make proofs` does this on the real data."

import shutil
from pathlib import Path

import yaml
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
from conftest import make_project, ran, run

# what numpy would use here; an older processor has none of it, and other last bits in logarithms
SIMD = [name for name in __cpu_dispatch__ if __cpu_features__[name]]


def test_rebuilt_from_nothing_gives_the_same_bytes(tmp_path: Path) -> None:
    project = make_project(tmp_path / "erst")
    kept = {
        p: (project / p).read_bytes()
        for p in ("dvc.lock", "metrics/evaluate.json", "metrics/gate.json", "MODEL_CARD.md")
    }
    shutil.rmtree(project / ".dvc/cache")
    for made in [p for p in (project / "data").iterdir() if not p.name.startswith(("source", "."))]:
        shutil.rmtree(made)
    for name in ("models", "reports", "projection", "dvc.lock", "MODEL_CARD.md"):
        shutil.rmtree(project / name) if (project / name).is_dir() else (project / name).unlink()
    project = project.rename(tmp_path / "dann anderswo")
    assert (
        len(
            ran(
                run(
                    ["dvc", "repro"],
                    project,
                    PYTHONPATH=str(project),
                    OMP_NUM_THREADS="1",
                    PYTHONHASHSEED="7",
                    TZ="Pacific/Auckland",
                    LC_ALL="C",
                    NPY_DISABLE_CPU_FEATURES=" ".join(SIMD),
                )
            )
        )
        == 10
    )
    before, after = (
        yaml.safe_load(kept["dvc.lock"]),
        yaml.safe_load((project / "dvc.lock").read_text()),
    )
    assert list(before["stages"]) == list(after["stages"])
    for name, stage in before["stages"].items():
        assert stage == after["stages"][name], name
    assert {p: (project / p).read_bytes() for p in kept} == kept
