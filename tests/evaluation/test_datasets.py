"""Readers of public sets, on files of a few rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kefu.errors import DataError, KefuError, NotFound, SettingsError
from kefu.evaluation.datasets import NAMES, OUT_OF_SCOPE, read_dataset


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


def rows(*pairs: tuple[str, str], key: str = "label") -> str:
    return "".join(json.dumps({"text": text, key: label}, ensure_ascii=False) + "\n" for text, label in pairs)


CLINC: dict[str, Any] = {
    "train": [["hi", "greet"], ["my order", "track"]],
    "val": [["hello", "greet"]],
    "test": [["hey", "greet"]],
    "oos_train": [["a poem", "oos"]],
    "oos_val": [["a song", "oos"]],
    "oos_test": [["a joke", "oos"], ["a riddle", "oos"]],
}


def test_banking77(tmp_path: Path) -> None:
    write(
        tmp_path,
        train__csv='text,category\n"Where, then?",card_arrival\n"two\nlines",lost\n',
        test__csv="\ufefftext,category\nhi,lost\n",
    )
    read = read_dataset("banking77", tmp_path)
    assert read.train == (("Where, then?", "card_arrival"), ("two\nlines", "lost"))
    assert read.test == (("hi", "lost"),) and read.valid is None and read.out_of_scope == ()


def test_clinc150(tmp_path: Path) -> None:
    write(tmp_path, data_full__json=json.dumps(CLINC))
    read = read_dataset("clinc150", tmp_path)
    assert read.train == (("hi", "greet"), ("my order", "track"), ("a poem", OUT_OF_SCOPE))
    assert read.valid == (("hello", "greet"), ("a song", OUT_OF_SCOPE))
    assert read.test == (("hey", "greet"),) and read.out_of_scope == ("a joke", "a riddle")


def test_ewect(tmp_path: Path) -> None:
    write(
        tmp_path,
        train__jsonl=rows(("气死", "angry"), key="emotion"),
        eval__jsonl=rows(("哈哈", "happy"), key="emotion"),
    )
    read = read_dataset("ewect", tmp_path)
    assert (read.train, read.test) == ((("气死", "angry"),), (("哈哈", "happy"),))


def test_jsonl(tmp_path: Path) -> None:
    write(tmp_path, train__jsonl=rows(("退\u2028款", "a"), ("发票", "b")) + "\n", test__jsonl=rows(("退", "a")))
    read = read_dataset("jsonl", tmp_path)
    assert read.train == (("退\u2028款", "a"), ("发票", "b")) and read.valid is None
    write(tmp_path, valid__jsonl=rows(("款", "a")))
    assert read_dataset("jsonl", tmp_path).valid == (("款", "a"),)


ONE = rows(("退", "a"))


@pytest.mark.parametrize(
    ("name", "files", "said"),
    [
        ("jsonl", {"test__jsonl": ONE}, "no file '.*train.jsonl'"),
        ("jsonl", {"train__jsonl": ONE}, "no file '.*test.jsonl'"),
        ("jsonl", {"train__jsonl": ONE + "{", "test__jsonl": ONE}, r"train\.jsonl, line 2: not JSON"),
        ("jsonl", {"train__jsonl": ONE, "test__jsonl": "[]"}, r"test\.jsonl, line 1: a row is a JSON object"),
        ("jsonl", {"train__jsonl": "", "test__jsonl": ONE}, r"train\.jsonl has no rows"),
        ("jsonl", {"train__jsonl": ONE, "test__jsonl": ONE, "valid__jsonl": ""}, r"valid\.jsonl has no rows"),
        ("jsonl", {"train__jsonl": '{"text": "退"}', "test__jsonl": ONE}, "line 1: 'label' must be a text.*was: None"),
        ("jsonl", {"train__jsonl": '{"text": 3, "label": "a"}', "test__jsonl": ONE}, "line 1: 'text' must.*was: 3"),
        ("ewect", {"train__jsonl": ONE, "eval__jsonl": ONE}, "line 1: 'emotion' must be a text"),
        ("banking77", {"train__csv": "text,category\nhi,x\n"}, "no file '.*test.csv'"),
        ("banking77", {"train__csv": "text,label\nhi,x\n"}, r"train\.csv, line 1: no column 'category'.*text, label"),
        ("banking77", {"train__csv": ""}, r"train\.csv, line 1: no column 'text'"),
        ("banking77", {"train__csv": "text,category\n"}, r"train\.csv has no rows"),
        ("banking77", {"train__csv": "text,category\na,b\nhi\n"}, r"train\.csv, line 3: 'category' must.*was: None"),
        ("clinc150", {}, "no file '.*data_full.json'"),
        ("clinc150", {"data_full__json": "{"}, r"data_full\.json: not JSON \(.*line 1"),
        ("clinc150", {"data_full__json": "[]"}, "an object with the keys train"),
        ("clinc150", {"data_full__json": json.dumps({**CLINC, "oos_val": None})}, "'oos_val' must be a list.*None"),
        ("clinc150", {"data_full__json": json.dumps({**CLINC, "train": [["hi"]]})}, "'train', row 0.*was: .'hi'."),
        ("clinc150", {"data_full__json": json.dumps({**CLINC, "test": [["", "x"]]})}, "'test', row 0: 'text' must"),
    ],
)
def test_a_break_of_the_format_is_named(tmp_path: Path, name: str, files: dict[str, str], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read_dataset(name, write(tmp_path, **files))
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_not_text_is_named(tmp_path: Path) -> None:
    write(tmp_path, test__jsonl=ONE)
    (tmp_path / "train.jsonl").write_bytes("退".encode("gbk"))
    with pytest.raises(DataError, match=r"train\.jsonl is not UTF-8"):
        read_dataset("jsonl", tmp_path)


def test_unknown_sets_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no data set 'snips'. Data sets are: banking77, clinc150, ewect, jsonl"):
        read_dataset("snips", tmp_path)
    for name in NAMES:
        with pytest.raises(NotFound, match=f"no folder '.*nowhere' with the files of {name}"):
            read_dataset(name, tmp_path / "nowhere")
    assert issubclass(NotFound, KefuError)
