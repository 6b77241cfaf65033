"""GET /metrics on Rasa's server: messages, turns and readings for Prometheus.

The chat's port is often open to everyone, these figures need not be: without a token they are given to this machine
alone, and not through a proxy on it.
"""

from __future__ import annotations

import hmac
import ipaddress
from typing import Any

from rasa.core.channels.channel import InputChannel
from sanic import Blueprint, response
from sanic.request import Request
from sanic.response import HTTPResponse

from components.channels.turn import OnNewMessage
from kefu import metrics

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


class MetricsInput(InputChannel):
    """No channel for messages; channels are how Rasa 3.6 lets routes be added."""

    def __init__(self, token: str = "") -> None:
        """``token``: who sends ``Authorization: Bearer TOKEN`` gets the figures from anywhere."""
        self.token = token

    @classmethod
    def name(cls) -> str:
        """Rasa's name for the channel."""
        return "metrics"

    @classmethod
    def from_credentials(cls, credentials: dict[str, Any] | None) -> InputChannel:
        """From the channel's entry in ``credentials.yml``."""
        return cls(**(credentials or {}))

    def url_prefix(self) -> str:
        """Absolute, so that Rasa does not put it under /webhooks."""
        return "/metrics"

    def blueprint(self, on_new_message: OnNewMessage) -> Blueprint:
        """The one route."""
        routes = Blueprint("kefu_metrics", __name__)

        @routes.get("/")
        async def show(request: Request) -> HTTPResponse:
            if not self._admitted(request):
                return response.text("Set a token for MetricsInput in credentials.yml and send it.", status=403)
            return response.raw(metrics.exposition(), content_type=metrics.CONTENT_TYPE)

        return routes

    def _admitted(self, request: Request) -> bool:
        if self.token:
            sent = request.headers.get("authorization", "")
            return hmac.compare_digest(sent.encode(), f"Bearer {self.token}".encode())
        if any(name in request.headers for name in _FORWARDED):
            return False
        try:
            return ipaddress.ip_address(request.ip).is_loopback
        except ValueError:
            return False
