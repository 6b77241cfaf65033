"""What the after-sales form says. It asks for the least the customer can give, and differently each time."""

from __future__ import annotations

SERVICES = {
    "zh": {"return": "退货", "exchange": "换货", "refund": "退款", "repair": "报修"},
    "en": {"return": "return", "exchange": "exchange", "refund": "refund", "repair": "repair"},
}
FAREWELL = {
    "zh": "好的，那就先不办了。改主意了随时叫我，我接着帮您弄。",
    "en": "All right, I'll leave it for now. Just tell me if you change your mind.",
}
# First question, the same after something else was talked about, and once more.
ORDER_ID = {
    "zh": (
        "{service}我来帮您办。麻烦发一下订单号，在 我的订单 里能看到，也能复制。",
        "{service}这边还差个订单号，您方便的时候发我就行。",
        "有订单号我就能接着办{service}，找不到的话说一声“转人工”，让同事来核实。",
    ),
    "en": (
        "I'll help you with the {service}. Could you send me the order number? You'll find it under My Orders.",
        "For the {service} I still need the order number, whenever you have it at hand.",
        "With the order number I can go on with the {service}. If you can't find it, ask for a human agent.",
    ),
}
PHONE_TAIL = {
    "zh": (
        "收到。再报一下下单手机的后四位，核对是您本人就好。",
        "{service}还差下单手机的后四位，您发来我就接着办。",
        "就差手机后四位了，是下单时留的那个号码。",
    ),
    "en": (
        "Got it. And the last four digits of the phone you ordered with, please, so that I know it's you.",
        "For the {service} I still need the last four digits of the phone you ordered with.",
        "Only the last four digits of the phone are missing, the one given with the order.",
    ),
}
REASON = {
    "zh": (
        "{product}这单找到了。想{service}是因为什么？东西有问题的话，说说哪里不对。",
        "{service}就差一个原因，您简单说一句就行。",
        "您说一下{service}的原因，我这就给您提交。",
    ),
    "en": (
        "I've found the order. What is the reason for the {service}? If something is wrong with it, tell me what.",
        "For the {service} I only need the reason, a few words will do.",
        "Tell me the reason for the {service} and I'll submit it right away.",
    ),
}
FAULT = {
    "zh": (
        "{product}这单找到了。具体是什么毛病？有报错代码也告诉我。",
        "报修还差毛病的描述，您简单说说现象就行。",
        "说一下是怎么坏的，我这就给您登记。",
    ),
    "en": (
        "I've found the order. What exactly is wrong with it? Tell me the error code if there is one.",
        "For the repair I still need to know what is wrong, a few words will do.",
        "Tell me how it fails and I'll register the repair right away.",
    ),
}
NOTES = {
    "zh": {
        "mismatch": "订单号和手机尾号对不上，麻烦您再核对一下，下单时留的手机后四位是？",
        "no_such_order": "这个订单号没有查到，您再核对一下，从 我的订单 里复制最稳。",
        "order_id": "订单号在 我的订单 里点开那一单就有，长按可以复制发我。",
        "phone_tail": "是下单时留的那个手机号，报最后四位就行。",
        "reason": "比如不合适、买多了，或者哪里有毛病，随便说一句就行。",
        "options": "是{options}里的哪一件？报商品名或者订单号都行。",
    },
    "en": {
        "mismatch": "The order number and the phone don't match. Could you check the last four digits once more?",
        "no_such_order": "I couldn't find that order number. Could you copy it from My Orders?",
        "order_id": "You'll find the order number when you open the order under My Orders.",
        "phone_tail": "It's the phone given with the order; the last four digits are enough.",
        "reason": "It doesn't fit, you changed your mind, something is broken: a few words will do.",
        "options": "Which one is it: {options}? The name or the order number will do.",
    },
}
_QUESTIONS = {"order_id": ORDER_ID, "phone_tail": PHONE_TAIL, "reason": REASON}


def question(slot: str, service: str, asks: int, note: str | None, product: str, language: str) -> str:
    """The words that ask for the slot.

    Args:
        asks: how often it has been asked for.
        note: what went wrong with the last answer (mismatch, no_such_order), ``help`` where it answered nothing, or the
            articles to choose from.
    """
    words = {"service": SERVICES[language][service], "product": product or "您"}
    notes = NOTES[language]
    if note in ("mismatch", "no_such_order"):
        return notes[note]
    if note == "help":
        return notes[slot]
    if note:
        return notes["options"].format(options=note)
    texts = (FAULT if slot == "reason" and service == "repair" else _QUESTIONS[slot])[language]
    return texts[min(asks, len(texts) - 1)].format(**words)
