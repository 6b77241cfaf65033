from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from rasa.core.channels.channel import UserMessage

from components.channels import page as chat_page
from tests.chat_server import ChatServer

SHOTS = os.environ.get("CHAT_SCREENSHOTS")  # a folder; scripts/screenshot.sh sets it
BOT = ".message-bot[data-id]"


def say(page: Any, text: str) -> None:
    page.fill("#input", text)
    page.press("#input", "Enter")


def queue_is_empty(page: Any) -> None:
    for _ in range(200):  # wait_for_function() asks again from within the page, whose policy forbids that
        if page.evaluate("JSON.parse(localStorage['kefu.chat.1']).queue.length === 0"):
            return
        page.wait_for_timeout(50)
    raise AssertionError("the queue did not empty in 10 s")


def test_three_messages_are_answered(page: Any, server: ChatServer) -> None:
    for number, text in enumerate(("在吗", "我的包裹呢", "好的 谢谢"), start=1):
        say(page, text)
        expect(page.locator(BOT)).to_have_count(number)
    assert server.texts() == ["在吗", "我的包裹呢", "好的 谢谢"]
    assert page.locator(f"{BOT} .bubble").all_inner_texts() == [f"收到：{text}" for text in server.texts()]
    assert page.locator("#input").input_value() == ""
    expect(page.locator("#typing")).to_be_hidden()
    assert page.errors == []


def test_chips_start_a_conversation(page: Any, server: ChatServer) -> None:
    page.click("#chips button:has-text('查物流')")
    expect(page.locator(BOT)).to_have_count(1)
    assert server.texts() == ["帮我查一下物流到哪了"]


def test_the_typing_sign_stands_until_the_turn_ends(page: Any, server: ChatServer) -> None:
    gate: asyncio.Queue[str] = asyncio.Queue()

    async def two_parts(message: UserMessage) -> None:
        for _ in range(2):
            part = await gate.get()
            await message.output_channel.send_text_message(message.sender_id, part, message_id=part)

    server.bot = two_parts
    say(page, "在吗")
    expect(page.locator("#typing")).to_be_visible()
    server.do(gate.put("一"))
    expect(page.locator(BOT)).to_have_count(1)
    expect(page.locator("#typing")).to_be_visible()
    server.do(gate.put("二"))
    expect(page.locator(BOT)).to_have_count(2)
    expect(page.locator("#typing")).to_be_hidden()


def test_thumbs_and_corrections_reach_the_server(page: Any, server: ChatServer) -> None:
    say(page, "运费多少")
    reply = page.locator(BOT)
    message_id = reply.get_attribute("data-id")
    reply.get_by_label("没帮助").click()
    expect(reply.get_by_label("没帮助")).to_have_attribute("aria-pressed", "true")
    expect(reply.locator(".said")).to_have_text("已记下，谢谢您")
    reply.get_by_label("客服的回答").check()
    reply.locator("textarea").fill("满59元包邮")
    reply.get_by_role("button", name="提交").click()
    expect(reply.locator("form")).to_have_count(0)
    queue_is_empty(page)
    feedback = [message.metadata["feedback"] for message in server.received[1:]]
    assert feedback == [
        {"message_id": message_id, "thumb": "down"},
        {"message_id": message_id, "correction": "满59元包邮", "target": "reply"},
    ]
    page.reload()
    expect(page.locator(BOT).get_by_label("没帮助")).to_have_attribute("aria-pressed", "true")


def test_feedback_that_was_not_stored_says_so(page: Any, server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    say(page, "运费多少")
    reply = page.locator(BOT)
    expect(reply).to_have_count(1)

    async def broken(message: UserMessage) -> None:
        raise RuntimeError("no database")

    monkeypatch.setattr(server, "handle_message", broken)
    reply.get_by_label("有帮助").click()
    expect(reply.locator(".said")).to_have_text("没有存上，请再试一次")
    expect(reply.get_by_label("有帮助")).to_have_attribute("aria-pressed", "false")


def test_stars_are_offered_at_the_end_and_sent(page: Any, server: ChatServer) -> None:
    async def close(message: UserMessage) -> None:
        await message.output_channel.send_text_message(
            message.sender_id, "再见，祝您生活愉快", message_id="bye", strategy="thank_and_close"
        )

    server.bot = close
    say(page, "没事了")
    page.get_by_label("4星，满意").click()
    expect(page.locator(".rating .hint")).to_contain_text("感谢您的评价")
    queue_is_empty(page)
    assert server.received[-1].metadata["feedback"] == {"message_id": "bye", "rating": 4}


def test_markup_is_shown_as_text(page: Any, server: ChatServer) -> None:
    attack = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"

    async def echo(message: UserMessage) -> None:
        output = message.output_channel
        await output.send_text_message(message.sender_id, attack, message_id="m1")
        image = {"image": "javascript:document.title='owned'", "message_id": "m2"}
        await output.send_response(message.sender_id, image)

    server.bot = echo
    say(page, attack)
    expect(page.locator(BOT)).to_have_count(2)
    assert page.locator(".bubble").nth(1).inner_text() == attack
    assert page.locator(BOT).first.locator(".bubble").inner_text() == attack
    assert page.locator(".bubble img, .bubble script, .bubble [href]").count() == 0
    page.reload()
    expect(page.locator(BOT)).to_have_count(2)
    assert page.title() == "在线客服 · 青禾优选"


def test_enter_that_picks_a_word_does_not_send(page: Any, server: ChatServer) -> None:
    page.fill("#input", "退kuan")
    for event in ("{key: 'Enter', isComposing: true}", "{key: 'Enter', keyCode: 229}"):
        page.evaluate(
            f"input.dispatchEvent(new KeyboardEvent('keydown', {{...{event}, bubbles: true, cancelable: true}}))"
        )
    page.press("#input", "Shift+Enter")
    assert page.locator(".message-user").count() == 0
    assert page.locator("#input").input_value() == "退kuan\n"
    page.press("#input", "Enter")
    expect(page.locator(BOT)).to_have_count(1)
    assert server.texts() == ["退kuan"]


def test_a_broken_connection_resends_once_and_brings_the_reply(page: Any, server: ChatServer) -> None:
    gate: asyncio.Queue[str] = asyncio.Queue()

    async def slow(message: UserMessage) -> None:
        text = await gate.get()
        await message.output_channel.send_text_message(message.sender_id, text, message_id="late")

    server.bot = slow
    say(page, "在吗")
    expect(page.locator("#typing")).to_be_visible()
    page.context.set_offline(True)
    server.do(server.cut_connections())
    expect(page.locator("#offline")).to_be_visible()
    server.do(gate.put("让您久等"))
    page.context.set_offline(False)
    expect(page.locator(BOT)).to_have_count(1, timeout=15_000)
    queue_is_empty(page)
    assert server.texts() == ["在吗"]
    assert page.locator(".message-user").count() == 1


def test_what_is_written_offline_is_sent_when_back(page: Any, server: ChatServer) -> None:
    page.context.set_offline(True)
    server.do(server.cut_connections())
    expect(page.locator("#offline")).to_be_visible()
    say(page, "隧道里写的")
    expect(page.locator(".message-user .state")).to_have_text("等待网络恢复")
    page.context.set_offline(False)
    expect(page.locator(BOT)).to_have_count(1, timeout=15_000)
    assert server.texts() == ["隧道里写的"]
    expect(page.locator("#offline")).to_be_hidden()
    expect(page.locator(".message-user .state")).to_have_text("")


def test_a_page_that_could_not_ask_for_the_shop_asks_again(page: Any, server: ChatServer) -> None:
    refused = []

    def refuse_once(route: Any) -> None:
        if refused:
            route.continue_()
        else:
            refused.append(route)
            route.abort()

    page.route("**/chat/session", refuse_once)
    page.reload()
    expect(page.locator("#presence")).to_have_attribute("data-state", "online")
    expect(page.locator("#chips button")).to_have_count(4, timeout=15_000)
    say(page, "查订单")
    expect(page.locator(BOT)).to_have_count(1)
    assert server.received[-1].metadata == {"customer_id": "demo"}


def test_history_and_session_outlive_a_reload(page: Any, server: ChatServer) -> None:
    say(page, "在吗")
    expect(page.locator(BOT)).to_have_count(1)
    page.reload()
    expect(page.locator(BOT)).to_have_count(1)
    expect(page.locator("#presence")).to_have_attribute("data-state", "online")
    say(page, "还在吗")
    expect(page.locator(BOT)).to_have_count(2)
    assert len({message.sender_id for message in server.received}) == 1


def test_a_new_conversation_forgets_the_old_one(page: Any, server: ChatServer) -> None:
    say(page, "在吗")
    expect(page.locator(BOT)).to_have_count(1)
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#clear")
    expect(page.locator(BOT)).to_have_count(0)
    say(page, "换个问题")
    expect(page.locator(BOT)).to_have_count(1)
    assert len({message.sender_id for message in server.received}) == 2


def test_a_shops_token_signs_in_and_leaves_the_address_bar(page: Any, server: ChatServer) -> None:
    from components.channels import identity

    token = identity.sign("c-42", identity.channel_secret())
    page.goto("about:blank")
    page.goto(f"{server.url}/chat#token={token}")
    say(page, "查订单")
    expect(page.locator(BOT)).to_have_count(1)
    assert server.received[-1].metadata == {"customer_id": "c-42"}
    assert page.url == f"{server.url}/chat"


def test_the_demo_lists_orders_to_try(page: Any, server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    order = {"order_id": "202611187734920615", "product": "蒸锅", "order_state": "运输中"}
    monkeypatch.setattr(chat_page, "demo_orders", lambda: [order])
    page.reload()
    page.click("#demo summary")
    page.click("#demo-orders button")
    assert page.locator("#input").input_value() == "订单号202611187734920615"
    page.press("#input", "Enter")
    expect(page.locator(BOT)).to_have_count(1)
    assert server.received[-1].metadata == {"customer_id": "demo"}


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_no_width_scrolls_sideways(page: Any, server: ChatServer, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    say(page, "https://example.com/" + "a" * 300)
    expect(page.locator(BOT)).to_have_count(1)
    page.click("[data-correct]")
    page.click("#rate")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.scrollHeight") <= 700
    assert page.evaluate("document.querySelector('.top').getBoundingClientRect().top") >= 0
    wide = page.evaluate(
        "[...document.querySelectorAll('.log *, .composer *, .top *')]"
        ".filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.className)"
    )
    assert wide == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page: Any, server: ChatServer, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    say(page, "在吗")
    expect(page.locator(BOT)).to_have_count(1)
    page.click("#rate")
    pairs = page.evaluate(CONTRASTS)
    assert len(pairs) > 8
    assert {name: round(ratio, 2) for name, ratio in pairs if ratio < 4.5} == {}


def test_still_for_those_who_ask_for_less_motion(page: Any) -> None:
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.querySelector('.dots i')).animationName") == "none"


def test_everything_to_press_has_a_name_and_room_for_a_thumb(page: Any, server: ChatServer) -> None:
    say(page, "在吗")
    expect(page.locator(BOT)).to_have_count(1)
    page.click("#rate")
    small = page.evaluate(
        "[...document.querySelectorAll('button')].filter((b) => b.offsetParent).filter((b) => b.offsetHeight < 36 "
        "|| b.offsetWidth < 36 || !(b.textContent.trim() || b.ariaLabel)).map((b) => b.outerHTML.slice(0, 80))"
    )
    assert small == []
    assert page.locator("#log").get_attribute("aria-live") == "polite"


@pytest.mark.skipif(SHOTS is None, reason="makes docs/chat.png: CHAT_SCREENSHOTS=<folder>")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screenshot(page: Any, server: ChatServer, scheme: str) -> None:
    lines = {
        "三天了还在路上 周末前能到吗": [
            "让您等了三天，换谁都着急，实在抱歉。我这就看包裹到哪了。",
            "包裹今早到了杭州转运中心，预计11月24日送达，赶得上周末。",
        ],
        "那就好 谢谢": ["不客气。派送时会先给您打电话，到时候有事随时找我。"],
    }

    async def actor(message: UserMessage) -> None:
        for part in lines[message.text]:
            await message.output_channel.send_text_message(message.sender_id, part, strategy="inform")

    server.bot = actor
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 780})
    expect(page.locator("#chips button")).to_have_count(4, timeout=30_000)
    for count, text in zip((2, 3), lines):
        say(page, text)
        expect(page.locator(BOT)).to_have_count(count)
    page.locator(BOT).nth(1).get_by_label("有帮助").click()
    expect(page.locator(".said").nth(1)).to_have_text("已记下，谢谢您")
    page.wait_for_timeout(400)
    name = "chat.png" if scheme == "light" else f"chat-{scheme}.png"
    page.screenshot(path=str(Path(str(SHOTS)) / name))


# For each text on the page: the WCAG contrast of its colour against the nearest opaque ground behind it.
CONTRASTS = """
(() => {
  const rgb = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = (c) => {
    const [r, g, b] = rgb(c).map((v) => ((v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (rgb(c).length < 4 || rgb(c)[3] === 1) return c;
    }
    return getComputedStyle(document.documentElement).backgroundColor;
  };
  const out = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.offsetParent || e.closest(".unseen, noscript, template")) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
    out.push([`${e.tagName}.${e.className}:${e.textContent.slice(0, 8)}`, (a + 0.05) / (b + 0.05)]);
  }
  return out;
})()
"""
