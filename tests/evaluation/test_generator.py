from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from kefu.cli import evaluate
from kefu.errors import DataError, SettingsError
from kefu.evaluation.generator import bars, chrf, distinct, evaluate_generator, refusals
from kefu.generation import Guard, Responder, Templates
from kefu.generation.adapter import held_out_by
from kefu.generation.examples import Example
from kefu.generation.guard import Verdict
from kefu.generation.prompt import fill
from kefu.generation.request import ReplyRequest


class Engine:
    """Writes the drafts one after the other."""

    def __init__(self, *drafts):
        self.drafts = list(drafts)

    def generate(self, prompt, max_tokens, deadline, seed=0):
        return self.drafts.pop(0)


def example(number, strategy="inform", reply="退款是{退款金额}，三天内到。", facts=None, emotion="anxious"):
    facts = {"refund_amount": "268元"} if facts is None else facts
    turns = (("user", "都三天了钱怎么还没退回来"),)
    request = ReplyRequest(strategy, "ask_refund_status", emotion, "explore", facts, [], turns, 0.0, None, tuple(facts))
    return Example(f"d{number}", request, {"product": "三层蒸锅"}, reply)


def read(texts):
    def sure(text):
        return {"inform": 0.9, "manage_emotion": 0.1} if "元" in text else {"inform": 0.2, "manage_emotion": 0.8}

    return {text: sure(text) for text in texts}


def test_every_share_counts_what_it_says():
    soothe = example(2, "manage_emotion", "让您久等了，真是抱歉。", {})
    responder = Responder(Engine("退款金额是{退款金额}，请您放心。", "{没有}", "还要99元"), Guard(), Templates())
    figures, rows = evaluate_generator([example(0), example(1), soothe], responder, read, 3.0)
    everything = figures["all"]
    assert everything["n"] == 3 and list(figures) == ["all", "inform", "manage_emotion"]
    assert everything["model"] == pytest.approx(1 / 3, abs=1e-4) and everything["model_of_asked"] == 0.5
    assert rows[0].reply == "退款金额是268元，请您放心。" and rows[0].source == "model"
    assert rows[1].source == "template" and rows[1].refused[0] == "placeholder"
    assert refusals(rows)["not asked"] == 1 and refusals(rows)["placeholder"] == 1
    assert everything["grounded"] == 1.0 and everything["numbers"] >= 2
    assert everything["read_back"] == 1.0 and figures["manage_emotion"]["read_back"] is None
    assert everything["read_back_human"] == 1.0
    assert everything["length"] == len(rows[0].reply)
    assert rows[0].request.facts["product"] == "三层蒸锅" and rows[0].request.new_facts == ("refund_amount",)
    assert json.loads(json.dumps(rows[0].as_dict()))["read"]["reply"] == "inform"


def test_a_number_without_a_source_is_seen_even_where_no_guard_saw_it():
    class Lax(Guard):
        def check(self, draft, request):
            return Verdict(fill(draft, request.facts), ())

    responder = Responder(Engine("退款金额{退款金额}，退款金额99元。"), Lax(), Templates())
    figures, rows = evaluate_generator([example(0)], responder, read, 3.0)
    assert figures["all"]["numbers"] == 2 and figures["all"]["grounded"] == 0.5
    assert rows[0].as_dict()["loose"] == ["99元"]
    assert not bars(figures["all"])["grounded"]["reached"] and bars(figures["all"])["model"]["reached"]


def test_other_strategies_are_drafted_where_asked_for():
    soothe = example(2, "manage_emotion", "让您久等了。", {})
    drafts = Engine("等了这么久，换谁都会着急。")
    figures, rows = evaluate_generator(
        [soothe], Responder(drafts, Guard(), Templates(), drafted={"manage_emotion"}), read, 3.0
    )
    assert rows[0].source == "model" and figures["all"]["read_back"] == 1.0


def test_nothing_to_measure_is_an_error():
    with pytest.raises(DataError, match="--all"):
        evaluate_generator([], Responder(None, Guard(), Templates()), read, 3.0)


def test_overlap_and_variety():
    assert chrf(["退款三天到账。"], ["退款三天到账。"]) == 1.0
    assert chrf(["甲乙丙丁戊己"], ["一二三四五六"]) == 0.0
    assert 0 < chrf(["退款三天到账"], ["退款五天到账"]) < 1
    assert distinct(["好的好的"], 1) == 0.5 and distinct(["好的", "好的"], 2) == 0.5
    assert distinct(["268元", "268元"], 1) == 0.5 and distinct(["好"], 2) is None


def test_the_card_says_what_was_held_out(tmp_path):
    assert held_out_by("none") == (0.1, 7)
    (tmp_path / "kefu.json").write_text(json.dumps({"arguments": {"held_out": 0.25, "seed": 3}}))
    assert held_out_by(str(tmp_path)) == (0.25, 3)


def test_an_unknown_strategy_and_no_generator_are_named(monkeypatch):
    with pytest.raises(SettingsError, match="'soothe'"):
        evaluate._strategies("inform,soothe")
    assert evaluate._strategies("inform, resolve") == {"inform", "resolve"} and len(evaluate._strategies("all")) == 12
    import kefu.settings

    monkeypatch.setattr(kefu.settings, "settings", lambda: kefu.settings.Settings(generator="none"))
    result = CliRunner().invoke(evaluate.app, ["generator"])
    assert isinstance(result.exception, SettingsError)


def test_the_command_draws_held_out_turns_and_writes_rows(tmp_path, monkeypatch):
    import sys
    from types import ModuleType, SimpleNamespace

    import kefu.generation.engine
    import kefu.settings

    simulation = ModuleType("kefu.simulation")
    simulation.load_strategy = lambda path: SimpleNamespace(read_strategies=read)
    monkeypatch.setitem(sys.modules, "kefu.simulation", simulation)
    monkeypatch.setattr(kefu.generation.engine, "load_engine", lambda settings: Engine(*["退款是{退款金额}。"] * 3))
    monkeypatch.setattr(kefu.settings, "settings", lambda: kefu.settings.Settings(adapter="none"))
    turns = (
        "  turns:\n  - {user: 钱呢, intent: ask_refund_status, emotion: anxious}\n"
        "  - {agent: '{refund_amount}在路上。', strategy: inform, facts: {refund_amount: 268元}}\n"
    )
    data, out = tmp_path / "d.yml", tmp_path / "rows.jsonl"
    data.write_text("".join(f"- id: d{i}\n  scene: 退款\n{turns}" for i in range(8)), "utf-8")
    arguments = ["generator", "--data", str(data), "--all", "--limit", "3", "--out", str(out)]
    result = CliRunner().invoke(evaluate.app, [*arguments, "--strategies", "all", "--json"])
    assert result.exit_code == 0, result.output
    got = json.loads(result.stdout.splitlines()[-1])
    assert got["figures"]["all"]["n"] == 3 and got["figures"]["all"]["model"] == 1.0 and got["refused"] == {}
    assert got["bars"]["grounded"]["reached"] and got["bars"]["read_back"]["reached"]
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [row["reply"] for row in rows] == ["退款是268元。"] * 3
    result = CliRunner().invoke(evaluate.app, [*arguments[:3]])
    assert result.exit_code == 0, result.output
    assert "Left to templates: none" in result.output
