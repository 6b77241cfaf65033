from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import httpx
import pytest
from rasa.core.channels.channel import UserMessage

from components.channels import courtesies, identity
from tests.channels.conftest import SECRET
from tests.chat_server import ChatServer

WEBHOOK = "/webhooks/rest/webhook"


def post(client: httpx.Client, message: Any = "在吗", **metadata: Any) -> list[dict[str, Any]]:
    answer = client.post(WEBHOOK, json={"sender": "anna", "message": message, "metadata": metadata})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()
    return items


def test_a_reply_keeps_its_metadata(client: httpx.Client, server: ChatServer) -> None:
    async def bot(message: UserMessage) -> None:
        # As Rasa's processor hands over a bot event: body keys that are None, metadata beside them.
        await message.output_channel.send_response(
            message.sender_id,
            {
                "text": "您的包裹今天送到。\n\n请留意电话。",
                "buttons": None,
                "image": None,
                "custom": None,
                "message_id": "m1",
                "strategy": "inform",
                "source": "model",
                "passages": ["p1"],
            },
        )

    server.bot = bot
    assert post(client) == [
        {
            "recipient_id": "anna",
            "text": "您的包裹今天送到。\n\n请留意电话。",
            "metadata": {"message_id": "m1", "strategy": "inform", "source": "model", "passages": ["p1"]},
        }
    ]


def test_feedback_alone_reaches_rasa_as_a_payload_and_is_confirmed(client: httpx.Client, server: ChatServer) -> None:
    feedback = {"message_id": "m1", "thumb": "up"}
    items = post(client, "", feedback=feedback)
    assert items == [{"recipient_id": "anna", "custom": {"feedback": "recorded", "message_id": "m1"}}]
    assert [m.text for m in server.received] == ['/give_feedback{"message_id": "m1", "thumb": "up"}']
    assert server.received[0].metadata == {"feedback": feedback}


def test_feedback_comes_before_the_text(client: httpx.Client, server: ChatServer) -> None:
    items = post(client, "还有运费呢", feedback={"message_id": "m1", "rating": 2})
    assert [m.text for m in server.received] == ['/give_feedback{"message_id": "m1", "rating": 2}', "还有运费呢"]
    assert [item.get("text") for item in items] == ["收到：还有运费呢"]
    assert server.received[1].metadata == {}


def test_feedback_that_fails_says_so(client: httpx.Client, server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(message: UserMessage) -> None:
        raise RuntimeError("no database")

    monkeypatch.setattr(server, "handle_message", broken)
    assert post(client, "", feedback={"message_id": "m1", "thumb": "up"})[0]["custom"]["feedback"] == "failed"


def test_a_repeated_message_is_dropped(client: httpx.Client, server: ChatServer) -> None:
    assert len(post(client, client_message_id="c1")) == 1
    assert post(client, client_message_id="c1") == []
    assert len(post(client, client_message_id="c2")) == 1
    assert len(server.received) == 2


@pytest.mark.parametrize(("text", "language"), [("我的包裹呢", "zh"), ("where is my parcel", "en")])
def test_no_answer_becomes_an_apology_in_her_language(
    client: httpx.Client, server: ChatServer, caplog: pytest.LogCaptureFixture, text: str, language: str
) -> None:
    async def silent(message: UserMessage) -> None:
        return None

    server.bot = silent
    [item] = post(client, text)
    assert item["text"] == courtesies.apology(language)
    assert item["metadata"]["source"] == "fallback"
    assert len(item["metadata"]["message_id"]) == 32
    assert any(record.levelno == logging.ERROR and "anna" in record.getMessage() for record in caplog.records)


def test_an_exception_becomes_an_apology_and_is_logged(
    client: httpx.Client, server: ChatServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(message: UserMessage) -> None:
        raise RuntimeError("the action server is down")

    server.bot = broken
    assert post(client)[0]["metadata"]["source"] == "fallback"
    assert any(record.exc_info and "action server" in str(record.exc_info[1]) for record in caplog.records)


def test_an_exception_after_a_reply_adds_no_apology(client: httpx.Client, server: ChatServer) -> None:
    async def half(message: UserMessage) -> None:
        await message.output_channel.send_text_message(message.sender_id, "好的", message_id="m")
        raise RuntimeError("too late")

    server.bot = half
    assert [item["text"] for item in post(client)] == ["好的"]


def test_a_turn_over_its_deadline_is_apologised_for_and_goes_on(client: httpx.Client, server: ChatServer) -> None:
    finished: list[str] = []

    async def slow(message: UserMessage) -> None:
        await asyncio.sleep(1.5)
        finished.append(message.text)

    server.bot = slow
    assert post(client, "慢")[0]["metadata"]["source"] == "fallback"
    server.do(asyncio.sleep(0.8))
    assert finished == ["慢"]


def test_an_empty_message_is_invited_to_speak(client: httpx.Client, server: ChatServer) -> None:
    [item] = post(client, "  \u200b ")
    assert item["text"] == courtesies.invitation("zh")
    post(client, "where is my parcel")
    assert post(client, "")[0]["text"] == courtesies.invitation("en")
    assert [m.text for m in server.received] == ["where is my parcel"]


def test_a_long_message_passes_and_control_characters_do_not(client: httpx.Client, server: ChatServer) -> None:
    post(client, "长" * 10_000)
    post(client, "在\x00吗\x1b")
    assert [len(m.text) for m in server.received] == [10_000, 2]


def test_a_typed_slash_is_no_payload_but_an_issued_button_is(client: httpx.Client, server: ChatServer) -> None:
    async def ask(message: UserMessage) -> None:
        buttons = [{"title": "是的", "payload": "/affirm"}]
        await message.output_channel.send_response(message.sender_id, {"text": "对吗？", "buttons": buttons})

    post(client, "/affirm")
    server.bot = ask
    assert post(client, "查订单")[0]["buttons"] == [{"title": "是的", "payload": "/affirm"}]
    post(client, "/affirm")
    post(client, "/restart")
    assert [m.text for m in server.received] == ["／affirm", "查订单", "/affirm", "／restart"]


def test_only_a_token_signs_in(client: httpx.Client, server: ChatServer) -> None:
    post(client, customer_id="c-42", page="cart")
    post(client, customer_token=identity.sign("c-42", SECRET))
    assert [m.metadata for m in server.received] == [{"page": "cart"}, {"customer_id": "c-42"}]


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b"", "(body)"),
        (b"{", "(body)"),
        (b"[]", "(body)"),
        (b'{"message": "hi"}', "sender"),
        (b'{"sender": "", "message": "hi"}', "sender"),
        (b'{"sender": "anna"}', "message"),
        (b'{"sender": "anna", "message": 5}', "message"),
        (b'{"sender": "anna", "message": "hi", "input_channel": 5}', "input_channel"),
    ],
)
def test_a_broken_request_gets_400_with_the_key(
    client: httpx.Client, server: ChatServer, content: bytes, key: str
) -> None:
    answer = client.post(WEBHOOK, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["key"] == key
    assert repr(key) in answer.json()["error"]
    assert server.received == []


def test_a_stream_sends_each_reply_as_a_line(client: httpx.Client, server: ChatServer) -> None:
    async def two(message: UserMessage) -> None:
        for number in (1, 2):
            await message.output_channel.send_text_message(message.sender_id, f"第{number}句", message_id=f"m{number}")

    server.bot = two
    answer = client.post(f"{WEBHOOK}?stream=true", json={"sender": "anna", "message": "在吗"})
    items = [json.loads(line) for line in answer.text.splitlines()]
    assert [item["metadata"]["message_id"] for item in items] == ["m1", "m2"]


def test_the_channel_is_there(client: httpx.Client) -> None:
    assert client.get("/webhooks/rest/").json() == {"status": "ok"}
