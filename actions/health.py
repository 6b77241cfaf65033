"""GET /ready and GET /metrics of the action server, beside Rasa SDK's GET /health.

``/health`` says that the process lives; ``/ready`` says whether replies can be written by what the settings ask for:
200 and what is loaded, or 503 and ``missing``. A generator over HTTP that is down leaves the server ready, since
templates answer meanwhile; its ``breaker`` tells.
"""

from __future__ import annotations

from typing import Any

import pluggy
from rasa_sdk.plugin import plugin_manager
from sanic import Sanic, response
from sanic.request import Request
from sanic.response import HTTPResponse

from actions import resources
from kefu import metrics
from kefu.settings import settings


def readiness() -> tuple[dict[str, Any], int]:
    """The answer to GET /ready and its status. Loads nothing, and starts no loading."""
    things = (resources.shop, resources.retriever, resources.responder, resources.templates)
    loaded = {thing.name: thing.made is not None for thing in things}
    engine = getattr(resources.responder.made, "engine", None)
    wanted = settings().generator
    kind = "none" if wanted == "none" else "http" if wanted.startswith(("http://", "https://")) else "local"
    missing = [name for name, there in loaded.items() if not there]
    if kind != "none" and resources.responder.made is not None and engine is None:
        missing.append("generator")  # it did not start; the log says why
    body = {
        "ready": not missing,
        "loaded": loaded,
        "generator": kind,
        "breaker": getattr(engine, "state", None),
        "missing": missing,
    }
    return body, 503 if missing else 200


async def ready(_: Request) -> HTTPResponse:
    """GET /ready."""
    body, status = readiness()
    return response.json(body, status=status, headers={"Cache-Control": "no-store"})


async def show_metrics(_: Request) -> HTTPResponse:
    """GET /metrics."""
    return response.raw(metrics.exposition(), content_type=metrics.CONTENT_TYPE)


def waiting() -> int:
    """Replies that wait: for a thread, or for the generator."""
    engine = getattr(resources.responder.made, "engine", None)
    return resources.reply_threads._work_queue.qsize() + int(getattr(engine, "waiting", 0))


class _Hooks:
    """Adds the routes when the action server is made."""

    @staticmethod
    @pluggy.HookimplMarker("rasa_sdk")
    def attach_sanic_app_extensions(app: Sanic) -> None:
        app.add_route(ready, "/ready")
        app.add_route(show_metrics, "/metrics")
        metrics.replies_waiting.set_function(waiting)
        metrics.watch_breaker(lambda: str(getattr(getattr(resources.responder.made, "engine", None), "state", "")))


if not plugin_manager().has_plugin("kefu-health"):
    plugin_manager().register(_Hooks, name="kefu-health")
