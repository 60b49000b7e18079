"A project on a user's own data: made whole or not at all, under its own name, and it runs."

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import GIT, ROOT, copy_project, run, set_params

from mlops_kit.core.files import UserError, only_one, read_yaml
from mlops_kit.scaffold.init import init_project

ROWS = 600


def shop(rows: int = ROWS) -> pd.DataFrame:
    "Make a table in which everything has a cause."
    rng = np.random.default_rng(7)
    table = pd.DataFrame(
        {
            "Order Nº": np.arange(rows) + 1000,
            "ordered at": pd.date_range("2023-01-01", periods=rows, freq="9h").strftime(
                "%d.%m.%Y %H:%M"
            ),
            "customer_id": rng.integers(0, 200, rows),
            "price (€)": rng.gamma(2, 20, rows).round(2),
            "größe": rng.choice(["S", "M", "L"], rows),
            "gift?": rng.choice(["yes", "no"], rows),
            "always": "x",
            "never": None,
        }
    )
    pull = table["price (€)"] / 40 - (table["größe"] == "L") + rng.normal(size=rows) * 0.7
    return table.assign(
        kept=np.where(pull > 0.8, "returned", "kept"),
        stars=pd.cut(pull, 3, labels=["low", "mid", "high"]).astype("str"),
        spent=(pull * 10 + 50).round(3),
    )


def options(**changes) -> dict:
    return {
        "target": "kept",
        "time": None,
        "task": "auto",
        "positive": None,
        "name": "My Shop",
    } | changes


SHORT = {"train.rounds": 30, "evaluate.resamples": 20, "evaluate.importance_rows": 100}


def repro(project: Path) -> subprocess.CompletedProcess:
    """Bring a made project up to date with this environment's command and library, with fewer
    rounds and draws.
    """
    set_params(project, SHORT)
    return run(["mlops-nb", "repro"], project)


@pytest.fixture(scope="module")
def project() -> Path:
    "Give a made project, not to be changed, which both workers share."
    folder = Path(os.environ["TESTS_SHARED"]) / "init"
    with only_one(folder / "lock", "making the project"):
        if not (folder / "done").exists():
            make_shop(folder)
            (folder / "done").touch()
    return folder / "Mein Laden"


def make_shop(folder: Path) -> None:
    "Make the project on a file with everything that a spreadsheet abroad does."
    shop().drop(columns=["stars", "spent"]).to_csv(
        folder / "orders.csv",
        sep=";",
        decimal=",",
        encoding="latin-1",
        errors="replace",
        index=False,
    )
    before = (folder / "orders.csv").read_bytes()
    lines = init_project(folder / "Mein Laden", str(folder / "orders.csv"), options())
    assert max(map(len, lines[1:10])) <= 80 and (folder / "orders.csv").read_bytes() == before
    result = repro(folder / "Mein Laden")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]


def test_it_has_its_own_name_and_a_first_commit(project: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=project, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    wheel = [f for f in listed if f.startswith("vendor/")]
    told = [
        f
        for f in listed
        if f not in wheel
        and any(
            word in (project / f).read_text(encoding="utf-8").lower()
            for word in ("flight", "mlops_nb.", "mlops_nb/", "lib_name = mlops")
        )
    ]
    assert told == [] and len(wheel) == 1 and not [f for f in listed if "flight" in f]
    assert len(listed) <= 80 and not [f for f in listed if f.startswith(("lib/", "tools/"))]
    assert len([f for f in listed if f.endswith(".ipynb")]) <= 16
    digest = hashlib.sha256((project / wheel[0]).read_bytes()).hexdigest()
    assert (
        f"./{wheel[0]} \\\n    --hash=sha256:{digest}\n"
        in (project / "requirements.txt").read_text()
    )
    log = subprocess.run(
        ["git", "log", "--format=%s"], cwd=project, capture_output=True, text=True, check=True
    ).stdout
    assert (
        log.strip() == "Start My Shop from its data"
        and "data/source.dvc" in listed
        and "my_shop/train.py" in listed
    )
    assert read_yaml(project / "params.yaml")["package"]["name"] == "my-shop"


def test_its_notebooks_keep_the_rules_of_the_house(project: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(project)}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "tests/test_notebooks.py",
            "-k",
            "not examples and not nbdev_test",
        ],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0 and "[100%]" in done.stdout, (
        done.stdout[-3000:] + done.stderr[-1000:]
    )


def test_the_draft_says_what_it_saw(project: Path) -> None:
    columns = read_yaml(project / "contract.yaml")["columns"]
    roles = {name: rules.get("role", "feature") for name, rules in columns.items()}
    assert [roles[n] for n in ("customer_id", "always", "never")] == [
        "group",
        "constant",
        "empty",
    ] and list(roles.values())[0] == "identifier"
    assert (
        all(rules["evidence"] for rules in columns.values())
        and columns["ordered at"]["format"] == "%d.%m.%Y %H:%M"
    )
    assert read_yaml(project / "contract.yaml")["time"] == "ordered at"


def test_groups_on_both_sides_are_counted(project: Path) -> None:
    overlap = json.loads((project / "metrics/features.json").read_text())["overlap"]
    assert overlap["groups"]["customer_id"] > 50
    assert "features.group: customer_id" in (project / "reports/features.html").read_text()


def test_a_feature_of_ones_own_reaches_training_and_serving(project: Path, tmp_path: Path) -> None:
    started = time.perf_counter()
    copy = tmp_path / "copy"
    shutil.copytree(project, copy, symlinks=True)
    path = copy / "nbs/03_features.ipynb"
    notebook = json.loads(path.read_text())
    place = next(i for i, c in enumerate(notebook["cells"]) if "# Run" in "".join(c["source"]))
    source = (
        '#| export\n@feature\ndef root_of_price(rows: pd.DataFrame) -> pd.Series:\n    "Square '
        'root of the price."\n    return rows["price (€)"] ** 0.5'
    ).replace(
        "price (€)",
        [c for c in read_yaml(copy / "contract.yaml")["columns"] if c.startswith("price")][0],
    )
    notebook["cells"].insert(
        place,
        {
            "cell_type": "code",
            "id": "feature1",
            "metadata": {},
            "source": source.splitlines(True),
            "outputs": [],
            "execution_count": None,
        },
    )
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False))
    text = (copy / "params.yaml").read_text()
    (copy / "params.yaml").write_text(text.replace("derived: []", "derived: [root_of_price]"))
    result = run(["dvc", "repro", "package"], copy)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    assert (
        "root_of_price"
        in json.loads((copy / "data/features/features.json").read_text())["features"]
    )
    assert "def root_of_price" in (copy / "my_shop/features.py").read_text()
    print(f"a feature, from the edit to the new bundle: {time.perf_counter() - started:.1f} s")


@pytest.mark.parametrize(
    ("target", "task", "metric"),
    [("stars", "multiclass", "f1_macro"), ("spent", "regression", "r2")],
)
def test_other_tasks_run(tmp_path: Path, target: str, task: str, metric: str) -> None:
    shop(160 if task == "multiclass" else 3000)[["price (€)", "größe", "gift?", target]].to_parquet(
        tmp_path / "t.parquet"
    )
    init_project(tmp_path / "p", str(tmp_path / "t.parquet"), options(target=target, name=task))
    result = repro(tmp_path / "p")
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    evaluation = json.loads((tmp_path / "p/metrics/evaluate.json").read_text())
    assert (
        evaluation["metric"] == metric
        and evaluation["metrics"][metric]["value"] > 0.3
        and "roc_auc" not in evaluation["metrics"]
    )
    delivery = pd.read_parquet(tmp_path / "t.parquet").tail(300).drop(columns=target)
    delivery.to_parquet(tmp_path / "new.parquet")
    judged = run(["mlops-nb", "drift", str(tmp_path / "new.parquet")], tmp_path / "p")
    assert judged.returncode == 0 and "drift: quiet" in judged.stdout, judged.stdout + judged.stderr
    answered = run(["mlops-nb", "predict", str(tmp_path / "new.parquet")], tmp_path / "p")
    assert answered.returncode == 0, answered.stdout + answered.stderr
    assert answered.stdout.startswith(f"{len(delivery)} rows: {len(delivery)} answered")
    for name in ("registry", "retrain"):  # no version and no time: each report says so
        done = run(["mlops-nb", "stage", name], tmp_path / "p")
        assert done.returncode == 0, done.stdout + done.stderr
    plots = run(["dvc", "plots", "show", "--json", "-o", str(tmp_path / "plots")], tmp_path / "p")
    assert plots.returncode == 0 and not json.loads(plots.stdout).get("errors"), plots.stderr


def damaged(tmp_path: Path, kind: str) -> Path:
    "Write a file with one thing wrong."
    path, table = tmp_path / f"{kind}.csv", shop(120)[["price (€)", "größe", "kept"]]
    lines = table.to_csv(index=False).splitlines()
    if kind == "parquet":
        table.to_parquet(path := tmp_path / "cut.parquet")
        path.write_bytes(path.read_bytes()[:900])
        return path
    if kind == "garbage":
        path.write_bytes(bytes(range(256)) * 40)
        return path
    texts = {
        "empty": "",
        "header": lines[0] + "\n",
        "ragged": "\n".join([*lines[:50], lines[50] + ",1,2", *lines[51:]]),
        "short": "\n".join([*lines[:50], "1", *lines[51:]]),
        "twice": "\n".join(["a,a,kept", *lines[1:]]),
        "one class": table.assign(kept="kept").to_csv(index=False),
        "no answer": table.assign(kept=None).to_csv(index=False),
        "names": table.assign(kept=[f"n{i}" for i in range(120)]).to_csv(index=False),
        "one row": "\n".join(lines[:2]),
        "wide": ",".join([f"c{i}" for i in range(10_001)] + ["kept"])
        + "\n"
        + ("1," * 10_001 + "a\n") * 60,
        "one column": "kept\n" + "a\nb\n" * 60,
        "no target": table.rename(columns={"kept": "keep"}).to_csv(index=False),
    }
    path.write_text(texts[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("empty", ("is empty",)),
        ("header", ("no rows",)),
        ("garbage", ("is not text",)),
        ("parquet", ("no complete Parquet",)),
        ("ragged", ("line 51", "5 fields, expected 3")),
        ("short", ("line 51", "1 fields")),
        ("twice", ("'a'", "2 times")),
        ("one class", ("'kept'", "one value only")),
        ("no answer", ("no value at all",)),
        ("names", ("120 different values", "another --target")),
        ("one row", ("1 row,", "at least 50")),
        ("wide", ("10,002 columns", "at most 10,001 are allowed")),
        ("one column", ("one column only",)),
        ("no target", ("'kept'", "did you mean 'keep'")),
    ],
)
def test_broken_data_ends_in_one_line_and_leaves_nothing(
    tmp_path: Path, kind: str, words: tuple
) -> None:
    path = damaged(tmp_path, kind)
    before = (path.read_bytes(), sorted(tmp_path.iterdir()))
    with pytest.raises(UserError) as caught:
        init_project(tmp_path / "p", str(path), options())
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value), str(
        caught.value
    )
    assert (path.read_bytes(), sorted(tmp_path.iterdir())) == before


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"time": "größe"}, "holds no dates"),
        ({"task": "regression"}, "needs numbers"),
        ({"positive": "maybe"}, "'maybe'"),
        ({"name": "random"}, "--name"),
        ({"target": "gone"}, "its columns are"),
    ],
)
def test_wrong_options_end_in_one_line(tmp_path: Path, changes: dict, word: str) -> None:
    shop(100)[["price (€)", "größe", "kept"]].to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(UserError, match=word):
        init_project(tmp_path / "p", str(tmp_path / "t.csv"), options(**changes))
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/mine.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        init_project(tmp_path / "p", "x.csv", options())
    assert (tmp_path / "p/mine.txt").read_text() == "mine"


def test_command_line(tmp_path: Path) -> None:
    shop(100)[["price (€)", "größe", "kept"]].to_csv(tmp_path / "t.csv", index=False)
    bad = run(["mlops-nb", "init", "p", "--data", "no.csv", "--target", "kept"], tmp_path)
    assert (
        bad.returncode == 1 and len(bad.stderr.strip().splitlines()) == 1 and "no.csv" in bad.stderr
    )
    good = run(
        [
            "mlops-nb",
            "init",
            "p",
            "--data",
            "t.csv",
            "--target",
            "kept",
            "--time",
            "none",
            "--positive",
            "kept",
        ],
        tmp_path,
    )
    assert good.returncode == 0 and "cd p && make repro" in good.stdout, good.stderr
    assert (
        read_yaml(tmp_path / "p/contract.yaml")["positive"] == "kept"
        and str(ROOT) not in (tmp_path / "p/params.yaml").read_text()
    )


def test_a_query_of_a_database_and_a_leak_that_shuts_the_gate(tmp_path: Path) -> None:
    import sqlite3

    columns = ["price (€)", "größe", "ordered at", "kept"]
    table = shop(500)[columns].assign(
        refund=lambda t: np.where(t["kept"] == "returned", t["price (€)"], 0.0)
    )
    with sqlite3.connect(tmp_path / "shop.db") as base:
        table.to_sql("orders", base, index=False)
    before = (tmp_path / "shop.db").read_bytes()
    address = f"sqlite:///{tmp_path / 'shop.db'}"
    lines = init_project(
        tmp_path / "p", f'{address}::select * from orders where "price (€)" > 1', options()
    )
    assert any("LEAK" in line and "refund" in line for line in lines)
    result = run(["dvc", "repro", "gate"], tmp_path / "p")
    assert result.returncode == 0 and "features: refund looks like a leak" in result.stderr
    verdict = run(["mlops-nb", "gate"], tmp_path / "p")
    assert verdict.returncode == 1 and "look like leaks (refund)" in verdict.stdout, (
        verdict.stdout + verdict.stderr
    )
    assert (tmp_path / "shop.db").read_bytes() == before
    with pytest.raises(UserError, match="no such table: nowhere"):
        init_project(tmp_path / "q", f"{address}::select * from nowhere", options())


def test_files_of_every_dialect_give_the_same_contract(tmp_path: Path) -> None:
    table, contracts = shop(300)[["price (€)", "größe", "gift?", "kept"]], []
    writers = {
        "a.csv": {},
        "b.tsv": {"sep": "\t", "encoding": "utf-16"},
        "c.txt": {"sep": "|", "encoding": "utf-8-sig", "quoting": 1},
        "d.csv.gz": {"sep": ";", "decimal": ","},
        "e.csv.bz2": {},
        "f.csv.zip": {},
    }
    for name, how in writers.items():
        table.to_csv(tmp_path / name, index=False, **how)
        init_project(tmp_path / name[0], str(tmp_path / name), options())
        columns = read_yaml(tmp_path / name[0] / "contract.yaml")["columns"]
        decimal = columns["price (€)"].pop("decimal", ".")
        assert decimal == how.get("decimal", ".")
        said = "300 numbers are read with a decimal comma; " if decimal == "," else ""
        assert columns["price (€)"]["evidence"].startswith(said)
        columns["price (€)"]["evidence"] = columns["price (€)"]["evidence"].removeprefix(said)
        contracts.append(columns)
    assert all(contract == contracts[0] for contract in contracts)
    (tmp_path / "many").mkdir()
    for number in range(3):
        table[number * 100 : number * 100 + 100].to_json(
            tmp_path / f"many/{number}.jsonl", orient="records", lines=True, force_ascii=False
        )
    lines = init_project(tmp_path / "m", str(tmp_path / "many/*.jsonl"), options())
    assert read_yaml(tmp_path / "m/params.yaml")["data"]["source"] == "data/source/*.jsonl" and any(
        "kept" in line for line in lines
    )
    assert {p.name for p in (tmp_path / "m/data/source").iterdir()} == {
        "0.jsonl",
        "1.jsonl",
        "2.jsonl",
    }


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    shop(100)[["Order Nº", "always", "kept"]].to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(
        UserError,
        match="no column is left to predict 'kept' from: Order Nº \\(identifier\\), always "
        "\\(constant\\)",
    ):
        init_project(tmp_path / "p", str(tmp_path / "t.csv"), options())
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def odd_table() -> pd.DataFrame:
    "Make a table with what real ones hold."
    table = shop(900).drop(columns=["stars", "spent"])
    rows = np.arange(len(table))
    table = table.assign(
        begun=np.where(rows < 700, np.nan, rows % 7),
        words=np.where(rows < 700, "", "some words that came late, written by a person"),
        far=[f"{1500 + (i * 7) % 1300}-03-01" for i in rows],
        noted="n/a",
        endless=np.where(rows % 5 == 0, "inf", rows % 3),
    )
    table['$a_$ {b}: %s "q"'] = rows % 11
    return table


def test_a_clone_becomes_the_project_and_odd_columns_do_not_stop_it(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    copy_project(clone)
    subprocess.run([*GIT, "add", "-A"], cwd=clone, check=True)
    subprocess.run([*GIT, "commit", "-qm", "as it is", "--allow-empty"], cwd=clone, check=True)
    odd_table().to_csv(tmp_path / "t.csv", index=False)

    def init(*more: str) -> subprocess.CompletedProcess:
        command = "from mlops_kit.cli.main import main; main()"
        return subprocess.run(
            [
                sys.executable,
                "-c",
                command,
                "init",
                "--in-place",
                "--data",
                "../t.csv",
                "--target",
                "kept",
                "--time",
                "ordered at",
                *more,
            ],
            cwd=clone,
            env=dict(os.environ),
            capture_output=True,
            text=True,
        )

    before = sorted(p.name for p in clone.iterdir())
    refused = init("--name", "random")
    assert (
        refused.returncode == 1
        and sorted(p.name for p in clone.iterdir() if p.name != "__pycache__") == before
    )
    done = init("--name", "Laden")
    assert done.returncode == 0, done.stderr
    assert (
        (clone / "laden/train.py").exists()
        and not (clone / "mlops_nb").exists()
        and not (clone / "lib").exists()
        and not (clone / "starter").exists()
        and not (clone / "dvc.lock").exists()
    )
    assert subprocess.run(
        ["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True
    ).stdout == "" and sorted(p.name for p in tmp_path.iterdir()) == ["clone", "t.csv"]
    result = repro(clone)
    assert result.returncode == 0, result.stdout[-1500:] + result.stderr[-1500:]
    aside = list((clone / "data/quarantine").rglob("*.parquet"))
    assert sum(len(pd.read_parquet(file)) for file in aside) == 0
