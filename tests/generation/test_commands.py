from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from kefu.cli import reply, train
from kefu.errors import DataError, NotFound
from kefu.generation import Guard, Responder, Templates
from kefu.knowledge import Passage
from kefu.settings import Settings


class FakeRasa:
    """Reads a message as a refund question of an angry customer, digits as what completes it."""

    def __init__(self) -> None:
        self.scored: list[tuple[list[tuple[str, str]], dict[str, str] | None]] = []

    def read(self, context):
        said = [text for speaker, text in context if speaker == "user"]
        asked = [text for text in said if not text.isdigit()]
        intent = "provide_info" if said[-1].isdigit() else "ask_refund_status"
        matter = SimpleNamespace(intent="ask_refund_status", request=asked[-1]) if asked else None
        return SimpleNamespace(intent=intent, emotion="angry"), matter

    def strategies(self, context, facts=None):
        self.scored.append((context, facts))
        return [("inform", 0.7), ("manage_emotion", 0.2)]


class FakeRetriever:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []

    def search(self, query, intent=None, k=3):
        self.asked.append((query, intent))
        return [(Passage("p", "", "信用卡退款要等银行入账。"), 0.1)]

    def carried_on(self, text, intent, matter, k=3):
        self.asked.append((text, intent, matter))
        return []


ROW = {
    "context": [["user", "在吗"], ["agent", "在的。"], ["user", "钱退了吗"], ["agent", "稍等。"]],
    "facts": {"refund_amount": "268元", "refund_state": "退款中"},
    "note": 7,
}


def test_a_row_is_answered_at_its_last_customer_turn():
    rasa, retriever = FakeRasa(), FakeRetriever()
    got = reply.answer(ROW, rasa, retriever, Responder(None, Guard(), Templates()))
    assert got["intent"] == "ask_refund_status" and got["emotion"] == "angry" and got["strategy"] == "inform"
    assert "268元" in got["reply"] and got["source"] == "template" and got["latency_ms"] >= 0
    assert retriever.asked == [("钱退了吗", "ask_refund_status")]
    turns, facts = rasa.scored[0]
    assert turns == [("user", "在吗"), ("agent", "在的。"), ("user", "钱退了吗")] and facts == ROW["facts"]


def test_what_completes_a_question_is_answered_as_that_question():
    rasa, retriever, asked = FakeRasa(), FakeRetriever(), []
    row = {"context": [["user", "钱退了吗"], ["agent", "尾号发我一下？"], ["user", "0816"]], "facts": {}}
    responder = Responder(None, Guard(), Templates())
    responder.reply = lambda request, write=responder.reply: (asked.append(request), write(request))[1]
    got = reply.answer(row, rasa, retriever, responder)
    assert got["intent"] == "provide_info" and retriever.asked == [("0816", "provide_info", "ask_refund_status")]
    assert asked[0].intent == "provide_info" and asked[0].topic == "ask_refund_status"
    assert rasa.scored[0][1] is None, "no facts: nothing is known of what business actions found"


def test_facts_that_it_brought_go_with_the_rule_that_was_asked_for():
    retriever = FakeRetriever()
    row = {**ROW, "context": [["user", "钱退了吗"], ["agent", "尾号发我一下？"], ["user", "0816"]]}
    reply.answer(row, FakeRasa(), retriever, Responder(None, Guard(), Templates()))
    assert retriever.asked == [("钱退了吗", "ask_refund_status")]


def test_messages_sent_one_after_the_other_are_one_question():
    retriever = FakeRetriever()
    row = {"context": [["user", "付了两次款"], ["user", "钱退了吗"]]}
    reply.answer(row, FakeRasa(), retriever, Responder(None, Guard(), Templates()))
    assert retriever.asked == [("付了两次款 钱退了吗", "ask_refund_status")]


@pytest.fixture
def wired(monkeypatch):
    """The command with a fake Rasa model, a fake retriever and templates."""
    import kefu.generation
    import kefu.knowledge

    bridge = ModuleType("kefu.rasa_bridge")
    bridge.RasaModel = SimpleNamespace(load=lambda path: FakeRasa())
    monkeypatch.setitem(sys.modules, "kefu.rasa_bridge", bridge)
    monkeypatch.setattr(kefu.knowledge.Retriever, "load", classmethod(lambda cls: FakeRetriever()))
    monkeypatch.setattr(kefu.generation, "load_responder", lambda s: Responder(None, Guard(), Templates()))


def test_the_command_writes_the_same_rows_with_more(wired, tmp_path):
    data, out = tmp_path / "in.jsonl", tmp_path / "sub" / "out.jsonl"
    data.write_text(
        json.dumps(ROW, ensure_ascii=False) + "\n\n" + json.dumps({"context": [["user", "hi"]]}) + "\n", "utf-8"
    )
    app = typer.Typer()
    app.command()(reply.command)
    result = CliRunner().invoke(app, ["--model", "m", "--data", str(data), "--out", str(out)])
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(rows) == 2
    assert rows[0].items() >= ROW.items()
    assert set(rows[1]) == {"context", "intent", "emotion", "strategy", "reply", "source", "latency_ms"}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{broken", "JSON"),
        ("[1]", "object"),
        ('{"facts": {}}', "'context'"),
        ('{"context": []}', "'context'"),
        ('{"context": [["bot", "x"]]}', "'bot'"),
        ('{"context": [["user"]]}', "'user'"),
        ('{"context": [["user", 3]]}', "3"),
        ('{"context": [["agent", "x"]]}', "'user'"),
        ('{"context": [["user", "x"]], "facts": [1]}', "'facts'"),
        ('{"context": [["user", "x"]], "facts": {"a": {}}}', "'facts'"),
    ],
)
def test_a_bad_row_is_named_with_file_line_and_key(tmp_path, line, told):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"context": [["user", "x"]]}\n' + line + "\n", "utf-8")
    with pytest.raises(DataError, match=re.escape(told)) as caught:
        list(reply.read_rows(file))
    assert "rows.jsonl, line 2" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"none\.jsonl"):
        list(reply.read_rows(tmp_path / "none.jsonl"))


def test_train_generator_writes_an_adapter(tiny_gemma, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    import kefu.settings

    made = replace(Settings(), generator=str(tiny_gemma), threads=1)
    monkeypatch.setattr(kefu.settings, "settings", lambda: made)
    dialogues = tmp_path / "d.yml"
    user = "{user: 钱呢, intent: ask_refund_status, emotion: anxious}"
    turns = f"  turns:\n  - {user}\n  - {{agent: 让您等着急了，我明白。, strategy: manage_emotion}}\n"
    dialogues.write_text("".join(f"- id: d{i}\n  scene: 退款\n{turns}" for i in range(3)), "utf-8")
    arguments = [
        "generator",
        "--data",
        str(dialogues),
        "--out",
        str(tmp_path / "a"),
        "--epochs",
        "1",
        "--held-out",
        "0.3",
    ]
    result = CliRunner().invoke(train.app, [*arguments, "--rehearsals", "3", "--no-knowledge"])
    assert result.exit_code == 0, result.output
    card = json.loads((tmp_path / "a" / "kefu.json").read_text())
    assert card["replies"] == 2 and card["rehearsals"] >= 1 and card["passages"] == 0
    assert "held-out loss" in result.output
