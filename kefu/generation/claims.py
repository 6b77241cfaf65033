"""What a reply may only say if a fact bears it out: promises, things done, states of an order.

Each rule is a pattern with the facts that bear it out; one of them is enough. A claim that is denied (还没登记), put as
a condition (要是取消了), or tells what the customer did (您提交的) is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kefu.generation.request import USER, ReplyRequest
from kefu.generation.similarity import bigrams

_REFUND = ("refund_amount", "refund_state", "refund_date", "refund_eta", "refund_channel")
_CASES = ("ticket_id", "return_id", "exchange_id", "repair_id")
_DONE = r"(?:好了|妥了|上了|完了|成功|过去了|了(?!解|吗|么|没))"
_FOR = r"(?:[给为帮替跟向][^，。？！]{1,8}?)?"
_NOT = re.compile(r"(?:不|没|未|别|无法|勿|难|谁也)[^，。！？]{0,4}$")
_CONDITION = re.compile(
    r"(?:如果|要是|若|等|万一|一旦|只要|要不要|是不是|是否|可以|能|想|需要|先|记得|(?<!申)请您?|麻烦您?|建议您?)[^，。！？]{0,7}$"
)
_CUSTOMER = re.compile(r"(?<![给为帮替跟向让请])您(?:已经?|刚才?|之前|这边|自己)?[^，。！？给为帮替]{0,2}$")
# Strategies that speak of what the customer told; they may repeat a state that she reported.
_ECHO = frozenset({"restate", "clarify", "manage_emotion", "verify_identity", "greet"})


@dataclass(frozen=True)
class Claim:
    """A pattern, the fact keys that bear it out, and whether a passage with the matched word does so as well."""

    pattern: re.Pattern[str]
    keys: tuple[str, ...]
    passages: bool = False
    state: bool = False
    vow: bool = False


def _done(verbs: str, *keys: str) -> Claim:
    """Done by us: 已(为您)V, V好了, 给您V了, and the vow to do it at once: 马上为您V."""
    said = (rf"已经?{_FOR}(?:{verbs})", rf"(?:刚刚?|(?<![内后天时0-9])才){_FOR}(?:{verbs})", rf"(?:{verbs}){_DONE}")
    vowed = rf"(?:马上|立刻|立即|立马|这就){_FOR}(?:{verbs})"
    return Claim(re.compile("|".join((*said, vowed))), keys)


def _state(words: str, *keys: str) -> Claim:
    return Claim(re.compile(words), keys, passages=True, state=True)


def _promise(words: str, *keys: str) -> Claim:
    return Claim(re.compile(words), keys, passages=True, vow=True)


_CHANGED = ("address", "delivery_time", "install_time", "redeliver_by", "order_state", "return_deadline", "deadline",
            "invoice_title", "invoice_state", "station", "phone_tail")  # fmt: skip
_PAID_BACK = ("price_gap", "points", "balance", "coupon", "compensation")
_AT_ONCE = r"(?:马上|立刻|立即|立马|这就|现在就|直接|尽快)"

CLAIMS: tuple[Claim, ...] = (
    # promises
    _promise(r"终身|永久|永远|无限期|全额(?:退|赔)|免费送|白送|加倍|[两三四五十]倍(?!积分)"),
    _promise(r"(?i:(?<![a-z])(?:promise|guarantee|assure you|compensat|full refund|free of charge|double your))"),
    _promise(r"(?:您|先)*别(?:再|急着)?(?:打包票|打保票|担保|承诺)"),  # an echo of what she asked for
    _promise(r"保证|担保|打包票|包您|绝对|一定[能会给帮可到让]|肯定[能会给到]|必定|承诺|百分之?百|说到做到"),
    _promise(
        r"赔偿|赔付|赔您|赔给|补偿|补您|返现|双倍|免单|送您(?:一|个|张|份)", "compensation", "coupon", "price_gap"
    ),
    Claim(re.compile(_AT_ONCE + r"[^，。！？]{0,6}退(?:款|钱|给|您|到|回)"), ("refund_date", "refund_eta", "return_id")),  # noqa: E501
    _promise(
        r"回电|回个?电话|打给您|致电您|电话联系您|联系您|回复您|第一时间", "callback_by", "ticket_id", "install_time"
    ),
    # things done
    _done("取消|撤销|关闭订单", "order_state", *_REFUND, *_CASES),
    _done("退款|退钱|退回|退给|退到|打款|退了|批退", *_REFUND),
    _done("登记|提交|上报|备案|立案|建单|开单|申请|受理|审核通过",
          *_CASES, "callback_by", "refund_state", "invoice_state"),
    _done("加急|升级|优先", *_CASES, "callback_by", "redeliver_by", "invoice_eta"),
    _done("催(?!您)|催促|反馈给|转达|联系|通知|核实|交代", *_CASES, "callback_by", "redeliver_by", "latest_event"),
    _done("拦截|截住|截回|召回", "order_state", "latest_event", *_CASES),
    _done("补发|补寄|重发|换货|换新|寄新", "exchange_id", "tracking_no", "ticket_id"),
    _done("改|改好|改成|改约|修改|更新|换绑|解绑|恢复|延长|延后", *_CHANGED, *_CASES),
    _done("开票|开具|重开|换开", "invoice_state", "invoice_type", "invoice_title", "invoice_eta"),
    _done("预约|约好|安排|派单|派师傅|派人", "install_time", "redeliver_by", "callback_by", *_CASES),
    _done("转人工|转接|接入人工|排上?人工|转给|转交|转过去", "ticket_id", "callback_by", "hotline", "hours"),
    _done("补差|补退|到账|发放|充值|补上", *_REFUND, *_PAID_BACK),
    # states
    _state(r"已经?(?:发货|发出|寄出|出库|出仓|揽收)|(?:发货|发出|寄出|出库|出仓)了",
           "ship_time", "tracking_no", "latest_event", "order_state"),
    _state(r"已经?(?:签收|送达|送到|妥投)|(?:签收|送达|送到)了",
           "signed_time", "signed_by", "latest_event", "order_state", "station"),
    _state(r"有现?货|没货|无货|缺货|断货|售罄|卖完|卖光|补货", "stock_state", "restock_date"),
    _state(r"降价|涨价|打折|优惠价|包邮|免邮",
           "price", "old_price", "price_gap", "promotion", "coupon", "shipping_fee"),
)  # fmt: skip


def _denied(clause: str) -> bool:
    return bool(_NOT.search(clause) or _CONDITION.search(clause) or _CUSTOMER.search(clause))


def unproven(text: str, request: ReplyRequest, passages: Sequence[str]) -> list[str]:
    """The claims of ``text`` that neither a fact nor, where that may do, a passage bears out, as they are worded."""
    found: list[str] = []
    echo = request.strategy in _ECHO
    told = " ".join(said for speaker, said in request.turns if speaker == USER) if echo else ""
    for claim in CLAIMS:
        if claim.state and echo:
            continue
        if any(str(request.facts.get(key) or "").strip() for key in claim.keys):
            continue
        for match in claim.pattern.finditer(text):
            clause = re.split(r"[，。！？；,!?;]", text[: match.start()])[-1]
            after = text[match.end() : match.end() + 8]
            if _denied(clause) or re.match(r"[^，。！]{0,3}(?:不了|没|吗|么|？)", after):
                continue
            if claim.state and re.match(r"了?[^，。！]{0,5}(?:会|提醒)", after):  # 降价了会提醒您
                continue
            if match[0].rstrip("了")[-2:] in told and not (claim.vow and "您" not in text and "？" not in text):
                continue
            if claim.passages and any(match[0] in passage or match[0][-2:] in passage for passage in passages):
                continue
            found.append(match[0])
    return found


_MODAL = r"(?:能|可以|支持|可|需要|参加|享受)"


def _polarities(text: str) -> tuple[set[str], set[str]]:
    """(two-character words under a modal verb, the same under a denied one)."""
    yes: set[str] = set()
    no: set[str] = set()
    for match in re.finditer(rf"(不|没法|无法|没有?|无需|别)?(?<!只)(?<!才){_MODAL}[^，。；！？不没]{{0,6}}", text):
        pairs = {match[0][i : i + 2] for i in range(len(match[0]) - 1)}
        words = {w for w in pairs if re.fullmatch(r"[\u4e00-\u9fff]{2}", w) and not re.search(_MODAL, w)}
        (no if match[1] else yes).update(words)
    return yes, no


def contradicted(text: str, passages: Sequence[str]) -> list[str]:
    """Words that ``text`` says can be done where the passages only say that they cannot, and the reverse."""
    source_yes, source_no = _polarities(" ".join(passages))
    yes, no = _polarities(text)
    only_no, only_yes = source_no - source_yes, source_yes - source_no
    skip = {"您的", "一下", "这个", "我们", "不了", "的话"}
    return sorted(
        ((yes - no) & only_no - skip)
        | ((no - yes) & only_yes - skip)
        | _denied_anew(text, passages)
        | _refused_anew(text, passages)
    )


def _only_when(word: str, source: str) -> bool:
    """Whether the sources name the word as a condition alone: 确认收货后; that it is not met yet contradicts nothing."""  # noqa: E501
    named = re.findall(re.escape(word) + r"([^，。；！？]{0,5})", source)
    return all(re.search(r"后|前|才|以后", rest) for rest in named)


_DENIAL = r"(?:不|没有?|无)"


def _denied_anew(text: str, passages: Sequence[str]) -> set[str]:
    """Words that ``text`` denies outright and the passages name without ever denying them: 没免息 of 是否免息."""
    source = " ".join(passages)
    denied = {m[1] for m in re.finditer(_DENIAL + r"([\u4e00-\u9fff]{2})", text)}
    return {
        w
        for w in denied
        if w in source and not re.search(_DENIAL + r"[^，。；！？]{0,3}" + w, source) and not _only_when(w, source)
    }


# A fact's value that says a thing is still under way, and words that say it is done.
_UNDER_WAY = (
    (
        "refund_state",
        re.compile(r"中$|等待|待|未|审核"),
        re.compile(
            r"(?:已经?|都)(?:退款|退到|退回|打款|到账|退给)|(?:到账|打款)了|退款(?:成功|完成|已完成|好了)|验收(?:已经?)?通过了"
        ),
    ),
    (
        "order_state",
        re.compile(r"待付款|待发货|已取消|审核中"),
        re.compile(r"已经?(?:发货|发出|寄出|签收|送达)|(?:签收|送达)了"),
    ),
)


def belied(text: str, facts: Mapping[str, str]) -> list[str]:
    """Words of ``text`` that say a thing is done whose fact says that it is not."""
    found = []
    for key, still, done in _UNDER_WAY:
        if not still.search(str(facts.get(key) or "")) or facts.get("refund_date"):
            continue
        for match in done.finditer(text):
            clause = re.split(r"[，。！？；,!?;]", text[: match.start()])[-1]
            if not (
                _denied(clause)
                or re.match(r"[^，。！]{0,3}(?:不了|没|吗|么|？|后|前|以后|之后|的话|就|会)", text[match.end() :])
            ):
                found.append(match[0])
    return found


_SOON = re.compile(
    r"(今天|今晚|今日|明天|明日|明早|后天|当天|下周|本周|月底|半小时|一会儿)[^，。！？；]{0,5}?"
    r"(?:到账|退给|退您|能退|退到|就到|就验|就退|就发|送到|能到|会到|发货|发出|上门|到您|给您)"
)


def undated(text: str, held: Sequence[str]) -> list[str]:
    """Days by which ``text`` says that something comes and that stand in no fact and no passage."""
    known = " ".join(held)
    found = []
    for match in _SOON.finditer(text):
        clause = re.split(r"[，。！？；,!?;]", text[: match.start()])[-1]
        denied = _denied(clause) or re.search(r"不|没|未|吗|？", match[0] + text[match.end() : match.end() + 4])
        if match[1] not in known and not denied:
            found.append(match[0])
    return found


_REFUSED = re.compile(r"(?:不|没法|无法)(?:能|可以?|支持|予|得|给)?(?:无理由)?([退换赔补送修寄])")
_ALLOWED = re.compile(r"(?:能|可以|支持|可|都|照样|随便|一律)[^，。；！？不没]{0,5}?([退换赔补送修寄])")


def _refused_anew(text: str, passages: Sequence[str]) -> set[str]:
    """Verbs that a clause of ``text`` allows for what a clause of the passages names and refuses: 拆封的食品可以退."""
    found: set[str] = set()
    clauses = [c for p in passages for c in re.split(r"[，。；！？]", p) if (r := _REFUSED.search(c)) and r]
    for said in re.split(r"[，。；！？]", text):
        for allowed in _ALLOWED.finditer(said):
            if re.search(r"不|没|吗|要是|如果|才", said):
                continue
            for clause in clauses:
                verbs = {m[1] for m in _REFUSED.finditer(clause)}
                shared = bigrams(said[: allowed.start()]) & bigrams(_REFUSED.split(clause)[0])
                if allowed[1] in verbs and len(shared) >= 2:
                    found.add(allowed[0])
    return found
