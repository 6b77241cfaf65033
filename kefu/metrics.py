"""Counters for Prometheus: what both servers count, and the text that GET /metrics gives.

Labels take names of ours alone (strategies, reasons, channels), never what a customer wrote or who she is. Each process
counts for itself; where a server runs several workers, a scrape shows the one that answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE: str = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
# Why the responder has no draft although the guard refused none; the other reasons are the guard's.
FAILURES = frozenset({"deadline", "unsure", "error", "unavailable"})
BREAKER = ("closed", "half-opened", "opened")

replies = Counter("kefu_replies", "Replies sent.", ["source", "strategy"])
reply_seconds = Histogram("kefu_reply_seconds", "From request to reply.", ["source"], buckets=_SECONDS)
guard_refusals = Counter("kefu_guard_refusals", "Reasons the guard gave; a draft may have several.", ["reason"])
drafts_failed = Counter("kefu_drafts_failed", "Drafts that never came to the guard.", ["reason"])
engine_seconds = Histogram("kefu_engine_seconds", "What the engine took for a draft.", ["outcome"], buckets=_SECONDS)
replies_waiting = Gauge("kefu_replies_waiting", "Replies that wait for a thread or for the generator.")
breaker = Gauge("kefu_generator_breaker", "0 closed, 1 half-opened, 2 opened; closed without a generator over HTTP.")
errors = Counter("kefu_errors", "What went wrong and was made good by an apology, a template or silence.", ["where"])
messages = Counter("kefu_messages", "Customers' messages, repeated ones left out.", ["channel"])
turn_seconds = Histogram("kefu_turn_seconds", "From message to the end of its turn.", ["channel"], buckets=_SECONDS)
turns_failed = Counter("kefu_turns_failed", "Turns that ended badly.", ["channel", "reason"])
nlu_seconds = Histogram("kefu_nlu_seconds", "Reading a message, without the wait for the one before.", buckets=_SECONDS)
intents = Counter("kefu_intents", "What messages were read as.", ["intent"])


def count_reply(source: str, strategy: str, seconds: float, refused: Iterable[str]) -> None:
    """Counts a reply that goes out, and why drafts before it did not."""
    replies.labels(source, strategy).inc()
    reply_seconds.labels(source).observe(seconds)
    for reason in refused:
        (drafts_failed if reason in FAILURES else guard_refusals).labels(reason).inc()


def watch_breaker(state: Callable[[], str]) -> None:
    """Has the gauge ask ``state`` whenever it is read."""
    breaker.set_function(lambda: BREAKER.index(state()) if state() in BREAKER else 0)


def exposition() -> bytes:
    """Everything counted so far in this process, in Prometheus' text format."""
    return generate_latest()
