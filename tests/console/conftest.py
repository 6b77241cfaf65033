"""A headless Chromium on the chat page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from kefu.settings import settings
from tests.chat_server import ChatServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(autouse=True)
def no_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[None]:
    """Settings of a fresh machine in demo mode, whatever the developer's own are."""
    for key in ("KEFU_CHANNEL_SECRET", "KEFU_DATABASE_URL"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("KEFU_DEMO", "1")
    monkeypatch.setenv("KEFU_STATE_DIR", str(tmp_path))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture(scope="session")
def running_server() -> Iterator[ChatServer]:
    """The chat on a free port."""
    running = ChatServer("console")
    yield running
    running.stop()


@pytest.fixture
def server(running_server: ChatServer) -> ChatServer:
    """The server as if just started."""
    running_server.reset()
    return running_server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium; the test is skipped where there is none.

    Not for the whole session: while Playwright's driver runs, so does its event loop, and no asynchronous test can.
    """
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium fonts-noto-cjk")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, server: ChatServer) -> Iterator[Any]:
    """The chat page on a phone of 360 pixels' width, connected."""
    context = browser.new_context(viewport={"width": 360, "height": 720}, device_scale_factor=2, locale="zh-CN")
    opened = context.new_page()
    opened.errors = []
    opened.on("pageerror", lambda error: opened.errors.append(str(error)))
    opened.on("console", lambda line: opened.errors.append(line.text) if line.type == "error" else None)
    opened.goto(f"{server.url}/chat")
    opened.wait_for_selector('#presence[data-state="online"]')
    yield opened
    context.close()
