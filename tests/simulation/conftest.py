"""A world in miniature: an encoder without a model, two kinds of dialogue, a strategy model trained in a second."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import pytest

from kefu.dialogues import Dialogue, Turn
from kefu.simulation import Behaviour, World, make_world, read_behaviour
from kefu.strategy import StrategyModel, TrainingArguments, read_rules
from kefu.strategy.encoder import Vectors
from tests.strategy.conftest import RULES, angry_dialogue


class HashEncoder:
    """Embeds a text as a fixed random vector."""

    name, dimension = "hash", 16

    def encode(self, texts: Sequence[str]) -> Vectors:
        rows = [np.random.default_rng(zlib.crc32(t.encode())).standard_normal(self.dimension) for t in texts]
        return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)


def broken(number: int) -> Dialogue:
    """A fault is asked about and a repair opened."""
    turns = (
        Turn("user", f"锅{number}坏了要修", intent="request_repair", emotion="disappointed"),
        Turn("agent", f"订单号发我{number}", strategy="verify_identity"),
        Turn("user", f"20261129335091{7700 + number}", intent="provide_info", emotion="neutral"),
        Turn("agent", "是哪里坏了", strategy="clarify"),
        Turn("user", f"第{number}个灯不亮", intent="provide_info", emotion="neutral"),
        Turn("agent", "报修{repair_id}开好了", strategy="resolve", facts={"repair_id": f"W{number}"}),
        Turn("user", "好的", intent="affirm", emotion="neutral"),
        Turn("agent", f"还有别的要看吗{number}", strategy="request_feedback"),
        Turn("user", "没有了", intent="deny", emotion="neutral"),
    )
    return Dialogue(f"broken_{number}", "报修", turns)


@pytest.fixture(scope="session")
def dialogues() -> list[Dialogue]:
    return [make(number) for number in range(1, 9) for make in (angry_dialogue, broken)]


@pytest.fixture(scope="session")
def model(dialogues: list[Dialogue]) -> StrategyModel:
    arguments = TrainingArguments(
        components=8, copies=2, hidden=16, members=1, epochs=25, batch_size=16, learning_rate=1e-2, dropout=0.1, folds=2
    )
    return StrategyModel.train(dialogues, read_rules(RULES), arguments, HashEncoder())


@pytest.fixture(scope="session")
def behaviour() -> Behaviour:
    return read_behaviour()


@pytest.fixture(scope="session")
def examples() -> list[tuple[str, str, str]]:
    """Sentences of whatever a customer may say."""
    said = ("affirm", "deny", "thank", "goodbye", "give_feedback", "provide_info", "chitchat", "complain_service")
    return [(f"{intent} {emotion}", intent, emotion) for intent in said for emotion in ("neutral", "angry")]


@pytest.fixture(scope="session")
def world(
    behaviour: Behaviour, dialogues: list[Dialogue], examples: list[tuple[str, str, str]], model: StrategyModel
) -> World:
    return make_world(behaviour, dialogues, examples, model)
