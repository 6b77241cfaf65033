"""Readers of public sets, on files of a few rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kefu.errors import DataError, KefuError, NotFound, SettingsError
from kefu.evaluation.datasets import NAMES, OUT_OF_SCOPE, Options, read_dataset, read_train


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


def array(*pairs: tuple[str, str]) -> str:
    return json.dumps([{"id": i, "content": t, "label": label} for i, (t, label) in enumerate(pairs)])


def test_smp2020(tmp_path: Path) -> None:
    write(tmp_path / "train", usual_train__txt="\ufeff" + array(("气死", "angry"), ("  ", "sad"), ("哈", "happy")))
    write(tmp_path, usual_test_labeled__txt=array(("唉", "sad")), virus_train__txt=array(("加油", "happy")))
    read = read_dataset("smp2020", tmp_path)
    assert read.train == (("气死", "angry"), ("哈", "happy")), "a row without text is passed over"
    assert read.test == (("唉", "sad"),) and read.valid is None
    write(tmp_path, usual_eval_labeled__txt=array(("怕", "fear")), virus_eval_labeled__txt=array(("愁", "sad")))
    read = read_dataset("smp2020", tmp_path)
    assert (read.valid, read.test) == ((("怕", "fear"),), (("唉", "sad"),))
    virus = read_dataset("smp2020", tmp_path, Options(part="virus"))
    assert (virus.train, virus.test) == ((("加油", "happy"),), (("愁", "sad"),))


def test_chnsenticorp_in_one_piece_is_dealt_by_text(tmp_path: Path) -> None:
    lines = ["label,review", '1,"好,很""好"""', "0,"] + [f"{i % 2},酒店{i // 2}" for i in range(200)]
    write(tmp_path, ChnSentiCorp_htl_all__csv="\n".join(lines))
    read = read_dataset("chnsenticorp", tmp_path)
    parts = [read.train, read.valid or (), read.test]
    assert sorted(row for part in parts for row in part)[-1] == ("酒店99", "1")
    assert sum(map(len, parts)) == 201 and ('好,很"好"', "1") in [row for part in parts for row in part]
    texts = [{text for text, _ in part} for part in parts]
    assert [len(t) for t in texts] == [81, 10, 10] and not (texts[0] & texts[1] or texts[0] & texts[2])
    assert read_dataset("chnsenticorp", tmp_path) == read


def test_chnsenticorp_in_three_files(tmp_path: Path) -> None:
    write(
        tmp_path / "chnsenticorp",
        train__tsv='label\ttext_a\n1\t"没有配对的引号\n0\t差"\n',
        dev__tsv="qid\tlabel\ttext_a\n0\t1\t行\n",
        test__tsv="label\ttext_a\n0\t破\n",
    )
    read = read_dataset("chnsenticorp", tmp_path)
    assert read.train == (('"没有配对的引号', "1"), ('差"', "0"))
    assert (read.valid, read.test) == ((("行", "1"),), (("破", "0"),))


@pytest.mark.parametrize("mark", [",", "\t", ";", "|"])
def test_csv_finds_delimiter_and_columns(tmp_path: Path, mark: str) -> None:
    def table(*lines: tuple[str, ...]) -> str:
        return "\r\n".join(mark.join(line) for line in lines)

    write(
        tmp_path,
        train__csv=table(("编号", "问句", "类别"), ("1", f'"退{mark}款"', "refund"), ("2", "发票", "invoice")),
        test__csv=table(("类别", "问句"), ("refund", "退")),
    )
    options = Options(text_column="问句", label_column="类别")
    assert read_train("csv", tmp_path, options)[0] == (f"退{mark}款", "refund")
    assert read_dataset("csv", tmp_path, options).test == (("退", "refund"),)
    with pytest.raises(DataError, match=r"train\.csv, line 1: no column 'text'; there are: 编号, 问句, 类别\."):
        read_dataset("csv", tmp_path)


def test_jsonl_takes_columns_and_training_needs_no_test_rows(tmp_path: Path) -> None:
    write(tmp_path, train__jsonl=json.dumps({"q": "退款", "y": "refund"}))
    options = Options(text_column="q", label_column="y")
    assert read_train("jsonl", tmp_path, options) == (("退款", "refund"),)
    with pytest.raises(NotFound, match=r"test\.jsonl"):
        read_dataset("jsonl", tmp_path, options)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("ewect", Options(text_column="q"), "'--text-column' has value 'q'.*'ewect' takes none.*csv and jsonl"),
        ("csv", Options(part="virus"), "'--part' has value 'virus'.*it is for smp2020"),
        ("smp2020", Options(part="both"), "'--part' has value 'both'.*usual, virus"),
    ],
)
def test_options_that_a_set_does_not_take(tmp_path: Path, name: str, options: Options, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read_dataset(name, tmp_path, options)


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
        (
            "csv",
            {"train__csv": "text,label\n" + "退" * 140_000 + ",a\n"},
            r"train\.csv, line 1 and after it: no table \(field larger",
        ),
        ("csv", {"train__csv": "text,label\n退,\n"}, r"train\.csv, line 2: 'label' must.*was: ''"),
        ("csv", {"train__csv": "text,label\n退,a\n"}, "no file '.*test.csv'"),
        ("smp2020", {}, "no file '.*usual_train.txt'"),
        ("smp2020", {"usual_train__txt": array(("退", "sad"))}, "no file '.*usual_eval_labeled.txt'"),
        ("smp2020", {"usual_train__txt": "{}"}, r"usual_train\.txt: expected an array"),
        ("smp2020", {"usual_train__txt": "[1]"}, r"usual_train\.txt, row 0: a row is.*was: 1"),
        ("smp2020", {"usual_train__txt": '[{"content": "退"}]'}, r"txt, row 0: 'label' must.*was: None"),
        ("chnsenticorp", {}, "no file '.*train.tsv'"),
        ("chnsenticorp", {"ChnSentiCorp_htl_all__csv": "label,text\n1,a\n"}, "line 1: no column 'review'"),
        ("chnsenticorp", {"ChnSentiCorp_htl_all__csv": "label,review\n1,a\n"}, "1 different texts"),
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
    with pytest.raises(SettingsError, match=r"no data set 'snips'. Data sets are: banking77, chnsenticorp, clinc150"):
        read_dataset("snips", tmp_path)
    for name in NAMES:
        with pytest.raises(NotFound, match=f"no folder '.*nowhere' with the files of {name}"):
            read_dataset(name, tmp_path / "nowhere")
    assert issubclass(NotFound, KefuError)
