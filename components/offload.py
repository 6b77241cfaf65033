"""Takes the reading of a message off Rasa's event loop.

Rasa 3.6 runs the NLU graph inside ``MessageProcessor.parse_message`` without ever giving way, so that every other
conversation, and the server's health check, waits for it. Here the graph runs in a thread of its own, one message at a
time, which its components need not know of.
"""

from __future__ import annotations

import asyncio
import copy
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any, Dict, Optional, Text

from rasa.core.channels.channel import UserMessage
from rasa.core.processor import MessageProcessor
from rasa.shared.core.trackers import DialogueStateTracker

from kefu import metrics
from kefu.taxonomy import INTENTS

_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kefu-nlu")


def install() -> None:
    """Has every MessageProcessor of this process read messages in the thread. A second call does nothing."""
    original = MessageProcessor.parse_message
    if getattr(original, "off_the_loop", False):
        return

    @wraps(original)
    async def parse_message(
        self: MessageProcessor,
        message: UserMessage,
        tracker: Optional[DialogueStateTracker] = None,
        only_output_properties: bool = True,
    ) -> Dict[Text, Any]:
        if self.http_interpreter:
            return await original(self, message, tracker, only_output_properties)
        tracker = tracker or DialogueStateTracker.from_events(message.sender_id, [])
        loop = asyncio.get_running_loop()

        def read_and_count() -> Dict[Text, Any]:
            with metrics.nlu_seconds.time():
                parsed = self._parse_message_with_graph(message, tracker, only_output_properties)
            intent = (parsed.get("intent") or {}).get("name")
            metrics.intents.labels(intent if intent in INTENTS else "other").inc()
            return parsed

        read = await loop.run_in_executor(_THREAD, read_and_count)
        known = copy.copy(self)  # what Rasa does with the result is Rasa's own code still
        known._parse_message_with_graph = lambda *_: read  # type: ignore[method-assign]
        return await original(known, message, tracker, only_output_properties)

    parse_message.off_the_loop = True  # type: ignore[attr-defined]
    MessageProcessor.parse_message = parse_message  # type: ignore[method-assign]
