"Files as the world writes them: each is read right, or refused in one line and nothing is left behind."

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops_kit.core.contract import load_contract
from mlops_kit.core.files import UserError, read_yaml
from mlops_kit.data.csv_layout import CsvLayout
from mlops_kit.data.readers import read_batches
from mlops_kit.scaffold.contract_draft import draft_contract
from mlops_kit.scaffold.init import init_project
from mlops_kit.scaffold.profiling import profile_table

TOWNS = {
    "gb18030": "北京 上海 广州 深圳 成都 杭州 重庆 西安",
    "euc_kr": "서울 부산 대구 인천 광주 대전 울산 수원",
    "cp932": "東京 大阪 名古屋 札幌 はい コーヒー カード 福岡",
    "koi8-r": "Москва Казань Самара Омск Уфа Пермь Воронеж Тула",
    "cp1250": "Kraków Łódź Wrocław Poznań Gdańsk Częstochowa Toruń Rzeszów",
    "cp1252": "Nîmes Orléans Béziers Besançon Angoulême Évreux Mâcon Alès",
    "iso8859-15": "Cœur Œuf sœur Évry Šibenik 5€ Nœux Bœuf",
    "mac-roman": "München Köln Düsseldorf Nürnberg Würzburg Lübeck Münster Göttingen",
    "utf-16-le": "Nîmes Orléans Béziers Besançon Angoulême Évreux Mâcon Alès",
}


def rows(towns: str = "north south east west") -> list[str]:
    "Write rows of id, town, price and label."
    rng, names = np.random.default_rng(5), towns.split()
    town, price = rng.integers(0, len(names), 200), rng.gamma(2, 20, 200).round(2)
    label = np.where(price + 8 * town + rng.normal(0, 9, 200) > 60, "yes", "no")
    return [f"{i + 1000},{names[t]},{p},{y}" for i, (t, p, y) in enumerate(zip(town, price, label))]


def init(folder: Path, content: str | bytes, target: str = "y") -> str:
    "Make a project of a file, and give what was said as one line."
    data = content if isinstance(content, bytes) else content.encode()
    (folder / "t.csv").write_bytes(data)
    options = {"target": target, "time": None, "task": "auto", "positive": None, "name": "Trial"}
    lines = init_project(folder / "made", str(folder / "t.csv"), options)
    assert max(len(line) for line in lines[:-3]) <= 80
    return " ".join(" ".join(lines).split())


def read(folder: Path, content: str | bytes) -> tuple[CsvLayout, int, set[str]]:
    "Read a file as every command does."
    (folder / "t.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    layouts: list[CsvLayout] = []
    batches = list(read_batches("t.csv", folder, {}, layouts))
    return layouts[0], sum(map(len, batches)), set(batches[0].iloc[:, 1])


@pytest.mark.parametrize("encoding", TOWNS)
def test_an_encoding_is_detected_and_its_words_are_whole(tmp_path: Path, encoding: str) -> None:
    text = "id,town,price,y\n" + "\n".join(rows(TOWNS[encoding])) + "\n"
    layout, count, found = read(tmp_path, text.encode(encoding))
    assert layout.encoding.name == encoding
    assert count == 200 and found == set(TOWNS[encoding].split())


TABLE = "id,town,price,y\n" + "\n".join(rows()) + "\n"
TOTAL = f"{sum(float(row.split(',')[2]) for row in rows()):.2f}"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (TABLE + TABLE, [202]),
        (TABLE + f"Total,,{TOTAL},\n", [202]),
        (TABLE + f",Итого,{TOTAL},\n", [202]),
        (TABLE + f",,{TOTAL},\n", [202]),
        ("Report of May\n\n" + TABLE, [1]),
        ("# by hand\n# v2\n" + TABLE, [1, 2]),
        ("sep=,\n" + TABLE, [1]),
        (TABLE.replace("y\n", "y\n,,EUR,\n", 1), [2]),
        (TABLE.replace("y\n", "y\n---,---,---,---\n", 1) + "\n(200 rows affected)\n", [2, 204]),
        (TABLE + "Source: made up\n-- end\n", [202, 203]),
        (TABLE + TABLE.replace("id,town,price,y", "ID,Town,Price,Y"), [202]),
        (
            TABLE + f"all Total,,{TOTAL},\n" + TABLE + f"Total,,{2 * float(TOTAL):.2f},\n",
            [202, 203, 404],
        ),
        (TABLE + f"Average,,{float(TOTAL) / 200:.3f},\n", [202]),
        (TABLE + f"Max,,{max(float(row.split(',')[2]) for row in rows())},\n", [202]),
        (TABLE + "\x1a", [202]),
    ],
)
def test_lines_that_are_no_rows_are_named_and_left_out(
    tmp_path: Path, text: str, lines: list[int]
) -> None:
    layout, count, towns = read(tmp_path, text)
    assert count % 200 == 0 and towns == {"north", "south", "east", "west"}
    assert [out.line for out in layout.left_out] == lines


@pytest.mark.parametrize("note", [r"5 \" pipe", r"say \"hi\", twice", r"{\"a\": \"b\"}"])
def test_a_backslash_before_a_quotation_mark_is_no_part_of_the_text(
    tmp_path: Path, note: str
) -> None:
    lines = [row.replace(row.split(",")[1], f'"{note}"') for row in rows()]
    layout, count, found = read(tmp_path, "id,town,price,y\n" + "\n".join(lines) + "\n")
    assert layout.escape == "\\" and count == 200 and found == {note.replace("\\", "")}
    doubled = "id,town,price,y\n" + "\n".join(lines).replace('\\"', '""') + "\n"
    assert read(tmp_path, doubled)[1:] == (200, found)


def test_files_of_other_columns_that_were_joined_are_refused(tmp_path: Path) -> None:
    for names in ("town,id,price,y", "id,town,amount,y", "ID,PRICE,TOWN,Y"):
        with pytest.raises(UserError, match="row 201 holds other column names than the first line"):
            read(tmp_path, TABLE + TABLE.replace("id,town,price,y", names))
    comma = TABLE.replace(",east,", ",east, far,").replace(",south,", ",south, far,")
    comma = comma.replace(",north,", ",north, far,").replace(",west,", ",west, far,")
    with pytest.raises(UserError, match="has 4 fields and the rows have 5: name every column"):
        read(tmp_path, comma)


def test_json_and_parquet_hold_values_in_other_clothes(tmp_path: Path) -> None:
    table = [row.split(",") for row in rows()]
    wrapped = [
        {
            "_id": {"$oid": f"{int(i):024x}"},
            "at": {"$date": {"$numberLong": str(1_600_000_000_000 + 86_400_000 * k)}},
            "price": {"$numberDecimal": p},
            "y": y,
        }
        for k, (i, _, p, y) in enumerate(table)
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, wrapped)))
    found = next(read_batches("m.jsonl", tmp_path, {}))
    assert found["price"].tolist() == [float(row[2]) for row in table]
    assert found["at"].iloc[1] == "2020-09-14T12:26:40+00:00" and found["_id"].iloc[0][-3:] == "3e8"
    towns = [row[1] for row in table]
    pd.DataFrame({"id": range(200), "town": [t.encode() for t in towns]}).to_parquet(
        tmp_path / "b.parquet"
    )
    assert next(read_batches("b.parquet", tmp_path, {}))["town"].tolist() == towns
    (tmp_path / "d.jsonl").write_text('{"id": 1, "y": 2, "id": 3}\n')
    with pytest.raises(UserError, match="line 1 is no JSON record .the name 'id' stands 2 times"):
        list(read_batches("d.jsonl", tmp_path, {}))


def test_a_stray_byte_is_named_and_everything_is_said(tmp_path: Path) -> None:
    lines = rows(TOWNS["cp1252"])
    place = next(i for i, row in enumerate(lines) if "Nîmes" in row)
    coded = [row.encode("cp1252" if i == place else "utf-8") for i, row in enumerate(lines)]
    heading = "\ufeff id ,town,100 % net\nprice,will\u2028churn?".replace("100", '"100', 1)
    said = init(
        tmp_path,
        heading.replace("price,", 'price",').encode() + b"\n" + b"\n".join(coded) + b"\n",
        "will churn?",
    )
    assert f"line {place + 3} holds a byte that is not utf-8: town 'N<0xEE>mes'" in said
    assert "column names: blanks around 1 of them removed (id)" in said
    assert "'100 % net\\nprice' is read as '100 % net price'" in said
    contract = load_contract(tmp_path / "made/contract.yaml")
    assert list(contract["columns"]) == ["id", "town", "100 % net price", "will churn?"]
    reading = read_yaml(tmp_path / "made/params.yaml")["ingest"]["csv"]
    assert reading == {"encoding": "utf-8", "delimiter": ",", "quote": '"'}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (TABLE.partition("\n")[2], "has no line of column names: line 1"),
        (TABLE.replace("id,", "y ,"), "the column name 'y' stands 2 times"),
        (TABLE + "1,2\n", "line 202 has 2 fields, expected 4"),
        (TABLE + "120", "line 202 has 1 fields, expected 4"),
        (TABLE.replace("1100,", '1100,"'), "line 102 opens a quotation mark"),
        (TABLE.replace("1100,", "11\0,"), "line 102 holds a zero byte"),
        (
            TABLE.encode() + "1,Nîmes,2,no\n".encode() * 9 + b"1,N\xeemes,2,no\n" * 9,
            "are not utf-8",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(
    tmp_path: Path, content: str | bytes, words: str
) -> None:
    with pytest.raises(UserError) as error:
        init(tmp_path, content)
    assert words in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("written", "meant"),
    [("MÃ¼nchen", "München"), ("РњРѕСЃРєРІР°", "Москва"), ("GdaÅ„sk", "Gdańsk")],
)
def test_letters_misread_before_are_named_and_kept(written: str, meant: str) -> None:
    "A value that an earlier program damaged is said with its count, and never mended in silence."
    table = pd.DataFrame({"town": ["Bonn", "Ulm", written] * 40, "y": ["yes", "no", "no"] * 40})
    profile = profile_table([table.astype("str")])
    contract, typed, said = draft_contract(profile, "y", None, "auto", None, "p")
    assert (typed["town"] == written).sum() == 40 and contract["columns"]["town"]["known"]
    assert any("in 40 of 120 values" in line and f"{meant!r} is meant" in line for line in said)
