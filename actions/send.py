"""The one way a bot message goes out: with a message id, its strategy and its source in the bot event's metadata."""

from __future__ import annotations

import uuid
from typing import Any

from rasa_sdk.executor import CollectingDispatcher


def send(dispatcher: CollectingDispatcher, text: str, *, strategy: str, source: str, **more: Any) -> str:
    """Sends ``text`` and returns its message id, to which a thumb, a star or a correction is tied later.

    Args:
        strategy: the dialogue strategy that the message carries out.
        source: ``model`` or ``template``.
        more: what else the metadata shall tell (probability, stage, passages, latency_ms ...).
    """
    message_id = uuid.uuid4().hex
    dispatcher.utter_message(text=text, message_id=message_id, strategy=strategy, source=source, **more)
    return message_id
