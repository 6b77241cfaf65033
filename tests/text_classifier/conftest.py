"""A toy task that a random two-layer encoder learns in a second or two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import pytest
import torch

from kefu.text_classifier import Classifier, Example, Task, TrainingArguments, train
from kefu.text_classifier.classifier import save
from kefu.text_classifier.trainer import Trained

STEMS = {"refund": "退款", "delivery": "快递", "invoice": "发票"}
TAILS = {"angry": "气气气", "neutral": ""}
FILLERS = ("", "我要", "您好", "在吗", "查", "谢谢", "三天", "都五天了", "怎么", "人工")


def examples() -> list[Example]:
    """60 messages: the intent is told by a stem, the emotion by a tail."""
    return [
        Example(f"{filler}{stem}{tail}", {"intent": intent, "emotion": emotion}, "订单号")
        for (intent, stem), (emotion, tail), filler in product(STEMS.items(), TAILS.items(), FILLERS)
    ]


def tasks() -> list[Task]:
    """Intent, and emotion, which sees it."""
    return [Task("intent", tuple(STEMS)), Task("emotion", tuple(TAILS), sees="intent")]


@dataclass(frozen=True)
class Toy:
    """Arguments for a short run on the tiny encoder."""

    folder: Path

    def thorough(self) -> TrainingArguments:
        """Epochs enough for margins that int8 does not blur."""
        return self.arguments(epochs=6, learning_rate=2e-3, head_learning_rate=1e-2, held_out=0.0, context_dropout=0.5)

    def arguments(self, **changes: object) -> TrainingArguments:
        few = TrainingArguments(encoder=str(self.folder), epochs=2, batch_size=8, frozen_layers=0, held_out=0.2)
        return replace(few, **changes)  # type: ignore[arg-type]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Tiny matrices are done sooner by one thread than by several that wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def toy(tiny_encoder: Path) -> Toy:
    """A run's arguments."""
    return Toy(tiny_encoder)


@pytest.fixture(scope="session")
def trained(tiny_encoder: Path) -> Trained:
    """The toy task learned; not to be changed."""
    return train(examples(), tasks(), Toy(tiny_encoder).thorough())


@pytest.fixture(scope="session")
def saved(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained toy as it is served; not to be changed."""
    return save(trained, tmp_path_factory.mktemp("classifier"), max_tokens=64)


@pytest.fixture(scope="session")
def classifier(saved: Path) -> Classifier:
    """The served toy, loaded."""
    return Classifier(saved)
