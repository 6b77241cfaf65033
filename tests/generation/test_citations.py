from __future__ import annotations

from kefu.generation import Responder, Templates
from kefu.generation.citations import cited
from kefu.generation.guard import Guard
from kefu.knowledge import Passage

FEE = Passage("fee", "运费", "一单满59元包邮，不满59元收6元运费，结算页会自动算好。")
SEND = Passage("send", "发货", "现货每天16:00前付款的，当天从苏州仓发出；16:00以后付款的，第二天发。")
SLOT = Passage("slot", "时段", "下单页配送时间里可以选时段，比如工作日、周末或晚上，快递会尽量照着派。")
ALL = [FEE, SEND, SLOT]


def test_what_the_reply_says_comes_first(ask):
    request = ask(passages=ALL)
    assert cited("现货16:00前付款的，当天从苏州仓发出。", request) == ("send", "fee")
    assert cited("可以选时段，比如工作日、周末或晚上。", request) == ("slot", "fee", "send"), "also beyond the second"
    both = "一单满59元包邮，结算页会自动算好。现货每天16:00前付款的，当天从苏州仓发出。"
    assert cited(both, ask(passages=[SLOT, FEE, SEND])) == ("send", "fee", "slot")


def test_what_was_only_shown_follows(ask):
    assert cited("麻烦报一下订单号，我来查。", ask(passages=ALL)) == ("fee", "send")
    assert cited("", ask(passages=ALL)) == ("fee", "send") and cited("好的。", ask()) == ()


def test_strategies_without_knowledge_cite_nothing(ask):
    assert cited(FEE.text, ask(strategy="manage_emotion", passages=ALL)) == ()


def test_a_template_that_passes_over_a_passage_does_not_cite_it_first(ask):
    responder = Responder(None, Guard(()), Templates(()))
    said = [("agent", FEE.text), ("user", "还有呢，怎么发货")]
    made = responder.reply(ask(intent="ask_delivery_time", passages=ALL, turns=said))
    assert made.text.startswith("现货每天16:00前") and made.passages == ("send", "fee")
