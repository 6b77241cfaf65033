"""Writes the reply of a strategy from facts and passages, checks it, and falls back to hand-written templates.

>>> responder = load_responder(settings())
>>> responder.reply(ReplyRequest("greet", "greet", "neutral", "connect", {}, [], [("user", "在吗")])).text
"""

from kefu.generation.engine import Engine
from kefu.generation.guard import Guard, Verdict
from kefu.generation.request import Reply, ReplyRequest
from kefu.generation.responder import Responder, load_responder
from kefu.generation.templates import Templates

__all__ = ["Engine", "Guard", "Reply", "ReplyRequest", "Responder", "Templates", "Verdict", "load_responder"]
