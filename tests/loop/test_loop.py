"""The whole loop on real models: misread, corrected, retrained, read right by the running server."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = [pytest.mark.models, pytest.mark.timeout(1200)]
# Said in words that no example uses, each with what it means.
RIDDLES = {
    "俺那宝贝疙瘩溜达到哪疙瘩去了": "track_delivery",
    "快告诉我它爬到第几站了": "track_delivery",
    "麻溜儿把银子吐出来": "request_refund",
    "公司会计催我要那张纸": "request_invoice",
    "架子上还剩几个呀": "ask_stock",
    "银两几时归还于我，货也不必寄了": "request_refund",
}
KEFU = (sys.executable, "-c", "from kefu.cli import main; main()")


def ask(url: str, text: str) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
    """(sender, how the running server read the message, its replies)."""
    sender = uuid.uuid4().hex
    replies = httpx.post(f"{url}/webhooks/rest/webhook", json={"sender": sender, "message": text}, timeout=60).json()
    read = httpx.get(f"{url}/conversations/{sender}/tracker", timeout=60).json()["latest_message"]
    return sender, read, replies


def test_a_correction_reaches_the_running_server(servers: str, project: Path, run: Any) -> None:
    misread = [(text, right) for text, right in RIDDLES.items() if ask(servers, text)[1]["intent"]["name"] != right]
    assert misread, "every riddle was read right; add a harder one"
    text, right = misread[0]
    sender, _, replies = ask(servers, text)
    assert replies and all(r["text"] for r in replies)
    told = {
        "sender": sender,
        "metadata": {"feedback": {"message_id": replies[0]["metadata"]["message_id"], "thumb": "down"}},
    }
    answer = httpx.post(f"{servers}/webhooks/rest/webhook", json=told, timeout=60).json()
    assert answer[0]["custom"]["feedback"] == "recorded"

    run(*KEFU, "feedback", "harvest")
    listed = json.loads(run(*KEFU, "feedback", "list", "--json", "--limit", "50").stdout)
    item = next(i for i in listed["items"] if i["text"] == text and i["thumb"] == "down")
    run(*KEFU, "feedback", "review", "--id", str(item["id"]), "--intent", right, "--emotion", "neutral")
    # Six intents and forty rows: one row is two points, so the contest is told what a row weighs.
    outcome = json.loads(run(*KEFU, "retrain", "--json", "--tolerance", "0.1", KEFU_RASA_URL=servers).stdout)

    assert outcome["promoted"], outcome["figures"]
    model = Path(outcome["model"]).name
    assert Path(httpx.get(f"{servers}/status", timeout=60).json()["model_file"]).name == model
    _, read, replies = ask(servers, text)
    assert read["intent"]["name"] == right
    assert replies and replies[0]["text"]
