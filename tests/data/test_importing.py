"""`kefu data import` writes a set's training rows as examples that Rasa's and our own readers take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kefu.cli import app
from kefu.dataset import read_nlu
from kefu.dataset.importing import Target, convert, read_label_map, write_nlu
from kefu.errors import DataError, KefuError, NotFound, SettingsError


def run(*arguments: str | Path) -> Result:
    """The result of `kefu data import ARGUMENTS`; errors that are no KefuError are the test's."""
    result = CliRunner().invoke(app, ["data", "import", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, (KefuError, SystemExit)):
        raise result.exception
    return result


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A table of one's own, without test rows."""
    lines = ["问句,类别", "钱退了没,refund", "钱退了没！,refund", "你好呀,hello", "第几天了,noise"]
    (tmp_path / "train.csv").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "map.yml").write_text("refund: ask_refund_status\nhello: greet\nnoise:\n", encoding="utf-8")
    return tmp_path


def table(folder: Path) -> list[str | Path]:
    """The options of that table."""
    return ["--format", "csv", "--from", folder, "--text-column", "问句", "--label-column", "类别"]


def test_a_set_becomes_training_examples(own: Path) -> None:
    out = own / "nlu" / "own.yml"
    done = run(*table(own), "--out", out, "--intent-map", own / "map.yml", "--json")
    assert json.loads(done.stdout) == {
        "examples": 2,
        "intents": {"ask_refund_status": 1, "greet": 1},
        "emotions": {},
        "unmapped": 1,
        "repeated": 1,
        "contradictory": 0,
        "blank": 0,
        "file": str(out),
    }
    assert [(e.text, e.intent, e.emotion) for e in read_nlu([out])] == [
        ("钱退了没", "ask_refund_status", None),
        ("你好呀", "greet", None),
    ]
    told = run(*table(own), "--out", out, "--intent-map", own / "map.yml", "--emotion", "neutral", "--force").stdout
    assert "wrote 2 examples" in told and "1 rows left out by the map" in told and "neutral 2" in told
    assert {e.emotion for e in read_nlu([out])} == {"neutral"}
    assert list(out.parent.iterdir()) == [out]


def test_rasa_reads_what_was_written(own: Path) -> None:
    from rasa.shared.nlu.training_data.loading import load_data

    rows = [("退[款](product)", "greet"), ("# 号开头: {a}", "greet"), ("- 横线[]", "greet"), ("'引号\"\\n", "greet")]
    write_nlu(convert(rows, Target(emotion="happy")), own / "own.yml")
    read = load_data(str(own / "own.yml"))
    assert [e.get("text") for e in read.intent_examples] == [
        *("退[款] (product)", "# 号开头: {a}", "- 横线[ ]", "'引号\"\\n"),
    ]
    assert {e.get("metadata")["example"]["emotion"] for e in read.intent_examples} == {"happy"}
    assert read.entity_examples == []


def test_labels_as_emotions(own: Path) -> None:
    rows = [{"id": 1, "content": "气死我了", "label": "angry"}, {"id": 2, "content": "唉", "label": "sad"}]
    (own / "usual_train.txt").write_text(json.dumps(rows), encoding="utf-8")
    (own / "map.yml").write_text("sad: disappointed\n", encoding="utf-8")
    what = ["--format", "smp2020", "--from", own, "--out", own / "e.yml", "--as", "emotion", "--intent", "chitchat"]
    assert "angry 1" in run(*what, "--intent-map", own / "map.yml").stdout
    assert [(e.text, e.intent, e.emotion) for e in read_nlu([own / "e.yml"])] == [
        ("唉", "chitchat", "disappointed"),
        ("气死我了", "chitchat", "angry"),
    ]


def test_texts_are_cleaned_and_contradictions_left_out() -> None:
    made = convert(
        [
            ("退\u200b款\n了 吗", "greet"),
            ("好的", "affirm"),
            ("好的。", "thank"),
            ("\u200b", "greet"),
            ("👨\u200d👩", "greet"),
        ],
        Target(),
    )
    assert made.examples == [("退款 了 吗", "greet", None), ("👨\u200d👩", "greet", None)]
    assert (made.contradictory, made.blank, made.repeated) == (1, 1, 0)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "No intent of taxonomy.yml are the labels 'refund', 'hello', 'noise'.*--intent-map FILE.yml"),
        (["--intent-map", "none.yml"], "no label map 'none.yml'"),
        (["--as", "feeling"], "'--as' has value 'feeling'. A label becomes one of: intent, emotion"),
        (["--as", "emotion"], "still need an intent: --intent NAME"),
        (["--as", "emotion", "--intent", "chat"], "'--intent' has value 'chat'.*Did you mean .*chitchat"),
        (["--as", "emotion", "--intent", "greet", "--emotion", "angry"], "--emotion goes with --as intent"),
        (["--intent", "greet"], "--intent goes with --as emotion"),
        (["--emotion", "sad"], "'--emotion' has value 'sad'.*Known are: neutral"),
        (["--part", "virus"], "'--part' has value 'virus'"),
    ],
)
def test_what_cannot_be_imported_is_named(own: Path, more: list[str], said: str) -> None:
    result = run(*table(own), "--out", own / "own.yml", *more)
    assert isinstance(result.exception, KefuError) and "\n" not in str(result.exception)
    result.exception.__traceback__ = None
    with pytest.raises(KefuError, match=said):
        raise result.exception
    assert not (own / "own.yml").exists()


def test_a_file_that_is_there_is_kept(own: Path) -> None:
    (own / "own.yml").write_text("mine", encoding="utf-8")
    for out, said in ((own / "own.yml", "--force overwrites"), (own / "own.txt", r"ends in \.yml")):
        result = run(*table(own), "--out", out, "--intent-map", own / "map.yml")
        with pytest.raises(DataError, match=said):
            raise result.exception or AssertionError(result.output)
    assert (own / "own.yml").read_text(encoding="utf-8") == "mine"


def test_label_maps(tmp_path: Path) -> None:
    path = tmp_path / "map.yml"
    path.write_text("0: complain_product\nno: deny\n1: ~\n", encoding="utf-8")
    assert read_label_map(path) == {"0": "complain_product", "no": "deny", "1": None}
    for text, said in (("- a", "must be lines"), ("a: [b]", "'a' must be mapped to one name"), ("a: [", "not YAML")):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=said):
            read_label_map(path)
    with pytest.raises(NotFound, match=r"map\.yaml"):
        read_label_map(tmp_path / "map.yaml")


def test_a_map_to_what_is_not_there_and_an_empty_rest() -> None:
    with pytest.raises(DataError, match=r"'x' \(mapped to 'greeting'\)\. Did you mean greet"):
        convert([("你好", "x")], Target(), {"x": "greeting"})
    with pytest.raises(DataError, match="Of 1 rows none is left to write: 1 unmapped"):
        convert([("你好", "x")], Target(), {"x": None})
    with pytest.raises(SettingsError):
        Target("emotion")
