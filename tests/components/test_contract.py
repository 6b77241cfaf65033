"""What each NLU component must do: train, persist, load, read any text, refuse a wrong config when it is made."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import yaml
from rasa.engine.graph import ExecutionContext, GraphComponent, GraphSchema
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import ENTITIES, INTENT, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from rasa.shared.utils.common import class_from_module_path

from components.emotion_classifier import BertEmotionClassifier
from components.entity_extractor import SpacyEntityExtractor
from components.intent_classifier import BertIntentClassifier
from components.strategy_policy import StrategyPolicy
from components.tokenizer import SpacyChineseTokenizer
from kefu.taxonomy import EMOTIONS
from tests.components.conftest import STEMS, Room

PIPELINE = [SpacyChineseTokenizer, BertIntentClassifier, BertEmotionClassifier, SpacyEntityExtractor]
TEXTS = {
    "normal": "我的退款202611187734920615到哪了",
    "empty": "",
    "blank": " \n\t　",
    "invisible": "\u200b\ufeff",
    "long": "退款怎么还没到账，" * 1200,
    "one long word": "退" * 10_000,
    "emoji only": "😡😡🙏",
    "full-width": "退款２６８．５０元，尾号０８１６！",
    "traditional": "運費誰出啊，還沒發貨",
    "english": "Where is my order SF1608829047716?",
    "sql": "'; DROP TABLE orders; --",
    "html": "<script>alert('退款')</script><b>&nbsp;</b>",
    "half an emoji": "\ud83d退款",
    "control characters": "退\x00款\x07",
    "four digits": "0816",
}
BLANK = {"empty", "blank", "invisible"}


def configs(encoder: Path) -> dict[type[GraphComponent], dict[str, Any]]:
    """A config of each component for the tiny encoder."""
    tiny = {"encoder": str(encoder), "frozen_layers": 0, "epochs": 6, "batch_size": 8, "held_out": 0.0}
    quick = {"learning_rate": 1e-3, "head_learning_rate": 1e-2}
    return {
        SpacyChineseTokenizer: {"products": "", "words": ["空气炸锅"]},
        BertIntentClassifier: {**tiny, **quick},
        BertEmotionClassifier: {},
        SpacyEntityExtractor: {"epochs": 15},
    }


@pytest.fixture(scope="module")
def pipeline(
    tiny_encoder: Path, training_data: TrainingData, tmp_path_factory: pytest.TempPathFactory
) -> dict[type[GraphComponent], Any]:
    """Each component trained, persisted, and loaded again."""
    room = Room(tmp_path_factory.mktemp("pipeline"))
    loaded = {}
    for component, config in configs(tiny_encoder).items():
        created = room.create(component, **config)
        if hasattr(created, "train"):
            resource = created.train(training_data)
            assert resource.name == component.__name__
            with room.storage.read_from(resource) as folder:
                assert any(folder.iterdir()), "nothing was persisted"
        loaded[component] = room.load(component, **config)
    return loaded


def run(pipeline: dict[type[GraphComponent], Any], *texts: str) -> list[Message]:
    """The messages after the whole pipeline."""
    messages = [Message(data={TEXT: text}) for text in texts]
    for component in PIPELINE:
        assert pipeline[component].process(messages) is messages
    return messages


@pytest.mark.parametrize("component", PIPELINE)
@pytest.mark.parametrize("kind", TEXTS)
def test_any_text_passes(pipeline: dict[Any, Any], component: type[GraphComponent], kind: str) -> None:
    """Alone, without what the components before it would have added."""
    message = Message(data={TEXT: TEXTS[kind]})
    pipeline[component].process([message])
    assert message.get(TEXT) == TEXTS[kind]


@pytest.mark.parametrize("kind", TEXTS)
def test_the_output_is_well_formed(pipeline: dict[Any, Any], kind: str) -> None:
    (message,) = run(pipeline, TEXTS[kind])
    output = message.as_dict(only_output_properties=True)
    json.dumps(output)
    assert set(output) <= {TEXT, INTENT, ENTITIES, "intent_ranking", "emotion", "emotion_ranking"}
    _check_intent(output, blank=kind in BLANK)
    _check_emotion(output, TEXTS[kind], blank=kind in BLANK)
    for entity in output.get(ENTITIES, []):
        assert 0 <= entity["start"] < entity["end"] <= len(TEXTS[kind])
        if entity["extractor"] == "SpacyEntityExtractor":
            surface = TEXTS[kind][entity["start"] : entity["end"]]
            assert unicodedata.normalize("NFKC", surface) == unicodedata.normalize("NFKC", entity["value"])


def _check_intent(output: dict[str, Any], blank: bool) -> None:
    ranking = output["intent_ranking"]
    if blank:
        assert output[INTENT] == {"name": None, "confidence": 0.0} and ranking == []
        return
    assert output[INTENT] == ranking[0] and output[INTENT]["name"] in STEMS
    confidences = [r["confidence"] for r in ranking]
    assert confidences == sorted(confidences, reverse=True) and sum(confidences) == pytest.approx(1.0)


def _check_emotion(output: dict[str, Any], text: str, blank: bool) -> None:
    entities = [e for e in output.get(ENTITIES, []) if e["entity"] == "emotion"]
    if blank:
        assert "emotion" not in output and entities == []
        return
    assert {r["name"] for r in output["emotion_ranking"]} == set(EMOTIONS)
    assert [(e["value"], e["start"], e["end"]) for e in entities] == [(output["emotion"]["name"], 0, len(text))]


def test_a_message_gets_what_it_should(pipeline: dict[Any, Any]) -> None:
    angry, calm = run(pipeline, "退款退款气气气 尾号0816", "您好在吗")
    assert angry.get(INTENT)["name"] == "ask_refund_status" and angry.get("emotion")["name"] == "angry"
    assert calm.get(INTENT)["name"] == "greet" and calm.get("emotion")["name"] == "neutral"
    found = {(e["entity"], e["value"]) for e in angry.get(ENTITIES)}
    assert {("phone_tail", "0816"), ("emotion", "angry")} <= found


def test_entities_of_other_extractors_stay(pipeline: dict[Any, Any]) -> None:
    other = {"entity": "city", "value": "苏州", "start": 0, "end": 2, "extractor": "Other"}
    message = Message(data={TEXT: "苏州的单 尾号0816", ENTITIES: [other]})
    for component in PIPELINE:
        pipeline[component].process([message])
    assert other in message.get(ENTITIES)
    assert {e["entity"] for e in message.get(ENTITIES)} >= {"city", "emotion", "phone_tail"}


def test_tokens_point_into_the_text(pipeline: dict[Any, Any]) -> None:
    for kind, text in TEXTS.items():
        message = Message(data={TEXT: text})
        pipeline[SpacyChineseTokenizer].process([message])
        tokens = message.get("text_tokens")
        if kind != "half an emoji":
            assert [text[t.start : t.end] for t in tokens] == [t.text for t in tokens]
        covered = "".join(text[t.start : t.end] for t in tokens)
        assert covered == "".join(c for c in text if not c.isspace()), kind


def test_the_shops_words_are_not_cut(pipeline: dict[Any, Any]) -> None:
    message = Message(data={TEXT: "空气炸锅和电饭煲"})
    pipeline[SpacyChineseTokenizer].process([message])
    assert [t.text for t in message.get("text_tokens")] == ["空气炸锅", "和", "电饭煲"]


WRONG: list[tuple[type[GraphComponent], str, Any]] = [
    *((component, "epohcs", 3) for component in PIPELINE),
    (SpacyChineseTokenizer, "words", "空气炸锅"),
    (SpacyChineseTokenizer, "words", [3]),
    (SpacyChineseTokenizer, "products", "nowhere/products.yml"),
    (SpacyChineseTokenizer, "products", 3),
    (SpacyChineseTokenizer, "token_pattern", "("),
    (BertIntentClassifier, "epochs", 0),
    (BertIntentClassifier, "epochs", "three"),
    (BertIntentClassifier, "learning_rate", 2.0),
    (BertIntentClassifier, "frozen_layers", -1),
    (BertIntentClassifier, "held_out", 1.0),
    (BertIntentClassifier, "encoder", None),
    (BertIntentClassifier, "threads", 0),
    (BertIntentClassifier, "threads", "all"),
    (BertIntentClassifier, "emotion_weight", -0.5),
    (BertIntentClassifier, "emotion_weight", "much"),
    (BertIntentClassifier, "dialogues", "data/dialogues"),
    (BertEmotionClassifier, "threshold", 1),
    (BertEmotionClassifier, "threshold", -0.1),
    (BertEmotionClassifier, "threshold", "high"),
    (BertEmotionClassifier, "threshold", True),
    (SpacyEntityExtractor, "epochs", 0),
    (SpacyEntityExtractor, "epochs", 2.5),
    (SpacyEntityExtractor, "seed", "seven"),
]


@pytest.mark.parametrize(("component", "key", "value"), WRONG)
def test_a_wrong_config_is_refused_when_made(
    room: Room, component: type[GraphComponent], key: str, value: object
) -> None:
    fine = {"products": ""} if component is SpacyChineseTokenizer else {}
    with pytest.raises(InvalidConfigException) as caught:
        room.create(component, **{**fine, key: value})
    assert component.__name__ in str(caught.value)
    assert repr(key) in str(caught.value) and repr(value) in str(caught.value)


def test_the_repositorys_config_is_accepted(room: Room) -> None:
    config = yaml.safe_load(Path("config.yml").read_text(encoding="utf-8"))
    names = [entry.pop("name") for entry in config["pipeline"]]
    assert [class_from_module_path(name) for name in names] == PIPELINE
    for component, entry in zip(PIPELINE, config["pipeline"]):
        room.create(component, **entry)


@pytest.mark.parametrize("component", PIPELINE)
def test_required_packages_can_be_imported(component: type[GraphComponent]) -> None:
    from importlib.util import find_spec

    assert all(find_spec(package) for package in component.required_packages())


@pytest.mark.parametrize(
    ("component", "text", "said"),
    [
        (
            BertIntentClassifier,
            "- intent: greet\n  examples: |\n    - 您好\n    - 在吗\n",
            "'intent' needs examples of at least",
        ),
        (SpacyEntityExtractor, "- intent: greet\n  examples: |\n    - 您好\n", "No NLU example annotates"),
        (
            BertIntentClassifier,
            "- intent: greet\n  examples:\n  - text: |\n      您好\n    metadata: {emotion: furious}\n",
            "'您好' has emotion 'furious'. Emotions are: neutral",
        ),
    ],
)
def test_training_data_that_cannot_teach_is_named(
    room: Room, tiny_encoder: Path, component: type[GraphComponent], text: str, said: str
) -> None:
    from rasa.shared.nlu.training_data.formats.rasa_yaml import RasaYAMLReader

    data = RasaYAMLReader().reads(f'version: "3.1"\nnlu:\n{text}')
    created = room.create(component, **configs(tiny_encoder)[component])
    with pytest.raises(InvalidConfigException) as caught:
        created.train(data)
    assert said in str(caught.value)


def test_finetuning_goes_on_from_the_model_before(
    tiny_encoder: Path, training_data: TrainingData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It starts from the trained heads, so that a touch of training keeps what was learned."""
    config = configs(tiny_encoder)[BertIntentClassifier]
    first = Room(tmp_path / "first")
    first.create(BertIntentClassifier, **config).train(training_data)
    going_on = Room(tmp_path / "first", ExecutionContext(GraphSchema({}), is_finetuning=True))
    gentle = {**config, "epochs": 1, "learning_rate": 1e-6, "head_learning_rate": 1e-6}
    going_on.load(BertIntentClassifier, **gentle).train(training_data)
    read = first.load(BertIntentClassifier, **config)
    for intent, stems in STEMS.items():
        message = Message(data={TEXT: stems[-1]})
        read.process([message])
        assert message.get(INTENT)["name"] == intent
    assert "kefu-finetune" in capsys.readouterr().out


def test_finetuning_knows_no_new_intent(tiny_encoder: Path, training_data: TrainingData, tmp_path: Path) -> None:
    config = configs(tiny_encoder)[BertIntentClassifier]
    room = Room(tmp_path)
    room.create(BertIntentClassifier, **config).train(training_data)
    room.context = ExecutionContext(GraphSchema({}), is_finetuning=True)
    more = training_data.merge(TrainingData([Message.build("唱首歌", "chitchat")]))
    with pytest.raises(InvalidConfigException, match="does not know the intent 'chitchat'"):
        room.load(BertIntentClassifier, **config).train(more)


@pytest.mark.parametrize("component", [*PIPELINE, StrategyPolicy])
def test_a_component_that_rasa_finds_in_its_cache_is_fingerprinted_without_a_config(
    component: type[GraphComponent],
) -> None:
    """Rasa 3.6 then hands over the config of the node that stands in for it."""
    assert component.fingerprint_addon({"output": None}) == component.fingerprint_addon(component.get_default_config())
