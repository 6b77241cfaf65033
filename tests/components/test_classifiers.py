"""What the intent and emotion classifiers read of a conversation, and what they make of a prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasa.engine.storage.resource import Resource
from rasa.shared.core.events import ActionExecuted, BotUttered, Event, Restarted, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import ENTITIES, INTENT, TEXT
from rasa.shared.nlu.training_data.message import Message

from components.emotion_classifier import BertEmotionClassifier
from components.intent_classifier import BertIntentClassifier, dialogues_in, ranking_before, to_example, turns_before
from kefu.taxonomy import EMOTIONS
from kefu.text_classifier import Prediction
from kefu.text_classifier.examples import from_dialogues
from kefu.text_classifier.flow import Flow
from tests.components.conftest import Room

DIALOGUE = """
- id: d1
  scene: 退款
  turns:
  - {user: 钱呢, intent: ask_refund_status, emotion: angry}
  - {agent: 报一下尾号, strategy: verify_identity}
  - {agent: 谢谢, strategy: inform}
  - {user: 0816, intent: provide_info, emotion: neutral}
"""


class Scripted:
    """A classifier that answers as told and remembers what it was asked."""

    def __init__(self, **emotions: float) -> None:
        self.asked: list[tuple[str, str | None]] = []
        rest = {name: 0.01 for name in EMOTIONS}
        emotion = tuple(sorted({**rest, **emotions}.items(), key=lambda pair: -pair[1]))
        intents = tuple((f"intent_{i}", 0.5 / (i + 1)) for i in range(20))
        self.prediction = Prediction({"intent": intents, "emotion": emotion}, np.zeros(4, np.float32))

    def predict(self, text: str, context: str | None = None) -> Prediction:
        self.asked.append((text, context))
        return self.prediction


def intent_component(room: Room, scripted: Scripted) -> BertIntentClassifier:
    config = BertIntentClassifier.get_default_config()
    return BertIntentClassifier(config, room.storage, Resource("x"), scripted)  # type: ignore[arg-type]


def tracker(*events: Event) -> DialogueStateTracker:
    return DialogueStateTracker.from_events("c", list(events))


def test_what_both_sides_said_last_is_the_context(room: Room) -> None:
    scripted = Scripted()
    said = [UserUttered("在吗"), BotUttered("在的"), BotUttered("报一下尾号"), BotUttered(None, {"image": "x"})]
    more = [SlotSet("topic", "x"), ActionExecuted("action_listen")]
    component = intent_component(room, scripted)
    component.process([Message(data={TEXT: "0816"})], tracker=tracker(*said, *more))
    component.process([Message(data={TEXT: "0816"})], tracker=tracker(UserUttered("在吗")))
    component.process([Message(data={TEXT: "0816"})])
    component.process([Message(data={TEXT: "0816", "context": "哪一单"})], tracker=tracker(*said))
    assert scripted.asked == [("0816", "在吗 | 报一下尾号"), ("0816", "在吗 | "), ("0816", None), ("0816", "哪一单")]
    command = [UserUttered("在吗"), BotUttered("在的"), UserUttered("/give_feedback{}")]
    assert turns_before(tracker(*command)) == "在吗 | 在的"
    assert turns_before(None) is None


def heard(intent: str) -> UserUttered:
    ranking = [{"name": intent, "confidence": 0.9}, {"name": "intent_19", "confidence": 0.1}]
    return UserUttered("在吗", {"name": intent, "confidence": 0.9}, parse_data={"intent_ranking": ranking})


def test_the_customers_message_before_weighs(room: Room) -> None:
    labels = tuple(f"intent_{i}" for i in range(20))
    follows = np.full((20, 20), 0.01)
    follows[3, 7] = 1 - 0.19
    flow = Flow(labels, follows, weight=1.0)
    config = BertIntentClassifier.get_default_config()
    component = BertIntentClassifier(config, room.storage, Resource("x"), Scripted(), flow)  # type: ignore[arg-type]
    found = []
    for said in ([heard("intent_3"), BotUttered("在的")], [heard("intent_3"), Restarted()], []):
        message = Message(data={TEXT: "退款"})
        component.process([message], tracker=tracker(*said))
        found.append(message.get(INTENT)["name"])
    assert found == ["intent_7", "intent_0", "intent_0"]
    assert ranking_before(None) == []


def test_rasa_hands_the_conversation_over() -> None:
    """Rasa 3.6 passes the tracker to a component whose ``process`` has a parameter of that name."""
    import inspect

    from rasa.engine.recipes import default_recipe

    assert "tracker" in inspect.signature(BertIntentClassifier.process).parameters
    assert '"tracker"' in inspect.getsource(default_recipe)


def test_ten_intents_are_ranked(room: Room) -> None:
    message = Message(data={TEXT: "退款"})
    intent_component(room, Scripted()).process([message])
    assert message.get(INTENT) == {"name": "intent_0", "confidence": 0.5}
    assert [r["name"] for r in message.get("intent_ranking")] == [f"intent_{i}" for i in range(10)]


@pytest.mark.parametrize(
    ("confidence", "threshold", "name"), [(0.6, 0.35, "angry"), (0.3, 0.35, "neutral"), (0.3, 0.0, "angry")]
)
def test_an_unsure_emotion_counts_as_neutral(room: Room, confidence: float, threshold: float, name: str) -> None:
    message = Message(data={TEXT: "退款"})
    intent_component(room, Scripted(angry=confidence, neutral=0.2)).process([message])
    room.create(BertEmotionClassifier, threshold=threshold).process([message])
    expected = {"angry": confidence, "neutral": 0.2}[name]
    assert message.get("emotion") == {"name": name, "confidence": expected}
    assert message.get("emotion_ranking")[0]["name"] == "angry"
    (entity,) = message.get(ENTITIES)
    assert (entity["entity"], entity["value"], entity["confidence_entity"]) == ("emotion", name, expected)


def test_the_emotion_needs_the_intents_component() -> None:
    assert BertEmotionClassifier.required_components() == [BertIntentClassifier]
    message = Message(data={TEXT: "退款"})
    BertEmotionClassifier({"threshold": 0.1}).process([message])
    assert message.get("emotion") is None


def example(**data: Any) -> Message:
    return Message(data=data)


def test_examples_carry_their_metadata() -> None:
    made = to_example(
        example(
            text="0816", intent="provide_info", metadata={"example": {"emotion": "neutral", "context": "报一下尾号"}}
        )
    )
    assert made is not None
    assert (made.text, made.context) == ("0816", "报一下尾号")
    assert made.labels == {"intent": "provide_info", "emotion": "neutral"}
    bare = to_example(example(text="0816", intent="provide_info"))
    assert bare is not None and bare.labels == {"intent": "provide_info"} and bare.context is None
    assert to_example(example(text="0816")) is None
    with pytest.raises(InvalidConfigException, match="'0816' has emotion 'cross'"):
        to_example(example(text="0816", intent="provide_info", metadata={"example": {"emotion": "cross"}}))


def test_dialogues_teach_each_turn_in_its_context(tmp_path: Path) -> None:
    (tmp_path / "d.yml").write_text(DIALOGUE, encoding="utf-8")
    first, second = from_dialogues(dialogues_in([str(tmp_path), str(tmp_path / "absent")]))
    assert (first.text, first.context) == ("钱呢", None)
    assert (second.text, second.context) == ("0816", "钱呢 | 谢谢")
    assert second.labels == {"intent": "provide_info", "emotion": "neutral"}


def test_a_changed_dialogue_trains_again(tmp_path: Path) -> None:
    file = tmp_path / "d.yml"
    file.write_text(DIALOGUE, encoding="utf-8")
    for path in (tmp_path, file):
        file.write_text(DIALOGUE, encoding="utf-8")
        config = {**BertIntentClassifier.get_default_config(), "dialogues": [str(path)]}
        before = BertIntentClassifier.fingerprint_addon(config)
        assert before == BertIntentClassifier.fingerprint_addon(config)
        file.write_text(DIALOGUE.replace("钱呢", "钱"), encoding="utf-8")
        assert BertIntentClassifier.fingerprint_addon(config) != before
