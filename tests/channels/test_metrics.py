"""GET /metrics of Rasa's server: what is counted, and who sees it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from prometheus_client import REGISTRY
from rasa.core.channels.channel import UserMessage

from tests.chat_server import ChatServer


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def say(client: httpx.Client, **body: str) -> None:
    client.post("/webhooks/rest/webhook", json={"sender": "m1", "message": "在吗", **body})


def test_messages_and_turns_are_counted_by_channel(client: httpx.Client) -> None:
    before = value("kefu_messages_total", channel="rest"), value("kefu_turn_seconds_count", channel="rest")
    say(client)
    after = value("kefu_messages_total", channel="rest"), value("kefu_turn_seconds_count", channel="rest")
    assert after == (before[0] + 1, before[1] + 1)
    assert 'kefu_messages_total{channel="rest"}' in client.get("/metrics").text


def test_no_customer_can_make_labels(client: httpx.Client) -> None:
    say(client, input_channel="made-up")
    assert "made-up" not in client.get("/metrics").text
    assert value("kefu_messages_total", channel="other") >= 1


@pytest.mark.parametrize(("seconds", "reason"), [(0.0, "failed"), (1.5, "late")])
def test_bad_turns_are_counted_by_reason(client: httpx.Client, server: ChatServer, seconds: float, reason: str) -> None:
    import asyncio

    async def broken(_: UserMessage) -> None:
        await asyncio.sleep(seconds)
        raise RuntimeError("bug")

    server.bot = broken
    names = (reason, "unanswered")
    before = [value("kefu_turns_failed_total", channel="rest", reason=name) for name in names]
    say(client)
    after = [value("kefu_turns_failed_total", channel="rest", reason=name) for name in names]
    assert after == [count + 1 for count in before]


@pytest.fixture
def token(server: ChatServer) -> Iterator[str]:
    server.metrics.token = "a token"
    yield "a token"
    server.metrics.token = ""


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_without_a_token_nobody_beyond_a_proxy_sees_them(client: httpx.Client, header: str) -> None:
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", headers={header: "203.0.113.9"}).status_code == 403


def test_with_a_token_it_is_asked_for(client: httpx.Client, token: str) -> None:
    assert client.get("/metrics").status_code == 403
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 403
    sent = {"Authorization": f"Bearer {token}", "X-Forwarded-For": "203.0.113.9"}
    assert client.get("/metrics", headers=sent).status_code == 200
