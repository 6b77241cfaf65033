"""The demo shop, a responder that writes nothing but what it was asked, and a conversation played through the rules."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rasa_sdk import Tracker
from rasa_sdk.executor import ActionExecutor, CollectingDispatcher

from actions import resources
from kefu.generation.request import Reply, ReplyRequest
from kefu.shop import DEMO, Shop, seed

ROOT = Path(__file__).parents[2]


class FakeResponder:
    """Answers with the strategy's name and keeps the requests."""

    def __init__(self, source: str = "model") -> None:
        self.source = source
        self.requests: list[ReplyRequest] = []

    def reply(self, request: ReplyRequest) -> Reply:
        self.requests.append(request)
        passages = tuple(p.id for p in request.passages)
        return Reply(f"<{request.strategy}>", self.source, 12.5, (), passages)


class FakeRetriever:
    """Finds one passage for everything and keeps the queries."""

    def __init__(self) -> None:
        self.queries: list[tuple[str, str | None, int]] = []
        self.carried: list[tuple[str, str, str]] = []

    def search(self, query: str, intent: str | None, k: int = 3) -> list[tuple[Any, float]]:
        self.queries.append((query, intent, k))
        return [(SimpleNamespace(id="p1", title="", text="", intents=(), questions=()), 1.0)]

    def carried_on(self, text: str, intent: str, matter: str, k: int = 3) -> list[tuple[Any, float]]:
        self.carried.append((text, intent, matter))
        return []


@pytest.fixture(scope="session")
def seeded() -> Shop:
    """The demo customer's shop, dated relative to now."""
    made = Shop("sqlite://")
    seed(made, products=ROOT / "data" / "shop" / "products.yml", customers=3)
    return made


@pytest.fixture
def shop(seeded) -> Shop:
    """A copy of it, to be changed."""
    made = Shop("sqlite://")
    with seeded.engine.connect() as source, made.engine.connect() as target:
        source.connection.driver_connection.backup(target.connection.driver_connection)
    return made


@pytest.fixture
def orders(shop) -> dict[str, str]:
    """The demo customer's order numbers by article."""
    return {order["product"]: order["order_id"] for order in shop.orders_of(DEMO)}


@pytest.fixture(autouse=True)
def loaded(shop):
    """Puts the doubles where the actions look; gives the responder, the templates and the retriever."""
    doubles = SimpleNamespace(
        responder=FakeResponder(), templates=FakeResponder("template"), retriever=FakeRetriever(), shop=shop
    )
    for name in ("shop", "responder", "templates", "retriever"):
        getattr(resources, name).put(getattr(doubles, name))
    yield doubles
    for name in ("shop", "responder", "templates", "retriever"):
        getattr(resources, name).put(None)


@pytest.fixture(scope="session")
def executor() -> ActionExecutor:
    """The actions as the action server finds them."""
    made = ActionExecutor()
    made.register_package("actions")
    return made


def user_event(text: str, intent: str | None = None, entities: dict[str, Any] | None = None, **more: Any) -> dict:
    """A message as it lies in the tracker."""
    found = [{"entity": kind, "value": value} for kind, value in (entities or {}).items()]
    parsed = {"text": text, "intent": {"name": intent}, "entities": found, "metadata": more.get("metadata", {})}
    if "emotion" in more:
        parsed["emotion"] = {"name": more["emotion"], "confidence": 0.9}
    return {"event": "user", "text": text, "parse_data": parsed, "metadata": parsed["metadata"]}


@pytest.fixture
def tracker():
    """Makes a tracker that ends with a message: tracker(text, intent, entities, slots=..., events=..., form=True)."""

    def make(
        text: str = "",
        intent: str | None = None,
        entities: dict[str, Any] | None = None,
        slots: dict[str, Any] | None = None,
        events: list[dict] | None = None,
        form: bool = False,
        **more: Any,
    ) -> Tracker:
        said = user_event(text, intent, entities, **more)
        loop = {"name": "after_sales_form"} if form else {}
        latest = {**said["parse_data"], "metadata": said["metadata"]}
        return Tracker("s1", dict(slots or {}), latest, [*(events or []), said], False, None, loop, "action_listen")

    return make


@pytest.fixture
def run(executor):
    """Runs an action as the server does: run(name, tracker) -> (slots set, messages, other events)."""

    def call(name: str, tracker: Tracker) -> tuple[dict[str, Any], list[dict], list[dict]]:
        dispatcher = CollectingDispatcher()
        events = asyncio.run(executor.actions[name](dispatcher, tracker, {}))
        slots = {e["name"]: e["value"] for e in events if e["event"] == "slot"}
        return slots, dispatcher.messages, [e for e in events if e["event"] != "slot"]

    return call
