"""What a customer's words ask to be done, and why: plain patterns, used only after the intent is known.

A request that changes something is carried out at once when it is said as one (帮我取消); a question about it
(能取消吗) is answered, and carried out when she agrees.
"""

from __future__ import annotations

import re

DO, ASK, CHECK, WITHDRAW = "do", "ask", "check", "withdraw"

_WITHDRAW = re.compile(
    r"撤[销回掉了]|作废|(?<!要)不(退|换|修)(货|款)?了|(退|换)(货|款)?不(退|换)了|(申请|售后).{0,6}(点错|不小心|取消)"
)
_CHECK = re.compile(
    r"(取消|拦截|拒收|申请|退掉?|过).{0,5}(了没|没有?[啊呀]?$|成功|了吗|了么|好了)|看到了没|过没过|没反应|审核|还写着|还写待|加快"
)
_ASK = re.compile(
    r"[吗么嘛不没][?？]?$|[?？]|能不能|可不可以|可以.{0,8}[不吗么]|怎么|咋|如何|哪里|在哪|为啥|为什么|还是"
)
_DO = re.compile(
    r"帮我|帮忙|给我|麻烦|赶紧|赶快|快点|直接|取消吧|退掉吧|取消取消|别发|不要发|不要送|申请一下|退我|要差价"
)
_FAULT = re.compile(
    r"坏|破|裂|漏|碎|断|掉(漆|色|毛|皮|渣)|涂层|脱(落|线|胶)|开(线|胶)|异响|异味|故障|质量|不(转|亮|响|通电|制冷|加热|启动|工作|好使|工作了)"
    r"|没反应|打不开|开不了|充不(进|上)|连不上|死机|黑屏|花屏|闪退|跳闸|漏电|发霉|胀包|变质|过期|异物|生虫|瑕疵|污渍|划痕|磨损|线头|起球"
    r"|发错|错发|少(了|发|件)|漏发|缺(件|了|少)|没收到|不是我(买|拍|要)的|货不对|假货|不一样|broken|damaged|faulty|defect|wrong|missing",
    re.IGNORECASE,
)
_OWN_CHOICE = re.compile(
    r"不喜欢|不想要|不要了|不合适|不需要|用不(上|着)|买(多|错|重)|拍(多|错|重)|后悔|(太|有点|有些|偏)(大|小|长|短|贵|重|厚|薄|紧|松|肥|瘦)|大了|小了"
    r"|(大|小)一?码|尺码|尺寸|颜色|色差|号(大|小)|没理由|无理由|别处.*便宜|降价"
    r"|too (big|small|large)|changed my mind|don'?t (want|need)",
    re.IGNORECASE,
)
_LEAVE = re.compile(
    r"^(那|嗯|哦|唉|行吧)?[，, ]*(算了|不(退|换|修|办|弄|申请)了|先不(退|换|修|弄|办|了)|不用了|不必了|免了"
    r"|取消申请|别(退|换|弄)了|不麻烦了|改天再说|下次再说|never ?mind|forget it|cancel that)",
    re.IGNORECASE,
)


def wish(text: str) -> str:
    """DO, ASK, CHECK or WITHDRAW: how a request to cancel, or for the price difference, is meant."""
    words = text.strip()
    if _WITHDRAW.search(words):
        return WITHDRAW
    if _CHECK.search(words):
        return CHECK
    if _ASK.search(words) and not _DO.search(words):
        return ASK
    return DO


def fault(text: str | None) -> bool | None:
    """Whether a reason names a fault or the shop's mistake; False for her own choice, None where it names neither."""
    if not text:
        return None
    if _FAULT.search(text):
        return True
    return False if _OWN_CHOICE.search(text) else None


def leaves(text: str) -> bool:
    """Whether she drops the matter: 算了, 不退了."""
    return bool(_LEAVE.search(text.strip()))


def wants_interception(text: str) -> bool:
    """Whether she asks to have the parcel stopped or will refuse it."""
    return bool(re.search(r"拦|截|拒收|不签收|追回|退回", text))
