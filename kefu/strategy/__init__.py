"""Chooses the dialogue strategy of the next reply, and whether there is to be one.

>>> rules = read_rules(Path("data/strategy_rules.yml"))
>>> model = StrategyModel.train(list(read_dialogues([Path("data/dialogues")])), rules, TrainingArguments())
>>> model.score(History([Message("user", "都五天了钱怎么还没退回来", {"ask_refund_status": 0.9}, {"angry": 0.8})])).best
"""

from kefu.strategy.arguments import TrainingArguments
from kefu.strategy.exploration import Choice, Exploration, choose
from kefu.strategy.history import AGENT, OUTCOMES, USER, History, Message
from kefu.strategy.model import Scores, StrategyModel
from kefu.strategy.rules import Rules, read_rules

__all__ = [
    "AGENT",
    "Choice",
    "Exploration",
    "History",
    "Message",
    "OUTCOMES",
    "Rules",
    "Scores",
    "StrategyModel",
    "TrainingArguments",
    "USER",
    "choose",
    "read_rules",
]
