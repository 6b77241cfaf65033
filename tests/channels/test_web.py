from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
import yaml
from rasa.core.channels.channel import UserMessage
from rasa.core.run import create_http_input_channels

from components.channels import identity
from components.channels.courtesies import CHAT
from components.channels.metrics import MetricsInput
from components.channels.rest import KefuRestInput
from components.channels.web import WebInput
from kefu.settings import settings
from tests.channels.conftest import SECRET, Page
from tests.chat_server import ChatServer


@pytest.mark.asyncio
async def test_a_message_is_answered_with_metadata_and_acknowledged(page: Page) -> None:
    async with page:
        await page.open()
        assert await page.say("在吗") == {"ok": True, "repeated": False, "signed_in": False}
        [reply] = page.replies
        assert reply["text"] == "收到：在吗"
        assert reply["metadata"]["strategy"] == "inform"
        assert reply["metadata"]["message_id"].startswith("reply-")


@pytest.mark.asyncio
async def test_a_session_goes_on_over_another_connection(server: ChatServer) -> None:
    async with Page(server.url) as first:
        session = await first.open()
        await first.say("一")
    async with Page(server.url) as second:
        assert await second.open(session, after=first.replies[0]["metadata"]["message_id"]) == session
        assert second.replies == []
        await second.say("二")
        assert [m.sender_id for m in server.received] == [session, session]
        assert [reply["text"] for reply in second.replies] == ["收到：二"]


@pytest.mark.asyncio
async def test_replies_missed_while_away_come_again(server: ChatServer) -> None:
    async def slow(message: UserMessage) -> None:
        await asyncio.sleep(0.3)
        await message.output_channel.send_text_message(message.sender_id, "让您久等", message_id="late")

    server.bot = slow
    async with Page(server.url) as first:
        session = await first.open()
        await first._client.emit("user_uttered", {"session_id": session, "message": "在吗"})
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.4)
    async with Page(server.url) as second:
        await second.open(session)
        assert [reply["metadata"]["message_id"] for reply in second.replies] == ["late"]


@pytest.mark.asyncio
async def test_all_pages_of_a_session_see_the_reply_and_no_others(server: ChatServer) -> None:
    async with Page(server.url) as one, Page(server.url) as two, Page(server.url) as stranger:
        session = await one.open()
        await two.open(session)
        await stranger.open()
        await one.say("在吗")
        assert [len(p.replies) for p in (one, two, stranger)] == [1, 1, 0]


@pytest.mark.asyncio
@pytest.mark.parametrize("session", [None, "", "1", "guessable", "../../etc/passwd/and/more", 5])
async def test_an_unfit_session_id_is_replaced(page: Page, session: str | None) -> None:
    async with page:
        given = await page.open(session)
        assert given != session
        assert len(given) == 32


@pytest.mark.asyncio
async def test_a_resent_message_is_taken_once(page: Page, server: ChatServer) -> None:
    async with page:
        await page.open()
        await page.say("在吗", client_message_id="c1")
        assert (await page.say("在吗", client_message_id="c1"))["repeated"]
        assert len(server.received) == len(page.replies) == 1


@pytest.mark.asyncio
async def test_feedback_is_recorded_in_silence(page: Page, server: ChatServer) -> None:
    async with page:
        await page.open()
        await page.say("", feedback={"message_id": "m1", "correction": "我问的是运费", "target": "meaning"})
        assert page.replies == [{"custom": {"feedback": "recorded", "message_id": "m1"}}]
        assert server.received[0].text.startswith("/give_feedback{")
        assert server.received[0].metadata["feedback"]["target"] == "meaning"


@pytest.mark.asyncio
async def test_a_broken_message_is_refused_in_its_acknowledgement(page: Page, server: ChatServer) -> None:
    async with page:
        await page.open()
        refused = await page.say("x" * 30_000)
        assert (refused["ok"], refused["key"]) == (False, "message")
        assert server.received == []


@pytest.mark.asyncio
async def test_a_token_signs_in(page: Page, server: ChatServer) -> None:
    async with page:
        await page.open()
        assert (await page.say("查订单", customer_token=identity.sign("c-42", SECRET)))["signed_in"]
        assert not (await page.say("查订单", customer_id="c-42"))["signed_in"]
        assert [m.metadata for m in server.received] == [{"customer_id": "c-42"}, {}]


@pytest.mark.asyncio
async def test_buttons_and_images_come_in_the_form_that_widgets_know(page: Page, server: ChatServer) -> None:
    async def rich(message: UserMessage) -> None:
        output = message.output_channel
        buttons = [{"title": "是", "payload": "/affirm"}]
        await output.send_response(message.sender_id, {"text": "对吗", "buttons": buttons, "message_id": "m1"})
        await output.send_response(message.sender_id, {"image": "/a.png", "attachment": None})

    server.bot = rich
    async with page:
        await page.open()
        await page.say("在吗")
        assert page.replies[0]["quick_replies"] == [{"content_type": "text", "title": "是", "payload": "/affirm"}]
        assert page.replies[0]["metadata"] == {"message_id": "m1"}
        assert page.replies[1]["attachment"] == {"type": "image", "payload": {"src": "/a.png"}}


@pytest.mark.asyncio
async def test_rasa_can_speak_first(page: Page, server: ChatServer) -> None:
    output = server.web.get_output_channel()
    assert output is not None
    async with page:
        session = await page.open()
        await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(output.send_text_message(session, "您的包裹到了"), server._loop)
        )
        await asyncio.sleep(0.2)
        assert [reply["text"] for reply in page.replies] == ["您的包裹到了"]


@pytest.mark.parametrize("path", ["/chat", "/chat/"])
def test_the_page_is_served_and_runs_no_inline_script(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "<script>" not in answer.text
    assert " style=" not in answer.text
    assert " on" + "click=" not in answer.text


@pytest.mark.parametrize("name", sorted(p.relative_to(CHAT).as_posix() for p in CHAT.rglob("*.js")))
def test_scripts_have_a_type_that_browsers_run(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/chat/static/{name}")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.get(f"/chat/static/{name}", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "../../credentials.yml",
        "..%2f..%2fcredentials.yml",
        "%2e%2e/%2e%2e/kefu/settings.py",
        "/etc/passwd",
        "vendor/",
        "no.js",
    ],
)
def test_nothing_outside_the_page_is_served(server: ChatServer, path: str) -> None:
    import socket

    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:  # a client would tidy the path
        raw.sendall(f"GET /chat/static/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        status = raw.makefile("rb").readline()
    assert status.split()[1] == b"404"


def test_the_session_tells_the_shop_and_signs_nobody_in(client: httpx.Client) -> None:
    session = client.get("/chat/session").json()
    assert session["shop"]["name"] == "青禾优选"
    assert session["demo"] is False
    assert "customer_token" not in session


def test_in_demo_mode_the_session_signs_the_demo_customer_in(
    client: httpx.Client, fresh_settings: pytest.MonkeyPatch
) -> None:
    fresh_settings.delenv("KEFU_CHANNEL_SECRET")
    fresh_settings.setenv("KEFU_DEMO", "1")
    settings.cache_clear()
    session = client.get("/chat/session").json()
    assert session["demo"] is True
    assert identity.verify(session["customer_token"]) == "demo"
    assert isinstance(session["orders"], list)


def test_rasa_opens_the_channels_from_the_credentials() -> None:
    path = Path(__file__).parents[2] / "credentials.yml"
    assert set(yaml.safe_load(path.read_text())) == {
        "components.channels.rest.KefuRestInput",
        "components.channels.web.WebInput",
        "components.channels.metrics.MetricsInput",
    }
    channels = create_http_input_channels(None, str(path))
    assert [type(channel) for channel in channels] == [KefuRestInput, WebInput, MetricsInput]
    assert [channel.name() for channel in channels] == ["rest", "socketio", "metrics"]
    assert [channel.url_prefix() for channel in channels[1:]] == ["/chat", "/metrics"]
    assert channels[1].session_persistence
