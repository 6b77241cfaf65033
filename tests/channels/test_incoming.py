from __future__ import annotations

import json
from typing import Any

import pytest
from rasa.shared.core.training_data.story_reader.yaml_story_reader import YAMLStoryReader
from rasa.shared.nlu.training_data.message import Message

from components.channels.incoming import MAX_TEXT, BadMessage, clean, escape, feedback_payload, read


def body(**changes: Any) -> dict[str, Any]:
    return {"sender": "s-1", "message": "在吗", "metadata": {}, **changes}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"sender": None}, "sender"),
        ({"sender": "  "}, "sender"),
        ({"sender": 7}, "sender"),
        ({"sender": "a\x00b"}, "sender"),
        ({"message": None}, "message"),
        ({"message": ["在吗"]}, "message"),
        ({"message": "长" * (MAX_TEXT + 1)}, "message"),
        ({"metadata": [1]}, "metadata"),
        ({"metadata": "{"}, "metadata"),
        ({"metadata": {"junk": "x" * 20_000}}, "metadata"),
        ({"metadata": {"client_message_id": 5}}, "metadata.client_message_id"),
        ({"metadata": {"feedback": "up"}}, "metadata.feedback"),
        ({"metadata": {"feedback": {"message_id": "m"}}}, "metadata.feedback"),
        ({"metadata": {"feedback": {"thumb": "up"}}}, "metadata.feedback.message_id"),
        ({"metadata": {"feedback": {"message_id": "m", "thumb": "left"}}}, "metadata.feedback.thumb"),
        ({"metadata": {"feedback": {"message_id": "m", "rating": 6}}}, "metadata.feedback.rating"),
        ({"metadata": {"feedback": {"message_id": "m", "rating": True}}}, "metadata.feedback.rating"),
        ({"metadata": {"feedback": {"message_id": "m", "correction": " \x00"}}}, "metadata.feedback.correction"),
        ({"metadata": {"feedback": {"message_id": "m", "thumb": "up", "star": 1}}}, "metadata.feedback.star"),
    ],
)
def test_names_the_key_and_the_value_at_fault(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(BadMessage) as caught:
        read(body(**changes), sender_key="sender")
    assert caught.value.key == key
    assert f"Key '{key}' has value" in caught.value.as_json()["error"]


def test_a_body_that_is_no_object_is_refused() -> None:
    with pytest.raises(BadMessage):
        read(["在吗"], sender_key="sender")


def test_takes_feedback_and_client_id_out_of_the_metadata() -> None:
    incoming = read(
        body(metadata={"page": "cart", "client_message_id": "c1", "feedback": {"message_id": "m", "rating": 5}}),
        sender_key="sender",
    )
    assert incoming.metadata == {"page": "cart"}
    assert incoming.client_message_id == "c1"
    assert incoming.feedback == {"message_id": "m", "rating": 5}
    assert incoming.text == "在吗"


def test_feedback_alone_is_no_message_and_an_empty_text_is_one() -> None:
    feedback = {"feedback": {"message_id": "m", "thumb": "up"}}
    assert read(body(message="", metadata=feedback), sender_key="sender").text is None
    assert read({"sender": "s", "metadata": feedback}, sender_key="sender").text is None
    assert read(body(message=" \u200b\x07"), sender_key="sender").text == ""


def test_metadata_may_come_as_json_text() -> None:
    assert read(body(metadata='{"page": "cart"}'), sender_key="sender").metadata == {"page": "cart"}


def test_cleans_control_characters_and_keeps_words_lines_and_emoji() -> None:
    family = "👨‍👩‍👧"
    assert clean(f"  你\x00好\r\n\u202e{family}\ud800\tok\x1b[0m ") == f"你好\n{family} ok[0m"
    assert clean("长" * 10_000) == "长" * 10_000


def test_a_typed_slash_names_no_intent_for_rasa() -> None:
    for typed in ("/restart", '/give_feedback{"thumb": "up"}'):
        parsed = YAMLStoryReader.unpack_regex_message(Message({"text": escape(typed)}))
        assert parsed.get("intent") is None
    assert escape("5/6到货") == "5/6到货"


def test_rasa_reads_the_feedback_payload_back() -> None:
    feedback = {
        "message_id": "m1",
        "thumb": "down",
        "rating": 2,
        "correction": '我问的是"运费"\n{不是退款}@1',
        "target": "meaning",
    }
    payload = feedback_payload(feedback)
    parsed = YAMLStoryReader.unpack_regex_message(Message({"text": payload}))
    assert parsed.get("intent")["name"] == "give_feedback"
    entities = {entity["entity"]: entity["value"] for entity in parsed.get("entities")}
    assert entities == {key: value for key, value in feedback.items() if key != "target"}
    assert json.loads(payload.removeprefix("/give_feedback")) == entities
