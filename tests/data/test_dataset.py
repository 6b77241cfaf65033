"""`kefu data check` finds what is wrong, names file and line, and has nothing to say of good data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kefu.cli import app
from kefu.dataset import Problem, check, folded, jaccard, read_nlu, similar_pairs, without_markup
from kefu.dataset.problems import invisible
from kefu.dataset.similar import bigrams
from kefu.errors import DataError, NotFound
from kefu.taxonomy import EMOTIONS, INTENTS

Write = Callable[[str, str], Path]
GOOD_DIALOGUE = """- id: refund_01
  scene: 退款
  turns:
  - {user: 都五天了钱怎么还没退回来, intent: ask_refund_status, emotion: angry}
  - {agent: "让您等了五天，抱歉。", strategy: manage_emotion}
  - {agent: "退款{refund_amount}已退回。", strategy: inform, facts: {refund_amount: 268.00元}}
"""


def nlu(*rows: tuple[str, str, str]) -> str:
    """NLU YAML of (intent, text, metadata)."""
    lines = ['version: "3.1"', "nlu:"]
    for intent, text, metadata in rows:
        lines += [f"- intent: {intent}", "  examples:", "  - text: |", f"      {text}", f"    metadata: {{{metadata}}}"]
    return "\n".join(lines) + "\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of a data folder that is whole: every intent, every emotion, one dialogue, one passage."""
    data = tmp_path / "data"

    def put(name: str, text: str) -> Path:
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return data

    emotions = list(EMOTIONS)
    rows = [
        (name, f"这是{'甲乙丙丁戊己庚辛壬癸'[n % 10]}{chr(0x4E00 + 37 * n)}{chr(0x5E00 + 41 * n)}话", emotions[n % 6])
        for n, name in enumerate(INTENTS)
    ]
    put("nlu/base.yml", nlu(*((i, t, f"emotion: {e}") for i, t, e in rows)))
    put("dialogues/refund.yml", GOOD_DIALOGUE)
    put("knowledge/refunds.yml", "- {id: a, title: 到账, text: 原路退回。, intents: [ask_refund_status]}\n")
    put("shop/promotions.yml", "- {id: b, title: 满减, text: 自动减。, intents: [ask_promotion]}\n")
    put("shop/products.yml", "- {sku: X1, name: 蒸锅, category: 家居, price: 1, stock: 2}\n")
    return put


def problems(data: Path, threshold: float = 0.8) -> list[Problem]:
    """What `check` finds, the number of examples aside."""
    return check(data, threshold, fewest=1).problems


def test_good_data_has_no_problems(write: Write) -> None:
    data = write("heldout/nlu.jsonl", json.dumps({"text": "全新的一句问话", "intent": "greet", "emotion": "happy"}))
    found = check(data, fewest=1)
    assert found.problems == []
    assert found.counts["examples"] == len(INTENTS)
    assert found.counts["strategies"]["inform"] == 1
    assert sum(found.counts["emotions"].values()) == len(INTENTS)


@pytest.mark.parametrize(
    ("text", "line", "level", "check_name", "message"),
    [
        (nlu(("refund", "想退", "emotion: happy")), 6, "error", "label", "intent 'refund'"),
        (nlu(("greet", "想退", "emotion: sad")), 6, "error", "label", "emotion 'sad'"),
        (nlu(("greet", "想退", "context: 您好")), 6, "error", "label", "has no emotion"),
        (nlu(("greet", "想退", "emotion: happy, contxt: x")), 6, "error", "label", "'contxt'"),
        (nlu(("greet", "[锅](thing)坏了", "emotion: happy")), 6, "error", "entity", "entity type 'thing'"),
        (nlu(("greet", "[锅](product坏了](", "emotion: happy")), 6, "error", "entity", "broken entity markup"),
        (nlu(("greet", "[锅 ](product)坏了", "emotion: happy")), 6, "warning", "entity", "with a space"),
        (nlu(("greet", "想\u200b退", "emotion: happy")), 6, "error", "encoding", "U+200B ZERO WIDTH SPACE"),
        (nlu(("greet", "想\ufffd退", "emotion: happy")), 6, "error", "encoding", "U+FFFD"),
        ('nlu:\n- intent: greet\n  examples:\n  - text: "x\n', 5, "error", "format", "not YAML"),
        ("- intent: greet\n", 1, "error", "format", "list under 'nlu'"),
        ("nlu:\n- intent: greet\n  examples: |\n    - hello\n", 2, "error", "format", "not a list"),
    ],
)
def test_problems_of_examples(write: Write, text: str, line: int, level: str, check_name: str, message: str) -> None:
    data = write("nlu/more.yml", text)
    found = [p for p in problems(data) if p.file.endswith("more.yml") and message in p.message]
    assert [(p.line, p.level, p.check) for p in found[:1]] == [(line, level, check_name)], problems(data)


def test_the_first_line_of_a_block_is_named(write: Write) -> None:
    data = write("nlu/more.yml", nlu(("greet", "早呀", "emotion: happy"), ("refund", "想退", "emotion: happy")))
    (found,) = problems(data)
    assert found.line == 11
    assert "想退" in (data / "nlu" / "more.yml").read_text(encoding="utf-8").splitlines()[found.line - 1]


def test_files_that_are_not_utf8(write: Write) -> None:
    data = write("nlu/more.yml", "")
    (data / "nlu" / "more.yml").write_bytes("nlu: 你好".encode("gbk"))
    assert any("not UTF-8" in p.message for p in problems(data))


def test_duplicates_within_and_across(write: Write) -> None:
    data = write(
        "nlu/more.yml",
        nlu(
            ("greet", "帮我看看订单", "emotion: neutral"),
            ("greet", "帮我看看订单。", "emotion: neutral"),
            ("thank", "帮我 看看订单", "emotion: neutral"),
            ("greet", "帮我看看订单!", "emotion: angry"),
            ("deny", "帮我看看订单", "emotion: angry, context: 还要别的吗"),
        ),
    )
    found = [(p.line, p.level) for p in problems(data) if p.check == "duplicate"]
    assert found == [(11, "warning"), (16, "error"), (21, "error")], "another context makes another message"


def test_near_duplicates_only_across_intents(write: Write) -> None:
    data = write(
        "nlu/more.yml",
        nlu(
            ("greet", "我昨天买的加湿器今天能发吗", "emotion: neutral"),
            ("greet", "我昨天买的加湿器今天能发么", "emotion: neutral"),
            ("thank", "我昨天买的加湿器今天能发嘛", "emotion: neutral"),
        ),
    )
    found = [p for p in problems(data) if p.check == "near-duplicate"]
    assert {(p.line, p.level) for p in found} == {(16, "warning")}
    assert {"more.yml:6" in p.message for p in found} == {True, False}, "one line for each that it is like"
    assert [p for p in problems(data, threshold=0.99) if p.check == "near-duplicate"] == []


def test_leakage_from_examples_and_dialogues(write: Write) -> None:
    rows = [
        {"text": "都五天了，钱怎么还没退回来！", "intent": "ask_refund_status", "emotion": "angry"},
        {"text": "好的", "intent": "affirm", "emotion": "neutral"},
        {"text": "都五天了钱怎么还没退回来呀", "intent": "ask_refund_status", "emotion": "angry"},
    ]
    write("nlu/more.yml", nlu(("affirm", "好的", "emotion: neutral")))
    context = [["user", "另外一句全新的话"], ["agent", "让您等了五天，抱歉。"]]
    write("heldout/strategy.jsonl", json.dumps({"context": context, "strategy": ["inform", "nothing"]}))
    data = write("heldout/nlu.jsonl", "\n".join(json.dumps(r, ensure_ascii=False) for r in rows))
    found = [p for p in problems(data) if p.check == "leakage"]
    assert [(Path(p.file).name, p.line, p.level) for p in found] == [
        ("nlu.jsonl", 1, "error"),
        ("nlu.jsonl", 3, "warning"),
        ("strategy.jsonl", 1, "error"),
    ], "short messages leak nothing"
    assert any(p.check == "label" and "strategy 'nothing'" in p.message for p in problems(data))


def test_held_out_questions_of_retrieval(write: Write) -> None:
    passage = "- {id: a, title: 到账, text: 原路退回。, intents: [ask_refund_status], questions: [退款几天能到账]}\n"
    write("knowledge/refunds.yml", passage)
    rows = [
        {"question": "钱啥时候回来", "intent": "ask_refund_status", "passage": ["a", "product:X1"]},
        {"question": "退款几天能到账？", "passage": ["a"]},
        {"question": "退款几天能到账呀", "passage": ["nowhere"]},
        {"question": "钱啥时候回来！", "intent": "weather", "passage": ["b"]},
        {"question": "少了什么", "passage": []},
    ]
    data = write("heldout/retrieval.jsonl", "\n".join(json.dumps(r, ensure_ascii=False) for r in rows))
    assert [(p.line, p.level, p.check) for p in problems(data)] == [
        (2, "error", "leakage"),
        (3, "error", "label"),
        (3, "warning", "leakage"),
        (4, "error", "duplicate"),
        (4, "error", "label"),
        (5, "error", "format"),
    ]


def test_broken_held_out_rows(write: Write) -> None:
    data = write("heldout/nlu.jsonl", '{"text": "全新的问话"}\nnonsense\n{"label": "x"}\n')
    assert [(p.line, p.check) for p in problems(data)] == [(2, "format"), (3, "format")]


@pytest.mark.parametrize(
    ("change", "level", "message"),
    [
        (("{refund_amount}已退回", "{refund_date}已退回"), "error", "{refund_date} without a fact"),
        (("strategy: inform", "strategy: tell"), "error", "strategy 'tell'"),
        (("{refund_amount}已退回", "99元已退回"), "warning", "states '99元'"),
        (("strategy: inform", "strategy: manage_emotion"), "warning", "manage_emotion twice"),
        (("抱歉", "抱\u200b歉"), "error", "invisible"),
        (("emotion: angry", "emotion: angry, mood: x"), "error", "'mood'"),
    ],
)
def test_problems_of_dialogues(write: Write, change: tuple[str, str], level: str, message: str) -> None:
    data = write("dialogues/refund.yml", GOOD_DIALOGUE.replace(*change))
    found = [p for p in problems(data) if message in p.message]
    assert [p.level for p in found] == [level]
    assert found[0].line > 0


def test_sentences_that_stand_twice(write: Write) -> None:
    data = write("dialogues/two.yml", GOOD_DIALOGUE.replace("refund_01", "refund_02"))
    assert sum("stands in" in p.message and p.level == "warning" for p in problems(data)) == 2


def test_dialogues_and_examples_that_disagree(write: Write) -> None:
    data = write("nlu/more.yml", nlu(("urge_delivery", "都五天了钱怎么还没退回来", "emotion: angry")))
    (found,) = problems(data)
    assert (found.level, found.check) == ("warning", "label")
    assert "more.yml:6" in found.message


@pytest.mark.parametrize(
    ("name", "text", "line", "message"),
    [
        ("knowledge/more.yml", "- {id: a, title: x, text: y}\n", 1, "'a' stands in"),
        ("knowledge/more.yml", "\n- {id: c, title: x, text: y, intents: [refund]}\n", 2, "'refund'"),
        ("knowledge/more.yml", "- {id: c, title: x}\n", 1, "no 'text'"),
        ("shop/products.yml", "- {sku: X, name: a, category: b, price: 1, stock: 0}\n" * 2, 2, "'X' stands in"),
        ("shop/products.yml", "- {sku: X, name: a, category: b, price: 1}\n", 1, "no 'stock'"),
        ("shop/promotions.yml", "- {id: p\n", 2, "not YAML"),
    ],
)
def test_problems_of_knowledge(write: Write, name: str, text: str, line: int, message: str) -> None:
    data = write(name, text)
    assert [p.line for p in problems(data) if message in p.message] == [line], problems(data)


def test_thin_and_missing_intents(write: Write) -> None:
    data = write("nlu/base.yml", nlu(("greet", "早呀", "emotion: happy")))
    messages = [p.message for p in check(data, fewest=5).problems]
    assert "only 1 examples of intent 'greet'." in messages
    assert "no example of intent 'thank'." in messages
    assert "no example of emotion 'angry'." in messages


def test_no_data_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="KEFU_DATA_DIR"):
        check(tmp_path / "none")


def test_the_command(write: Write) -> None:
    data = write("nlu/more.yml", nlu(("refund", "想退", "emotion: happy")))
    result = CliRunner().invoke(app, ["data", "check", "--data", str(data)])
    assert result.exit_code == 1
    assert f"{data}/nlu/more.yml:6: error: label: intent 'refund' is not in taxonomy.yml." in result.stdout
    assert "1 errors" in result.stdout
    (data / "nlu" / "more.yml").unlink()
    result = CliRunner().invoke(app, ["data", "check", "--data", str(data), "--json"])
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["counts"]["errors"] == 0
    assert document["counts"]["warnings"] > 0, "one example an intent is thin"
    assert CliRunner().invoke(app, ["data", "check", "--data", str(data), "--strict"]).exit_code == 1


def test_markup() -> None:
    text, entities = without_markup('小的[加湿器](product)要[藏青]{"entity": "color", "value": "蓝"}的[1.5米](size:x)')
    assert text == "小的加湿器要藏青的1.5米"
    assert [(kind, text[a:b]) for kind, a, b in entities] == [
        ("product", "加湿器"),
        ("color", "藏青"),
        ("size", "1.5米"),
    ]


def test_read_nlu_raises_with_the_place(tmp_path: Path) -> None:
    file = tmp_path / "x.yml"
    file.write_text("nlu: [", encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.yml:\d: not YAML"):
        read_nlu([file])
    with pytest.raises(NotFound, match="none"):
        read_nlu([tmp_path / "none"])


def test_what_is_the_same() -> None:
    assert folded("Ｈello， 世界！") == folded("hello世界")
    assert folded("退貨") == folded("退货")
    assert folded("晚安🌙") != folded("晚安"), "an emoji can change the feeling"
    assert folded("？？") == "??"


def test_emoji_of_several_characters_are_whole() -> None:
    assert invisible("🙅\u200d♀️不要") is None
    assert invisible("不\u200d要") is not None


def test_similar_pairs_finds_what_comparing_all_finds() -> None:
    texts = [
        "退款到哪了",
        "退款到哪里了",
        "我的退款到哪了",
        "发票开错了",
        "发票开错了呀",
        "在吗",
        "在",
        "物流停了三天没动",
        "物流停了两天没动",
    ]
    for threshold in (0.3, 0.5, 0.6, 0.8, 1.0):
        slow = {
            (i, j)
            for i in range(len(texts))
            for j in range(i + 1, len(texts))
            if jaccard(bigrams(texts[i]), bigrams(texts[j])) >= threshold
        }
        assert {(i, j) for i, j, _ in similar_pairs(texts, None, threshold)} == slow
        across = {(i, j) for i, j, _ in similar_pairs(texts[:4], texts[4:], threshold)}
        assert across == {(i, j - 4) for i, j in slow if i < 4 <= j}


def test_our_own_data_has_no_errors() -> None:
    found = check(Path(__file__).parents[2] / "data")
    assert [f"{p.where}: {p.message}" for p in found.errors] == []
