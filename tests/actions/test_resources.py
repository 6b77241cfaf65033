"""Loading once, in the background, and trying again."""

from __future__ import annotations

import threading
import time

import pytest

from actions import resources
from actions.form_texts import FAULT, NOTES, ORDER_ID, PHONE_TAIL, REASON, question


def wait_for(check) -> None:
    end = time.monotonic() + 5
    while not check():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_thing_is_made_once_however_many_ask():
    made = []
    once = resources.Once("thing", lambda: (time.sleep(0.05), made.append(1), "thing")[-1])
    threads = [threading.Thread(target=once.get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1] and once.get() == "thing"


def test_ready_does_not_wait_and_loads_in_the_background():
    gate = threading.Event()
    once = resources.Once("thing", lambda: gate.wait(5) and "thing")
    assert once.ready() is None
    gate.set()
    wait_for(lambda: once.ready() == "thing")


def test_a_failure_is_logged_and_tried_again_later(caplog):
    tries = []

    def make() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("no weights")
        return "thing"

    once = resources.Once("thing", make)
    assert once.ready() is None
    wait_for(lambda: "no weights" in caplog.text)
    assert once.ready() is None and len(tries) == 1  # not at once again
    assert once.get() == "thing"


def test_the_server_warms_up_when_it_starts(monkeypatch):
    from rasa_sdk.plugin import plugin_manager

    started = []
    monkeypatch.setattr(resources, "warm_up", lambda: started.append(1))

    class App:
        def register_listener(self, listener, event):
            assert event == "after_server_start"
            self.listener = listener

        def add_route(self, *_):
            pass

    app = App()
    plugin_manager().hook.attach_sanic_app_extensions(app=app)
    import asyncio

    asyncio.run(app.listener(app, None))
    assert started == [1]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_forms_questions_differ_and_leave_no_placeholder(language):
    for slot, texts in (("order_id", ORDER_ID), ("phone_tail", PHONE_TAIL), ("reason", REASON)):
        said = [question(slot, "exchange", asks, None, "三层蒸锅", language) for asks in range(5)]
        assert len(set(said[:3])) == 3 and said[3] == said[2] and not any("{" in text for text in said)
        assert question(slot, "return", 1, "help", "", language) == NOTES[language][slot] != texts[language][0]
    assert question("reason", "repair", 0, None, "空调", language) == FAULT[language][0].format(product="空调")
    assert "蒸锅、卫衣" in question("order_id", "return", 0, "蒸锅、卫衣", "", language)
    assert question("phone_tail", "return", 0, "mismatch", "", language) == NOTES[language]["mismatch"]
