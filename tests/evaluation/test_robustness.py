"""Noise is seeded, of the right kind and amount; the figures tell what it costs."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opencc import OpenCC
from pypinyin import lazy_pinyin
from typer.testing import CliRunner

from kefu.cli.evaluate import app
from kefu.errors import SettingsError
from kefu.evaluation.nlu import NluRow
from kefu.evaluation.noise import KINDS, spoil
from kefu.evaluation.robustness import CONDITIONS, evaluate_robustness, spoiled

TEXT = "我在重庆买的那台加湿器什么时候能发货呀，订单12345号，都等了五天了还没动静"


def differing(one: str, other: str) -> list[int]:
    return [i for i, (a, b) in enumerate(zip(one, other)) if a != b]


def test_homophones_sound_alike_and_are_common() -> None:
    made = spoil(TEXT, ["homophone"], 1.0, 7)
    assert len(made) == len(TEXT) and len(differing(TEXT, made)) > 20
    for i in differing(TEXT, made):
        assert lazy_pinyin(made[i]) == [lazy_pinyin(TEXT, errors=list)[i]]
        assert 0xB0 <= made[i].encode("gb2312")[0] <= 0xD7
    assert lazy_pinyin(made[2]) == ["chong"], "a character is read as the words around it say"


def test_every_other_kind() -> None:
    for seed in range(5):
        swapped = spoil(TEXT, ["swap"], 0.1, seed)
        assert sorted(swapped) == sorted(TEXT) and 0 < len(differing(TEXT, swapped)) <= 8
        assert all(b == a + 1 for a, b in zip(*[iter(differing(TEXT, swapped))] * 2))
        assert len(TEXT) - 4 <= len(spoil(TEXT, ["drop"], 0.1, seed)) <= len(TEXT) - 3
    traditional = spoil(TEXT, ["traditional"], 1.0, 7)
    assert "買" in traditional and OpenCC("t2s").convert(traditional) == TEXT
    wide = spoil(TEXT, ["full_width"], 1.0, 7)
    assert "１２３４５" in wide and unicodedata.normalize("NFKC", wide) == unicodedata.normalize("NFKC", TEXT)


def test_the_amount_is_the_share_in_the_mean() -> None:
    short = "什么时候发货"
    changes = [len(differing(short, spoil(short, ["homophone"], 0.1, seed))) for seed in range(400)]
    assert set(changes) == {0, 1}
    assert sum(changes) / 400 == pytest.approx(0.6, abs=0.08)
    assert spoil(TEXT, list(KINDS), 0.0, 7) == TEXT


def test_noise_is_the_same_for_the_same_seed() -> None:
    made = {spoil(TEXT, list(KINDS), 0.3, 7) for _ in range(3)}
    assert len(made) == 1 and made != {spoil(TEXT, list(KINDS), 0.3, 8)}


@pytest.mark.parametrize("text", ["", " ", "好", "😀", "👨\u200d👩", "a", "\ud800", "ＡＢ", "在 吗", "㐀𠀀〇"])
@pytest.mark.parametrize("kind", [*KINDS, "all"])
def test_odd_texts_are_taken(text: str, kind: str) -> None:
    for seed in range(5):
        made = spoil(text, list(KINDS) if kind == "all" else [kind], 1.0, seed)
        assert bool(made.strip()) == bool(text.strip()), "a message does not vanish"


def test_bad_arguments_are_named() -> None:
    with pytest.raises(SettingsError, match=r"noise 'typo'. Kinds are: homophone, swap, drop, traditional, full_width"):
        spoil("好", ["typo"], 0.1, 7)
    with pytest.raises(SettingsError, match=r"'--share' must be from 0 to 1. But it was: 1.5"):
        spoil("好", ["drop"], 1.5, 7)


class Brittle:
    """Knows two sentences by heart; reads traditional and full-width forms."""

    KNOWN = {"什么时候发货ABC": ("urge_delivery", "anxious"), "谢谢啦": ("thank", "happy")}  # noqa: RUF012

    def __init__(self) -> None:
        self.read: list[str] = []

    def parse(self, text: str, context: str | None = None, before: Any = ()) -> Any:
        self.read.append(text)
        plain = OpenCC("t2s").convert(unicodedata.normalize("NFKC", text))
        intent, emotion = self.KNOWN.get(plain, (None, None))
        return SimpleNamespace(intent=intent, emotion=emotion, intent_confidence=0.9, latency_ms=1.0)


ROWS = [NluRow(text, "您好", intent, emotion) for text, (intent, emotion) in Brittle.KNOWN.items()]


def test_the_figures_tell_what_noise_costs() -> None:
    model = Brittle()
    found = evaluate_robustness(model, ROWS, share=0.5)
    assert tuple(found) == CONDITIONS
    whole = {"n": 2, "accuracy": 1.0, "macro_f1": 1.0}
    assert found["clean"] == {"changed": 0.0, "intent": whole, "emotion": whole}
    for kind in ("traditional", "full_width"):
        assert found[kind]["intent"] == {**whole, "accuracy_drop": 0.0, "macro_f1_drop": 0.0}
        assert found[kind]["changed"] > 0
    for kind in ("homophone", "drop", "mixed"):
        assert found[kind]["changed"] == 1.0
        assert found[kind]["emotion"]["accuracy_drop"] == 100.0 == found[kind]["intent"]["macro_f1_drop"]
    assert len(model.read) == len(set(model.read)), "what the noise left alone is read once"
    assert all(row.context == "您好" for row in spoiled(ROWS, "mixed", 0.5, 7))


def test_the_command(monkeypatch: pytest.MonkeyPatch, jsonl: Callable[[list[Any]], Path]) -> None:
    monkeypatch.setattr("kefu.rasa_bridge.RasaModel.load", lambda path: Brittle())
    path = jsonl([{"text": row.text, "intent": row.intent, "emotion": row.emotion} for row in ROWS])
    base = ["robustness", "--model", "m", "--data", str(path), "--share", "0.5"]
    printed = json.loads(CliRunner().invoke(app, [*base, "--json"]).output)
    assert printed == evaluate_robustness(Brittle(), [NluRow(r.text, None, r.intent, r.emotion) for r in ROWS], 0.5)
    table = CliRunner().invoke(app, base, env={"COLUMNS": "100"})
    assert table.exit_code == 0 and all(name in table.output for name in (*CONDITIONS, "noisy", "0.000 -100"))
