"""What the action server loads once: the shop, the responder, the retriever. Warmed up when the server starts."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Generic, TypeVar

import pluggy
from rasa_sdk.plugin import plugin_manager
from sanic import Sanic

from kefu.settings import settings
from kefu.shop import Shop

logger = logging.getLogger(__name__)
T = TypeVar("T")
RETRY_SECONDS = 60.0


class Once(Generic[T]):
    """Makes a thing on first use and keeps it. A failure is logged, not kept: a later use tries again."""

    def __init__(self, name: str, make: Callable[[], T]) -> None:
        self.name = name
        self._make = make
        self._lock = threading.Lock()
        self._made: T | None = None
        self._started = 0.0

    @property
    def made(self) -> T | None:
        """The thing if it is there; nothing is started."""
        return self._made

    def get(self) -> T:
        """The thing; others wait while it is being made."""
        if self._made is not None:
            return self._made
        with self._lock:
            if self._made is None:
                started = time.monotonic()
                self._made = self._make()
                logger.info("Loaded the %s in %.1f s.", self.name, time.monotonic() - started)
            return self._made

    def ready(self) -> T | None:
        """The thing if it is there, else None; making it goes on in the background."""
        if self._made is None and not self._lock.locked() and time.monotonic() - self._started > RETRY_SECONDS:
            self._started = time.monotonic()
            threading.Thread(target=self._try, name=f"load-{self.name}", daemon=True).start()
        return self._made

    def put(self, made: T | None) -> None:
        """Replaces the thing; None has it made anew."""
        self._made, self._started = made, 0.0

    def _try(self) -> None:
        try:
            self.get()
        except Exception:
            logger.exception("The %s could not be loaded.", self.name)


def _shop() -> Shop:
    return Shop(settings().database).create_all()


def _responder() -> Any:
    from kefu.generation import load_responder

    return load_responder(settings())


def _templates() -> Any:
    from kefu.generation import load_responder

    return load_responder(replace(settings(), generator="none"))


def _retriever() -> Any:
    from kefu.knowledge import Retriever

    return Retriever.load()


def _value() -> Any:
    from kefu.strategy.encoder import load_encoder
    from kefu.strategy.value import FILE, ValueModel

    return ValueModel.load(FILE, load_encoder(settings().encoder))


shop: Once[Shop] = Once("shop", _shop)
retriever: Once[Any] = Once("retriever", _retriever)
responder: Once[Any] = Once("responder", _responder)
templates: Once[Any] = Once("reply templates", _templates)
value: Once[Any] = Once("value model", _value)  # where drafts are compared
# Replies are written here, so that business actions never queue behind them.
# They mostly wait for the generator, which writes several replies at once and refuses what it cannot.
reply_threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="reply")


def warm_up() -> None:
    """Starts loading everything in the background."""
    for thing in (shop, templates, retriever, responder):
        thing.ready()
    if settings().compare_drafts:
        value.ready()


class _Hooks:
    """Warms up once the action server listens."""

    @staticmethod
    @pluggy.HookimplMarker("rasa_sdk")
    def attach_sanic_app_extensions(app: Sanic) -> None:
        async def start(*_: Any) -> None:
            warm_up()

        app.register_listener(start, "after_server_start")


if not plugin_manager().has_plugin("kefu"):
    plugin_manager().register(_Hooks, name="kefu")
