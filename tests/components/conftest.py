"""Rasa's storage in a temporary folder, and a few NLU examples in Rasa's own format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from rasa.engine.graph import ExecutionContext, GraphComponent, GraphSchema
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.shared.nlu.training_data.formats.rasa_yaml import RasaYAMLReader
from rasa.shared.nlu.training_data.training_data import TrainingData

NLU = """
version: "3.1"
nlu:
"""
STEMS = {
    "ask_refund_status": ["退款", "钱退了", "退款到哪了"],
    "track_delivery": ["快递", "查快递", "快递到哪了"],
    "greet": ["您好", "在吗", "您好在吗"],
}


def nlu_text() -> str:
    """27 examples of three intents and two emotions, a few with annotated spans and contexts."""
    text = NLU
    for intent, stems in STEMS.items():
        text += f"- intent: {intent}\n  examples:\n"
        for stem in stems:
            for tail, emotion in (("", "neutral"), ("谢谢", "neutral"), ("气气气", "angry")):
                spans = "[电饭煲](product)的" if tail == "谢谢" else "[米白色](color)" if tail else ""
                text += f"  - text: |\n      {spans}{stem}{tail}\n"
                text += f"    metadata: {{emotion: {emotion}, context: 您好在吗}}\n"
    return text


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Tiny matrices are done sooner by one thread than by several that wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def training_data() -> TrainingData:
    """``nlu_text`` as Rasa reads it."""
    return RasaYAMLReader().reads(nlu_text())


@dataclass
class Room:
    """A model storage with room for one component of each class."""

    folder: Path
    context: ExecutionContext = field(default_factory=lambda: ExecutionContext(GraphSchema({})))

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.storage = LocalModelStorage.create(self.folder)

    def create(self, component: type[GraphComponent], **config: Any) -> Any:
        """The component as `rasa train` makes it."""
        merged = {**component.get_default_config(), **config}
        return component.create(merged, self.storage, Resource(component.__name__), self.context)

    def load(self, component: type[GraphComponent], **config: Any) -> Any:
        """The component as `rasa run` makes it."""
        merged = {**component.get_default_config(), **config}
        return component.load(merged, self.storage, Resource(component.__name__), self.context)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """An empty storage."""
    return Room(tmp_path / "storage")
