"""The guard: fills a draft's placeholders and refuses the draft, with named reasons, unless it may be sent.

It reads nothing but the draft and the request, so that a reply that passes can be proven from them.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from kefu.errors import DataError, NotFound
from kefu.generation.claims import belied, contradicted, undated, unproven
from kefu.generation.foreign import (
    abuse,
    contacts,
    counsel,
    latin_run,
    markup,
    other_scripts,
    own_words,
    reads_english,
    strange_ids,
)
from kefu.generation.prompt import MARKS, fill, passage_texts, short_facts
from kefu.generation.quantities import unvouched
from kefu.generation.request import AGENT, USER, ReplyRequest, last_words
from kefu.generation.similarity import bigrams, similar
from kefu.plain_text import hidden

MIN_LENGTH, MAX_LENGTH = 4, 120
REASONS = (
    *("placeholder", "hidden", "markup", "length", "leak", "broken", "language", "sensitive", "number", "id"),
    *("contact", "promise", "counsel", "contradiction", "ungrounded", "identity", "repetition", "strategy"),
)
_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN = re.compile(r"[A-Za-z]")
# Links, and words that hold a digit: of no language.
_CODE = re.compile(r"\S+://\S+|\S*\d\S*")
_QUESTION = re.compile(
    r"[？?吗么呢吧]|哪|什么|多少|几|怎么|还是|是不是|有没有|能不能|方便|发我|发来|发全|告诉我|说说|说一下|拍"
    r"|给我|报一下|报个|留个|留一下|再发|再打|重打|复制过来|还差|打全|发一下|照一下|补个|您定|(.)不\1"
)
_ASKS_FOR_ID = re.compile(
    r"单号|订单|尾号|手机|后四位|号码|姓名|收货人|工单|核对|核实|截图|这串|报一下|账号|地址|[单那]的?号给我|号发"
    r"|哪[一张个]?[张个]?单|[报给]个?号|号(?:给|来|方便)|四位"
)
_HUMAN = re.compile(
    r"(?:我|这边|咱)(?:们|这边)?(?:就|也|可|其实|确实|真的?|当然)*(?:是|叫)(?:一?[名个位])?(?:真人|人工|活人|大活人|人类|真的人|真实的人|人(?![工力])|女生|男生|女孩|小姐姐|妹子|员工|主管|经理|店长|老板)"
    r"|(?:不是|哪是|又不是|才不是|并非)(?:什么|个|一个)?(?:机器人|智能客服|AI|程序|人工智能|自动回复|电脑)|如假包换|有血有肉|我[^，。！？]{0,3}不是[^，。！？]{0,2}机器|真人(?:客服)?(?:为您|给您)"
    r"|我(?:本人|自己)(?:就?是|也|在)|我[^，。！？]{0,4}下班|我(?:也|刚)?(?:吃(?:完|过)?饭|结婚|单身|今年\S{1,4}岁|老公|老婆|男朋友|女朋友|孩子|家里)|我有(?:男朋友|女朋友|孩子|家|老公|老婆|身份证|工号|感情|心跳|体温)"
    r"|(?<![a-z])I(?:'m|’m| am)\s+(?:\w+\s+){0,3}(?:human|person|woman|man|girl|guy)(?![a-z])|(?<![a-z])not\s+an?\s+(?:\w+\s+)?(?:bot|robot|machine|ai|program)(?![a-z])",  # noqa: E501
    re.I,
)
_FEEDBACK = re.compile(r"[？?吗么]|还有|评价|打个?分|解决|清楚|满意|别的|其他|尽管")
_CLAIMS_OF_FACT = frozenset({"inform", "resolve", "suggest", "continue_relationship"})
_UNITS_OF_FACT = frozenset({"元", "角", "日期", "时刻", "编号", "折"})
_LINK = re.compile(r"https?://[^\s\u3000-\u9fff\uff00-\uffef]+")
_MARKS = tuple(unicodedata.normalize("NFKC", mark) for mark in MARKS)
# Marks that come in pairs.
_PAIRS = (("“", "”"), ("「", "」"), ("（", "）"), ("《", "》"))
# Clauses that say the customer's numbers back, doubt or deny them: 等了五天, 15天不行, 是60天吗.
_ECHOED = re.compile(
    r"[^，。！？；,!?;]*(?:(?<![给为送帮退赔补到])您(?!的|看|放|好)|等了|过了|了[一-九两几\d]|不|没|未|别|无(?!理由)|难|吗|超|才|要是|如果|万一)[^，。！？；,!?;]*|[^，。！？；]*？"
)
_GROUNDED_SHARE = 0.12
_ADMITS = re.compile(
    r"不敢|给不了|说不[准好死]|没公布|没定|还没定|查不[到出]|不知道|没权限|不好[说瞎]|不清楚|没有(?:新的|日期|消息)|定不了"
)
_SHARED_WORDS = frozenset(
    {"hi", "hello", "hey", "ok", "okay", "yes", "no", "bye", "thx", "thanks", "app", "sku", "vip"}
)


@dataclass(frozen=True)
class Verdict:
    """What became of a draft: the text to send, and why it must not be sent (empty where it may)."""

    text: str
    reasons: tuple[str, ...]
    details: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.reasons


def writes_english(turns: Sequence[tuple[str, str]]) -> bool:
    """Whether the customer writes English. A lone hello or ok decides nothing: her turn before it does."""
    for speaker, text in reversed(turns):
        if speaker != USER:
            continue
        if _HAN.search(text):
            return False
        words = re.findall(r"[A-Za-z']{2,}", _CODE.sub(" ", text))
        if len(words) >= 2 and not all(w.lower() in _SHARED_WORDS for w in words):
            return True
    return False


def read_words(path: Path) -> tuple[str, ...]:
    """The words of a list file: one a line, ``#`` begins a remark.

    Raises:
        NotFound: the file is not there.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise NotFound(f"There is no list of sensitive words at {str(path)!r}; an empty file will do.") from None
    return tuple(word.lower() for line in lines if (word := line.split("#")[0].strip()))


class Guard:
    """Checks drafts against their request. Safe to share between threads."""

    def __init__(self, sensitive: Collection[str] = ()) -> None:
        self._sensitive = tuple(sensitive)
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    @classmethod
    def load(cls, data_dir: Path) -> Guard:
        """With the words of ``shop/sensitive_words.txt`` below ``data_dir``."""
        return cls(read_words(data_dir / "shop" / "sensitive_words.txt"))

    @property
    def counts(self) -> dict[str, int]:
        """How often each reason was given since the start; ``passed`` counts the drafts without one."""
        with self._lock:
            return dict(self._counts)

    def check(self, draft: str, request: ReplyRequest) -> Verdict:
        """The verdict on a draft as the model wrote it, placeholders by name."""
        verdict = self._judge(draft.strip(), request)
        with self._lock:
            self._counts.update(verdict.reasons or ("passed",))
        return verdict

    def _judge(self, draft: str, request: ReplyRequest) -> Verdict:
        try:
            text = fill(draft, request.facts)
        except DataError as error:
            return Verdict("", ("placeholder",), (str(error),))
        sources = passage_texts(request)
        held = [*short_facts(request.facts).values(), *sources]
        found: dict[str, str] = {}
        if unseen := hidden(text):
            found["hidden"] = ", ".join(unseen)
        if marked := markup(text, held):
            found["markup"] = marked[0]
        if not MIN_LENGTH <= len(text) <= MAX_LENGTH:
            found["length"] = f"{len(text)} characters"
        if leaked := [m for m in _MARKS if m in unicodedata.normalize("NFKC", text)] or own_words(text, held):
            found["leak"] = leaked[0]
        if any(text.count(left) != text.count(right) for left, right in _PAIRS):
            found["broken"] = text
        english = writes_english(request.turns)
        if not self._language_fits(draft, text, english) or other_scripts(text, held):
            found["language"] = text
        elif not english and (words := latin_run(text, held)):
            found["language"] = words[0]
        said = " ".join((text.lower(), _squeezed(text)))
        if hits := [w for w in self._sensitive if w in said] or abuse(text):
            found["sensitive"] = hits[0]
        if ids := strange_ids(text, [*held, *(said for speaker, said in request.turns if speaker == USER)]):
            found["id"] = ", ".join(ids)
        if ways := contacts(text, held):
            found["contact"] = ", ".join(ways)
        if advice := counsel(text, sources):
            found["counsel"] = ", ".join(advice)
        if numbers := self._numbers(text, request, sources):
            found["number"] = ", ".join("".join(q) for q in numbers)
        if claims := unproven(text, request, sources):
            found["promise"] = ", ".join(claims)
        if late := undated(text, held) if request.strategy in _CLAIMS_OF_FACT else []:
            found.setdefault("promise", ", ".join(late))
        if words := [*contradicted(text, sources), *belied(text, request.facts)]:
            found["contradiction"] = ", ".join(words)
        if _HUMAN.search(text):
            found["identity"] = text
        if not _grounded(draft, text, request, sources):
            found["ungrounded"] = text
        if _repeats(draft, text, request):
            found["repetition"] = text
        if clash := strategy_clash(draft, text, request.strategy):
            found["strategy"] = clash
        return Verdict(text, tuple(found), tuple(f"{k}: {v}" for k, v in found.items()))

    @staticmethod
    def _language_fits(draft: str, text: str, english: bool) -> bool:
        own = _LINK.sub("", re.sub(r"\{[^{}]*\}", "", draft))
        han, latin = len(_HAN.findall(own)), len(_LATIN.findall(own))
        if english:
            return latin > han and reads_english(own)
        return len(_HAN.findall(text)) >= 2 and han >= latin

    @staticmethod
    def _numbers(text: str, request: ReplyRequest, sources: Sequence[str]) -> list[tuple[str, str]]:
        proven = [*short_facts(request.facts).values(), *sources]
        loose = unvouched(text, proven)
        if not loose:
            return []
        # The customer's own numbers may be said back to her, but an amount, a date or an id she names proves nothing.
        theirs = set(unvouched(text, [*proven, last_words(request.turns)]))
        if request.strategy not in _CLAIMS_OF_FACT:
            return [q for q in loose if q in theirs]
        # Nor do her days and pieces in what is stated, unless it only says them back.
        stated = set(unvouched(_ECHOED.sub(" ", text), proven))
        return [q for q in loose if q in theirs or q[1] in _UNITS_OF_FACT or q in stated]


def _squeezed(text: str) -> str:
    """Half-width small letters, without the blanks and strokes that hide a word from a list."""
    return re.sub(r"[\s*·.\-_~—+|/\\'\"^#]+", "", unicodedata.normalize("NFKC", text).lower())


def _grounded(draft: str, text: str, request: ReplyRequest, sources: Sequence[str]) -> bool:
    """Statements of fact have to draw on a fact or a passage; the rest need not."""
    if request.strategy not in ("inform", "resolve") or (request.strategy == "inform" and _ADMITS.search(text)):
        return True
    values = [v for v in short_facts(request.facts).values() if len(v) > 1]
    if "{" in draft or any(value in text for value in values):
        return True
    own = bigrams(text)
    shared = own & bigrams(" ".join(sources))
    return len(shared) >= 2 and len(shared) / max(len(own), 1) >= _GROUNDED_SHARE


def _repeats(draft: str, text: str, request: ReplyRequest) -> bool:
    """Whether the text says again what an earlier agent turn or its own first half said."""
    if any(speaker == AGENT and similar(text, said) >= 0.75 for speaker, said in request.turns[-8:]):
        return True
    named = re.findall(r"\{[^{}]*\}", draft)
    if len(named) != len(set(named)):
        return True
    return bool(re.search(r"([^A-Za-z ]{5,})[^{}]*?\1|(.{20,}).*?\2", draft) or re.search(r"(.{2,4})\1{2,}", draft))


def strategy_clash(draft: str, text: str, strategy: str) -> str:
    """Why the text does not carry out the strategy, in a few words; empty where it may."""
    stated = "{" in draft or bool(re.search(r"\d", text))
    asks = bool(re.search(r"[？?]", text))
    checks = {
        "greet": (stated or len(text) > 45, "a greeting states no facts and is short"),
        "verify_identity": (not _ASKS_FOR_ID.search(text), "asks for no number or name"),
        "clarify": (not _QUESTION.search(text), "asks nothing"),
        "request_feedback": (not _FEEDBACK.search(text), "asks for no feedback"),
        "manage_emotion": (asks and bool(_ASKS_FOR_ID.search(text)), "asks for data in place of comfort"),
        "thank_and_close": (asks, "a farewell asks nothing"),
        "inform": (asks and not stated and len(text) < 16, "asks in place of telling"),
        "resolve": (asks and not stated, "asks in place of doing"),
    }
    clash, why = checks.get(strategy, (False, ""))
    return why if clash else ""
