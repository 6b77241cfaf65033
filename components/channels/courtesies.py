"""What the channel itself says: the apology for a failed turn, the invitation after an empty message."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

CHAT = Path(__file__).resolve().parents[2] / "console" / "chat"
_CHINESE = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_LATIN_WORD = re.compile(r"[A-Za-z]{2,}")

APOLOGY = {
    "zh": "抱歉，我这边刚才没有处理好，麻烦您过一会儿再发一次。着急的话可以打客服热线{hotline}（{hours}）。",
    "en": "Sorry, something went wrong on our side. Please send your message again in a moment, "
    "or call us on {hotline} ({hours}).",
}
INVITATION = {
    "zh": "我在的，您请说。查物流、问退款、退换货或者商品问题，直接告诉我就好。",
    "en": "I'm here. Tell me what you need: a delivery, a refund, a return or a question about a product.",
}


@lru_cache(maxsize=1)
def shop() -> dict[str, Any]:
    """The shop's name, hotline, opening hours and quick-start chips: ``console/chat/shop.json``."""
    loaded: dict[str, Any] = json.loads((CHAT / "shop.json").read_text(encoding="utf-8"))
    return loaded


def language(text: str) -> str | None:
    """``zh`` or ``en``; None where the text does not tell (digits, emoji, a lone word such as "ok")."""
    if _CHINESE.search(text):
        return "zh"
    return "en" if len(_LATIN_WORD.findall(text)) >= 2 else None


def apology(language: str) -> str:
    """For a turn that failed or was not answered."""
    return APOLOGY[language].format(hotline=shop()["hotline"], hours=shop()["hours"])


def invitation(language: str) -> str:
    """For a message without any text."""
    return INVITATION[language]
