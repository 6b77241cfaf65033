"""What a client may send: one customer's message, read from JSON, checked and cleaned before Rasa sees it.

A client speaks JSON: {"sender" or "session_id": ..., "message": text, "metadata": {...}}. Of the metadata this module
reads ``feedback`` ({"message_id", and one or more of "thumb": "up"|"down", "rating": 1-5, "correction": text, "target":
"meaning"|"reply" that says what the correction is about}) and ``client_message_id``; the rest is handed on.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kefu.errors import DataError

MAX_TEXT = 20_000
MAX_CORRECTION = 2_000
MAX_ID = 128
MAX_METADATA = 16_384
_FEEDBACK_KEYS = ("message_id", "thumb", "rating", "correction", "target")
# Invisible marks that reorder or split text. Zero-width joiners stay: emoji and some scripts are written with them.
_INVISIBLE = {0x200B, 0x200E, 0x200F, 0xFEFF, *range(0x202A, 0x202F), *range(0x2060, 0x2065), *range(0x2066, 0x206A)}


class BadMessage(DataError):
    """A client's JSON breaks the channel's format.

    Attributes:
        key: the JSON key at fault, dotted from the top.
        value: what stood there, shortened.
    """

    def __init__(self, key: str, value: Any, mend: str) -> None:
        """``mend`` says what is expected at ``key``."""
        shown = repr(value)
        self.key = key
        self.value = shown if len(shown) <= 80 else f"{shown[:77]}..."
        super().__init__(f"Key {key!r} has value {self.value}: {mend}.")

    def as_json(self) -> dict[str, str]:
        """The body of the HTTP 400 answer, or the socket's acknowledgement."""
        return {"error": str(self), "key": self.key, "value": self.value}


@dataclass(frozen=True)
class Incoming:
    """One cleaned message.

    Attributes:
        sender: the conversation's id.
        text: the customer's words ("" where she sent none); None where the client sent feedback only.
        metadata: what goes on to Rasa, without ``feedback`` and ``client_message_id``.
        feedback: checked feedback, or None.
        client_message_id: the client's own id of this message, equal in a resend.
    """

    sender: str
    text: str | None
    metadata: dict[str, Any] = field(default_factory=dict)
    feedback: dict[str, Any] | None = None
    client_message_id: str | None = None


def read(body: Any, sender_key: str, metadata_key: str = "metadata") -> Incoming:
    """Checks and cleans a client's JSON.

    Raises:
        BadMessage: a key is missing or has a value it cannot have.
    """
    if not isinstance(body, Mapping):
        raise BadMessage("(body)", body, f'send a JSON object {{"{sender_key}": "...", "message": "..."}}')
    sender = _identifier(body, sender_key)
    metadata = _metadata(body.get(metadata_key), metadata_key)
    feedback = _feedback(metadata.pop("feedback", None), f"{metadata_key}.feedback")
    client_id = metadata.pop("client_message_id", None)
    if client_id is not None and not (isinstance(client_id, str) and 0 < len(client_id) <= MAX_ID):
        raise BadMessage(f"{metadata_key}.client_message_id", client_id, f"send a string of 1 to {MAX_ID} characters")
    text = body.get("message")
    if not isinstance(text, str) and not (text is None and feedback):
        raise BadMessage("message", text, "send the customer's text as a string")
    if text is not None:
        if len(text) > MAX_TEXT:
            raise BadMessage("message", text, f"it has {len(text)} characters; send at most {MAX_TEXT}")
        text = clean(text)
    if feedback and not text:
        text = None
    return Incoming(sender, text, metadata, feedback, client_id)


def clean(text: str) -> str:
    """``text`` without control characters, half surrogates and invisible marks; line ends become ``\\n``."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    kept = (c for c in text if c == "\n" or (unicodedata.category(c) not in ("Cc", "Cs") and ord(c) not in _INVISIBLE))
    return "".join(kept).strip()


def escape(text: str) -> str:
    """``text`` for Rasa: a leading ``/`` would name an intent, so a typed one becomes the full-width ``／``."""
    return f"／{text[1:]}" if text.startswith("/") else text


def feedback_payload(feedback: Mapping[str, Any]) -> str:
    """The Rasa message ``/give_feedback{...}`` for checked feedback, its keys as entities."""
    entities = {key: feedback[key] for key in ("message_id", "thumb", "rating", "correction") if key in feedback}
    return f"/give_feedback{json.dumps(entities, ensure_ascii=False)}"


def _identifier(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadMessage(key, value, "send the conversation's id as a non-empty string")
    if len(value) > MAX_ID or not value.isprintable():
        raise BadMessage(key, value, f"send at most {MAX_ID} printable characters")
    return value.strip()


def _metadata(value: Any, key: str) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise BadMessage(key, value, "it is a string that is not JSON; send an object") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadMessage(key, value, "send an object")
    if len(json.dumps(value)) > MAX_METADATA:
        raise BadMessage(key, value, f"send at most {MAX_METADATA} characters of JSON")
    return dict(value)


def _feedback(value: Any, key: str) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadMessage(key, value, 'send an object {"message_id": "...", "thumb": "up"}')
    feedback = {k: v for k, v in value.items() if v is not None}
    for unknown in set(feedback) - set(_FEEDBACK_KEYS):
        raise BadMessage(f"{key}.{unknown}", feedback[unknown], f"known keys are {', '.join(_FEEDBACK_KEYS)}")
    message_id = feedback.get("message_id")
    if not isinstance(message_id, str) or not 0 < len(message_id) <= MAX_ID or not message_id.isprintable():
        raise BadMessage(f"{key}.message_id", message_id, "send the message_id of the reply that the feedback is about")
    if "thumb" in feedback and feedback["thumb"] not in ("up", "down"):
        raise BadMessage(f"{key}.thumb", feedback["thumb"], "send up or down")
    if "target" in feedback and feedback["target"] not in ("meaning", "reply"):
        raise BadMessage(f"{key}.target", feedback["target"], "send meaning or reply")
    if "rating" in feedback and (type(feedback["rating"]) is not int or not 1 <= feedback["rating"] <= 5):
        raise BadMessage(f"{key}.rating", feedback["rating"], "send a whole number from 1 to 5")
    if "correction" in feedback:
        feedback["correction"] = _correction(feedback["correction"], f"{key}.correction")
    if not {"thumb", "rating", "correction"} & set(feedback):
        raise BadMessage(key, value, "send at least one of thumb, rating, correction")
    return feedback


def _correction(value: Any, key: str) -> str:
    corrected = clean(value) if isinstance(value, str) else ""
    if not corrected or len(corrected) > MAX_CORRECTION:
        raise BadMessage(key, value, f"send a text of 1 to {MAX_CORRECTION} characters")
    return corrected
