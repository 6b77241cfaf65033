"""Messages are read in a thread, and what Rasa does with the result stays."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from rasa.core.channels.channel import UserMessage
from rasa.core.processor import MessageProcessor
from rasa.shared.nlu.training_data.message import Message

from components import offload


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    """The hook, taken out again after the test."""
    before = MessageProcessor.parse_message
    offload.install()
    yield
    MessageProcessor.parse_message = before  # type: ignore[method-assign]


def processor(seconds: float, seen: list[Any]) -> MessageProcessor:
    """A processor whose graph takes ``seconds``."""

    def run(inputs: dict[str, Any], targets: list[str]) -> dict[str, list[Message]]:
        seen.append((threading.current_thread().name, inputs))
        time.sleep(seconds)
        message = Message.build("退款")
        message.set("intent", {"name": "request_refund", "confidence": 0.9}, add_to_output=True)
        return {"nlu": [message]}

    made = MessageProcessor.__new__(MessageProcessor)
    made.http_interpreter = None
    made.graph_runner = SimpleNamespace(run=run)  # type: ignore[assignment]
    made.model_metadata = SimpleNamespace(nlu_target="nlu", domain=SimpleNamespace(intents=[], entities=[]))  # type: ignore[assignment]
    made._check_for_unseen_features = seen.append  # type: ignore[method-assign]
    return made


def test_the_event_loop_goes_on_while_a_message_is_read() -> None:
    seen: list[Any] = []

    async def both() -> tuple[dict[str, Any], int]:
        reading = asyncio.ensure_future(processor(0.3, seen).parse_message(UserMessage("退款")))
        ticks = 0
        while not reading.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return await reading, ticks

    read, ticks = asyncio.run(both())
    assert read["intent"]["name"] == "request_refund" and ticks > 5
    assert seen[0][0].startswith("kefu-nlu") and seen[1]["text"] == "退款"


def test_messages_are_read_one_at_a_time_and_errors_reach_the_caller() -> None:
    seen: list[Any] = []

    async def several() -> None:
        one = processor(0.05, seen)
        await asyncio.gather(*(one.parse_message(UserMessage(t)) for t in "甲乙丙"))

    asyncio.run(several())
    threads = [s[0] for s in seen if isinstance(s, tuple)]
    assert len(threads) == 3 and len(set(threads)) == 1
    broken = processor(0, seen)
    broken.graph_runner = SimpleNamespace(run=lambda **_: 1 / 0)  # type: ignore[assignment]
    with pytest.raises(ZeroDivisionError):
        asyncio.run(broken.parse_message(UserMessage("退款")))


def test_installing_twice_wraps_once() -> None:
    once = MessageProcessor.parse_message
    offload.install()
    assert MessageProcessor.parse_message is once
