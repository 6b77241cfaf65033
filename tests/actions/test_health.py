"""GET /ready and GET /metrics of the action server, and what replies count."""

from __future__ import annotations

import asyncio
import socket
import threading
from dataclasses import replace
from types import SimpleNamespace

import httpx
import pytest
from prometheus_client import REGISTRY
from rasa_sdk.plugin import plugin_manager
from sanic import Sanic

from actions import health, resources
from kefu.generation import Guard, Responder, Templates
from kefu.settings import Settings


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.fixture
def generator(monkeypatch):
    """Sets KEFU_GENERATOR."""
    return lambda name: monkeypatch.setattr(health, "settings", lambda: replace(Settings(), generator=name))


def test_a_server_whose_parts_are_there_is_ready(loaded, generator):
    generator("none")
    body, status = health.readiness()
    assert (status, body["ready"], body["generator"], body["breaker"], body["missing"]) == (200, True, "none", None, [])
    assert body["loaded"] == {"shop": True, "retriever": True, "responder": True, "reply templates": True}


@pytest.mark.parametrize("name", ["shop", "retriever", "responder", "templates"])
def test_a_server_that_still_loads_is_not_ready_and_the_question_loads_nothing(loaded, generator, monkeypatch, name):
    generator("none")
    started = []
    monkeypatch.setattr(resources, name, resources.Once(name, lambda: started.append(1)))
    body, status = health.readiness()
    assert (status, body["ready"], body["missing"]) == (503, False, [name]) and not started


def test_a_generator_that_did_not_start_is_missing(loaded, generator):
    generator("bundled:gemma-3-270m")
    resources.responder.put(Responder(None, Guard(), Templates()))
    assert health.readiness()[0]["missing"] == ["generator"] and health.readiness()[1] == 503


def test_a_server_whose_generator_is_down_is_ready_and_says_so(loaded, generator):
    generator("http://localhost:1/v1")
    resources.responder.put(SimpleNamespace(engine=SimpleNamespace(state="opened")))
    body, status = health.readiness()
    assert (status, body["generator"], body["breaker"]) == (200, "http", "opened")


def test_both_are_served(loaded, generator):
    generator("none")
    Sanic.test_mode = True
    app = Sanic("health", configure_logging=False)
    plugin_manager().hook.attach_sanic_app_extensions(app=app)
    resources.responder.put(SimpleNamespace(engine=SimpleNamespace(state="half-opened")))

    async def ask() -> list[httpx.Response]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = await app.create_server("127.0.0.1", port, return_asyncio_server=True, access_log=False)
        await server.startup()
        await server.start_serving()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            answers = [await client.get(path) for path in ("/ready", "/metrics")]
        server.close()
        await server.wait_closed()
        return answers

    ready, shown = asyncio.run(ask())
    assert ready.status_code == 200 and ready.json()["ready"]
    assert shown.headers["content-type"].startswith("text/plain")
    assert "# TYPE kefu_reply_seconds histogram" in shown.text and "kefu_generator_breaker 1.0" in shown.text


def test_the_gauge_shows_the_replies_that_wait_for_a_thread(loaded):
    gate = threading.Event()
    tasks = [resources.reply_threads.submit(gate.wait, 10) for _ in range(resources.reply_threads._max_workers + 2)]
    health.metrics.replies_waiting.set_function(health.waiting)
    try:
        assert value("kefu_replies_waiting") == 2
    finally:
        gate.set()
    assert all(task.result(5) for task in tasks) and value("kefu_replies_waiting") == 0


def test_replies_refusals_and_failures_are_counted(run, tracker, loaded, monkeypatch):
    from kefu.generation.request import Reply

    refused = ("number", "number", "deadline")
    monkeypatch.setattr(loaded.responder, "reply", lambda _: Reply("好的，马上查。", "template", 1.0, refused))
    names = {
        "replies": ("kefu_replies_total", {"source": "template", "strategy": "inform"}),
        "seconds": ("kefu_reply_seconds_count", {"source": "template"}),
        "number": ("kefu_guard_refusals_total", {"reason": "number"}),
        "deadline": ("kefu_drafts_failed_total", {"reason": "deadline"}),
        "errors": ("kefu_errors_total", {"where": "action_reply"}),
    }
    before = {name: value(metric, **labels) for name, (metric, labels) in names.items()}
    run("action_reply", tracker("在吗", "greet", slots={"strategy": "inform"}))
    for responder in (loaded.responder, loaded.templates):
        monkeypatch.setattr(responder, "reply", lambda _: 1 / 0)
    run("action_reply", tracker("在吗", "greet", slots={"strategy": "inform"}))
    counted = {name: value(metric, **labels) - before[name] for name, (metric, labels) in names.items()}
    assert counted == {"replies": 1, "seconds": 1, "number": 2, "deadline": 1, "errors": 1}
