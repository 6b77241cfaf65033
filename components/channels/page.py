"""The chat page's files and what it asks at its start: GET /chat, /chat/static/<file>, /chat/session.

Only the files found in ``console/chat`` at start-up are served, so no path can lead out of that folder.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sanic import Blueprint, response
from sanic.request import Request
from sanic.response import HTTPResponse
from sqlalchemy.exc import SQLAlchemyError

from components.channels import identity
from components.channels.courtesies import CHAT, shop
from kefu.errors import KefuError
from kefu.settings import settings

logger = logging.getLogger(__name__)
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
_HOST = re.compile(r"[\w.\-\[\]:]+")


def add_page(routes: Blueprint, frame_ancestors: Sequence[str] = ()) -> None:
    """Adds the page's routes; ``frame_ancestors`` are the origins that may show it in a frame."""
    files = {path.relative_to(CHAT).as_posix(): path for path in CHAT.rglob("*") if path.suffix in CONTENT_TYPES}

    def serve(request: Request, name: str) -> HTTPResponse:
        headers = _headers(request.headers.get("host", ""), frame_ancestors)
        path = files.get(name)
        if path is None:
            return response.text("没有这个文件", status=404, headers=headers)
        body = path.read_bytes()
        headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if request.headers.get("if-none-match") == headers["ETag"]:
            return response.empty(status=304, headers=headers)
        return response.raw(body, headers=headers, content_type=CONTENT_TYPES[path.suffix])

    @routes.get("/")
    async def page(request: Request) -> HTTPResponse:
        return serve(request, "index.html")

    @routes.get("/static/<name:path>")
    async def static(request: Request, name: str) -> HTTPResponse:
        return serve(request, name)

    @routes.get("/session")
    async def session(_: Request) -> HTTPResponse:
        opening = {"shop": shop(), **(await demo_session() if settings().demo else {"demo": False})}
        return response.json(opening, headers={"Cache-Control": "no-store"}, ensure_ascii=False)


async def demo_session() -> dict[str, Any]:
    """{"demo": true, "customer_token", "orders"}: signs the demo customer in and lists her orders to try."""
    token = identity.sign(identity.DEMO_CUSTOMER, identity.channel_secret())
    orders = await asyncio.get_running_loop().run_in_executor(None, demo_orders)
    return {"demo": True, "customer_token": token, "orders": orders}


def demo_orders() -> list[dict[str, str]]:
    """The demo customer's orders, {"order_id", "product", "order_state"}; none where the demo shop is not there."""
    try:
        orders = _shop(settings().database).orders_of(identity.DEMO_CUSTOMER)
    except (KefuError, SQLAlchemyError) as error:  # the page works without these hints
        reason = str(error).splitlines()[0]
        logger.warning("The demo shop cannot be read, run `kefu shop seed`: %s", reason)
        return []
    return [{key: str(order.get(key, "")) for key in ("order_id", "product", "order_state")} for order in orders]


@lru_cache(maxsize=1)
def _shop(url: str) -> Any:
    from kefu.shop import Shop

    return Shop(url)


def _headers(host: str, frame_ancestors: Sequence[str]) -> dict[str, str]:
    # Browsers before 2022 do not count a WebSocket to the page's own host as 'self'.
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src 'self'{sockets}; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors {' '.join(frame_ancestors) or chr(39) + 'self' + chr(39)}"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
