"""Shared doubles: an encoder without a model, dialogues in miniature, a model trained in a second."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from kefu.dialogues import Dialogue, Turn
from kefu.strategy import Rules, StrategyModel, TrainingArguments, read_rules
from kefu.strategy.encoder import Vectors

RULES = Path(__file__).parents[2] / "data" / "strategy_rules.yml"


class HashEncoder:
    """Embeds a text as the mean of fixed random vectors of its characters."""

    name, dimension = "hash", 16

    def encode(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(rows, texts):
            for character in text.strip():
                row += np.random.default_rng(zlib.crc32(character.encode())).standard_normal(self.dimension)
            row /= max(float(np.linalg.norm(row)), 1e-6)
        return rows


def angry_dialogue(number: int) -> Dialogue:
    """Anger is soothed, then the order is asked for, then facts are told."""
    turns = (
        Turn("user", f"都{number}天了还没到", intent="complain_delivery", emotion="angry"),
        Turn("agent", f"等了{number}天，换谁都急", strategy="manage_emotion"),
        Turn("agent", "麻烦报一下手机尾号", strategy="verify_identity"),
        Turn("user", f"尾号{1000 + number}", intent="provide_info", emotion="neutral"),
        Turn("agent", "包裹在{location}", strategy="inform", facts={"location": f"苏州{number}"}),
        Turn("user", "谢谢", intent="thank", emotion="happy"),
        Turn("agent", f"应该的，祝您顺心{number}", strategy="thank_and_close"),
    )
    return Dialogue(f"angry_{number}", "催件", turns)


def calm_dialogue(number: int) -> Dialogue:
    """A question about a product is answered at once."""
    turns = (
        Turn("user", f"在吗{number}", intent="greet", emotion="neutral"),
        Turn("agent", f"在的，您请说{number}", strategy="greet"),
        Turn("user", f"这款锅{number}能用电磁炉吗", intent="ask_product_info", emotion="neutral"),
        Turn("agent", "可以用的", strategy="inform", facts={"product_info": "平底，适用电磁炉"}),
        Turn("user", "好的", intent="affirm", emotion="neutral"),
        Turn("agent", f"还有别的要看吗{number}", strategy="request_feedback"),
    )
    return Dialogue(f"calm_{number}", "咨询", turns)


@pytest.fixture(scope="session")
def encoder() -> HashEncoder:
    return HashEncoder()


@pytest.fixture(scope="session")
def dialogues() -> list[Dialogue]:
    return [make(number) for number in range(1, 9) for make in (angry_dialogue, calm_dialogue)]


@pytest.fixture(scope="session")
def rules() -> Rules:
    return read_rules(RULES)


@pytest.fixture(scope="session")
def arguments() -> TrainingArguments:
    return TrainingArguments(
        components=8, copies=2, hidden=16, members=2, epochs=30, batch_size=16, learning_rate=1e-2, dropout=0.1, folds=2
    )


@pytest.fixture(scope="session")
def model(dialogues: list[Dialogue], rules: Rules, arguments: TrainingArguments, encoder: HashEncoder) -> StrategyModel:
    return StrategyModel.train(dialogues, rules, arguments, encoder)
