"""What a channel remembers of each conversation for some minutes: ids seen, payloads issued, language, last replies.

It lives in the process's memory and is bounded: the conversation that was quiet longest goes first.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

REMEMBER = 600.0  # seconds
MAX_CONVERSATIONS = 10_000
MAX_IDS = 100
MAX_REPLIES = 20
MAX_PAYLOADS = 40


@dataclass
class Conversation:
    """The memory of one sender.

    Attributes:
        seen: client message ids with the time they came, oldest first.
        payloads: button payloads that the assistant issued and the customer may send back.
        replies: the last (time, reply item), oldest first.
        language: ``zh`` or ``en``, of the last message that told.
        touched: when it was last used.
    """

    seen: OrderedDict[str, float] = field(default_factory=OrderedDict)
    payloads: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_PAYLOADS))
    replies: deque[tuple[float, dict[str, Any]]] = field(default_factory=lambda: deque(maxlen=MAX_REPLIES))
    language: str = "zh"
    touched: float = 0.0


class Conversations:
    """All conversations of one channel in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, limit: int = MAX_CONVERSATIONS) -> None:
        """``clock`` gives seconds; ``limit`` is how many conversations are remembered."""
        self._clock = clock
        self._limit = limit
        self._known: OrderedDict[str, Conversation] = OrderedDict()

    def __len__(self) -> int:
        """How many conversations are remembered."""
        return len(self._known)

    def clear(self) -> None:
        """Forgets all conversations."""
        self._known.clear()

    def of(self, sender: str) -> Conversation:
        """The memory of ``sender``, now the freshest."""
        now = self._clock()
        while self._known and now - next(iter(self._known.values())).touched > REMEMBER:
            self._known.popitem(last=False)
        conversation = self._known.setdefault(sender, Conversation())
        conversation.touched = now
        self._known.move_to_end(sender)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)
        return conversation

    def repeated(self, sender: str, client_message_id: str | None) -> bool:
        """Whether this id came from this sender within the last ten minutes; remembers it where it did not."""
        if client_message_id is None:
            return False
        seen, now = self.of(sender).seen, self._clock()
        while seen and (len(seen) >= MAX_IDS or now - next(iter(seen.values())) > REMEMBER):
            seen.popitem(last=False)
        if client_message_id in seen:
            return True
        seen[client_message_id] = now
        return False

    def replied(self, sender: str, reply: dict[str, Any]) -> None:
        """Remembers a reply's item and the payloads of its buttons."""
        conversation = self.of(sender)
        conversation.replies.append((self._clock(), reply))
        payloads = [button.get("payload") for button in reply.get("buttons") or ()]
        conversation.payloads.extend(payload for payload in payloads if isinstance(payload, str))

    def replies_after(self, sender: str, message_id: str | None) -> list[dict[str, Any]]:
        """The replies of the last ten minutes that came after ``message_id``; all of them where it is not known."""
        oldest = self._clock() - REMEMBER
        replies = [reply for at, reply in self.of(sender).replies if at >= oldest]
        ids = [reply.get("metadata", {}).get("message_id") for reply in replies]
        return replies[ids.index(message_id) + 1 :] if message_id in ids else replies
