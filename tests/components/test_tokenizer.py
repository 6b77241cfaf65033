"""What the tokenizer learns from the catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from components.tokenizer import SpacyChineseTokenizer
from tests.components.conftest import Room


def test_product_names_become_words(room: Room, tmp_path: Path) -> None:
    catalogue = tmp_path / "products.yml"
    catalogue.write_text("- {name: 青禾云朵枕, aliases: [云朵枕头芯]}\n- {name: 折叠晾衣架子}\n", encoding="utf-8")
    config = {"products": str(catalogue)}
    room.create(SpacyChineseTokenizer, **config).train(TrainingData())
    message = Message(data={TEXT: "青禾云朵枕和云朵枕头芯还有折叠晾衣架子"})
    room.load(SpacyChineseTokenizer, **config).process([message])
    assert {"青禾云朵枕", "云朵枕头芯", "折叠晾衣架子"} <= {t.text for t in message.get("text_tokens")}


@pytest.mark.parametrize(
    "text", ["- {sku: QH-1}", "name: 枕头", "- 枕头", "3", "- {name: [", "- {name: 枕头, aliases: 3}"]
)
def test_a_broken_catalogue_is_named(room: Room, tmp_path: Path, text: str) -> None:
    catalogue = tmp_path / "products.yml"
    catalogue.write_text(text, encoding="utf-8")
    created = room.create(SpacyChineseTokenizer, products=str(catalogue))
    with pytest.raises(InvalidConfigException, match=r"'products' names .*products.yml"):
        created.train(TrainingData())


def test_a_changed_catalogue_trains_again(tmp_path: Path) -> None:
    catalogue = tmp_path / "products.yml"
    catalogue.write_text("- {name: 枕头}\n", encoding="utf-8")
    config = {**SpacyChineseTokenizer.get_default_config(), "products": str(catalogue)}
    before = SpacyChineseTokenizer.fingerprint_addon(config)
    assert before and before == SpacyChineseTokenizer.fingerprint_addon(config)
    catalogue.write_text("- {name: 被子}\n", encoding="utf-8")
    assert SpacyChineseTokenizer.fingerprint_addon(config) != before
    assert SpacyChineseTokenizer.fingerprint_addon({**config, "products": ""}) is None


def test_a_pattern_cuts_further(room: Room) -> None:
    config = {"products": "", "token_pattern": r"[a-z]+|\d+"}
    room.create(SpacyChineseTokenizer, **config).train(TrainingData())
    message = Message(data={TEXT: "order123"})
    room.load(SpacyChineseTokenizer, **config).process([message])
    assert [t.text for t in message.get("text_tokens")] == ["order", "123"]
