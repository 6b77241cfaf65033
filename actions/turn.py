"""What the customer's message says, read from the tracker: numbers, articles, who she is, in which language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from rasa_sdk import Tracker

from kefu.plain_text import plain
from kefu.shop import KINDS, Claim
from kefu.strategy.history import SURE_MATTER, WITHOUT_MATTER
from kefu.taxonomy import INTENTS

FORM = "after_sales_form"
FEEDBACK_PREFIX = "/give_feedback"
_CJK = re.compile(r"[\u3400-\u9fff]")
_LATIN_WORD = re.compile(r"[A-Za-z]{2,}")
_ORDER_ID = re.compile(r"(?<!\d)20\d{2}(?:[ -]?\d){14}(?!\d)")
_DIGITS = {**{c: str(i) for i, c in enumerate("零一二三四五六七八九")}, "〇": "0", "幺": "1", "两": "2"}
_NUMERAL = f"[0-9{''.join(_DIGITS)}]"
_SPOKEN_TAIL = re.compile(rf"(?:尾号|后四位|后4位)[^\d\s]{{0,3}}?\s*({_NUMERAL}{{4}})(?!{_NUMERAL})")
_FOUR = re.compile(r"(?<!\d)\d{4}(?!\d)")
_AMOUNT = re.compile(r"\d+(?:\.\d+)?")


class Turn:
    """The latest message and the slots, as the actions want them."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.message: dict[str, Any] = tracker.latest_message or {}

    @property
    def sender_id(self) -> str:
        """The conversation's id."""
        return str(self.tracker.sender_id)

    @property
    def text(self) -> str:
        """The message, full-width digits and letters made half-width, what cannot be seen taken out."""
        return unicodedata.normalize("NFKC", plain(str(self.message.get("text") or ""))).strip()

    @property
    def intent(self) -> str | None:
        """The message's intent, None for an empty message."""
        return (self.message.get("intent") or {}).get("name")

    @property
    def metadata(self) -> dict[str, Any]:
        """What the channel added to the message."""
        return self.message.get("metadata") or {}

    @property
    def customer_id(self) -> str | None:
        """Who is signed in; the channel has verified it."""
        return self.metadata.get("customer_id")

    @property
    def silent(self) -> bool:
        """Whether the message is feedback clicked, not words typed."""
        return self.text.startswith(FEEDBACK_PREFIX)

    @property
    def in_form(self) -> bool:
        """Whether the after-sales form is active."""
        return self.tracker.active_loop_name == FORM

    @property
    def service(self) -> str | None:
        """return, exchange, refund or repair, where the message asks for one."""
        return KINDS.get(self.intent or "")

    @property
    def english(self) -> bool:
        """Whether she writes English: by her newest message that tells."""
        for text in self.user_texts():
            if _CJK.search(text):
                return False
            if len(_LATIN_WORD.findall(text)) >= 2:
                return True
        return False

    @property
    def language(self) -> str:
        """``en`` or ``zh``."""
        return "en" if self.english else "zh"

    @property
    def emotion(self) -> str | None:
        """How she feels: from the message, else from the slot."""
        return (self.message.get("emotion") or {}).get("name") or self.slot("emotion")

    def user_texts(self) -> Iterator[str]:
        """What the customer has typed, newest first."""
        for event in reversed(self.tracker.events):
            if event.get("event") == "user":
                text = str(event.get("text") or "").strip()
                if text and not text.startswith("/"):
                    yield text

    @property
    def matter(self) -> tuple[str, str] | None:
        """(intent, the words that raised it): the last message that surely names a matter, else the slots'."""
        for event in reversed(self.tracker.events_after_latest_restart()):
            read = (event.get("parse_data") or {}).get("intent") or {}
            intent, sure = str(read.get("name") or ""), float(read.get("confidence") or 0.0) >= SURE_MATTER
            if event.get("event") == "user" and sure and intent in INTENTS and intent not in WITHOUT_MATTER:
                return intent, str(event.get("text") or "")
        topic = self.slot("topic")
        return (str(topic), str(self.slot("request") or self.text)) if topic else None

    def slot(self, name: str) -> Any:
        """A slot's value."""
        return self.tracker.slots.get(name)

    def entities(self, kind: str) -> list[str]:
        """The values of the message's entities of one type, in order."""
        found = (self.message.get("entities") or []) if not self.silent else []
        return [str(e.get("value")) for e in found if e.get("entity") == kind and e.get("value") not in (None, "")]

    @property
    def order_id(self) -> str | None:
        """The order number in the message."""
        for value in (*self.entities("order_id"), *_ORDER_ID.findall(self.text)):
            digits = re.sub(r"\D", "", value)
            if digits:
                return digits
        return None

    @property
    def phone_tail(self) -> str | None:
        """The last four digits of a phone in the message; bare four digits count where they were asked for."""
        for value in (*self.entities("phone_tail"), *self.entities("phone")):
            digits = re.sub(r"\D", "", value)
            if len(digits) in (4, 11):
                return digits[-4:]
        spoken = _SPOKEN_TAIL.search(self.text)
        if spoken:
            return "".join(_DIGITS.get(c, c) for c in spoken[1])
        bare = _FOUR.search(self.text) if self._asked_for_tail() else None
        return bare[0] if bare else None

    def _asked_for_tail(self) -> bool:
        return "phone_tail" in (self.slot("waiting_for"), self.slot("requested_slot"))

    @property
    def products(self) -> list[str]:
        """The articles named in the message, SKUs first."""
        return self.entities("sku") + self.entities("product")

    @property
    def budget_fen(self) -> int | None:
        """The amount named in the message, in fen."""
        for value in self.entities("amount"):
            match = _AMOUNT.search(value)
            if match:
                return round(float(match[0]) * 100)
        return None

    def claim(self, topic: str) -> Claim:
        """What she has said about herself and her order up to now, for the shop."""
        products = self.products
        return Claim(
            order_id=self.slot("order_id"),
            phone_tail=self.slot("phone_tail"),
            customer_id=self.customer_id,
            product=products[0] if products else None,
            text=self.text,
            stated=self.slot("order_stated") is not False,
            topic=topic,
        )
