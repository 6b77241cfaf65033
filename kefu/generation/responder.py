"""The responder: drafts, guard, template. Whatever happens, the customer gets an answer in time."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache

from kefu import metrics
from kefu.errors import DeadlineExceeded, KefuError, Unavailable
from kefu.facts import names
from kefu.generation.citations import cited
from kefu.generation.engine import Engine, EngineBusy, LowConfidence, ManyDrafts
from kefu.generation.guard import Guard, writes_english
from kefu.generation.prompt import MAX_PASSAGES, format_prompt, passage_texts, short_facts
from kefu.generation.request import Reply, ReplyRequest, last_words
from kefu.generation.similarity import bigrams
from kefu.generation.templates import HAND_WRITTEN, Templates, bundled_templates
from kefu.settings import Settings

logger = logging.getLogger(__name__)

# Seconds kept back for the guard and the template.
_RESERVE = 0.05
# Of an engine that writes one draft at a time: the likeliest one, and one that is drawn if it was refused.
_SEEDS = (0, 1)
# What an action could not do is said in hand-written words: a draft knows nothing of it.
_FAILED = frozenset({"not_found", "needs_order_id", "needs_phone", "refused"})
_STATING = frozenset({"inform", "resolve"})
# What a draft is asked for, with the least mean log-probability of its tokens. They were set by reading the drafts for
# 110 held-out requests: above them the bundled 270M model makes sense as a rule. Where it has only the customer's
# feeling to go by, or has to find the right question, it stumbles at any confidence, and an awkward apology hurts more
# than a hand-written one.
LEAST_CONFIDENCE = {
    "inform": -0.9,
    "suggest": -0.85,
    "resolve": -0.95,
    "restate": -0.8,
    "verify_identity": -1.3,
    "request_feedback": -1.35,
    "thank_and_close": -1.25,
    "other": -1.2,
}
DRAFTED = frozenset(LEAST_CONFIDENCE)
# Drafts of these have to draw on a fact or a passage; the others may speak of nothing but the conversation.
_SOURCED = frozenset({"inform", "suggest", "resolve"})
# Least share of a draft's character pairs that its facts and passages hold.
_SHARED_WORDS = 0.5
# The same of the words around placeholders, which the hand-written templates may hold as well; a fact named proves
# nothing of what stands beside it.
_HOUSE_SHARE = 0.3
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_LAST_RESORT = "请稍等，我看一下。"


class Responder:
    """Writes replies. Safe to share between threads; without an engine it serves templates.

    Args:
        drafts: that are written at once, for the best of them to be sent.
        drafted: strategies that the engine is asked for drafts of.
    """

    def __init__(
        self,
        engine: Engine | None,
        guard: Guard,
        templates: Templates,
        max_tokens: int = 64,
        drafts: int = 3,
        drafted: Collection[str] = DRAFTED,
    ) -> None:
        self._engine, self._guard, self._templates, self._max_tokens = engine, guard, templates, max_tokens
        self._drafts, self._drafted = drafts, frozenset(drafted)

    @property
    def guard(self) -> Guard:
        """The guard, whose counts tell how often each reason was given."""
        return self._guard

    def drafts_for(self, request: ReplyRequest) -> bool:
        """Whether the engine is asked for a draft."""
        return self._engine is not None and drafts_for(request, self._drafted)

    @property
    def engine(self) -> Engine | None:
        """What writes the drafts; None where templates answer alone."""
        return self._engine

    def reply(self, request: ReplyRequest) -> Reply:
        """A reply within the request's deadline. Never raises."""
        began = time.monotonic()
        request = request.cleaned()
        refused: list[str] = []
        text = None
        if self._engine is not None and drafts_for(request, self._drafted):
            text = self._draft(self._engine, request, began + request.deadline - _RESERVE, refused)
        source = "model" if text else "template"
        if not text:
            text = self._template(request)
        passages = cited(text, request)
        return Reply(text, source, (time.monotonic() - began) * 1000, tuple(refused), passages)

    def _draft(self, engine: Engine, request: ReplyRequest, deadline: float, refused: list[str]) -> str | None:
        """A draft that passed the guard; why others did not is added to ``refused``."""
        try:
            least = LEAST_CONFIDENCE.get(request.strategy, -math.inf)
            for draft, confidence in self._written(engine, format_prompt(request), deadline):
                if confidence < least:
                    refused.append("unsure")
                    continue
                verdict = self._guard.check(draft, request)
                if verdict.passed and _draws_on_sources(draft, verdict.text, request):
                    return verdict.text
                refused.extend(verdict.reasons or ("ungrounded",))
        except DeadlineExceeded as error:
            logger.info("A draft was not ready in time: %s", error)
            refused.append("deadline")
        except LowConfidence:
            refused.append("unsure")
        except Unavailable as error:
            logger.debug("No draft, the template is sent: %s", error)
            refused.append("unavailable")
        except EngineBusy as error:
            logger.info("A draft had no turn: %s", error)
            refused.append("busy")
        except KefuError as error:
            logger.warning("No draft, the template is sent: %s", error)
            refused.append("error")
        except Exception:
            logger.exception("No draft, the template is sent.")
            refused.append("error")
        return None

    def _written(self, engine: Engine, prompt: str, deadline: float) -> Iterator[tuple[str, float]]:
        """Different drafts with their confidence, the surest first; infinity where the engine does not tell it."""
        if isinstance(engine, ManyDrafts):
            with _timed():
                drafts = engine.generate_many(prompt, self._max_tokens, deadline, range(self._drafts))
            ordered = sorted(drafts, key=lambda draft: -draft.confidence)
            told: dict[str, float] = {}
            for one in ordered:
                told.setdefault(one.text, one.confidence)
            yield from told.items()
        else:
            for seed in _SEEDS:
                with _timed():
                    draft = engine.generate(prompt, self._max_tokens, deadline, seed)
                yield draft, math.inf

    def _template(self, request: ReplyRequest) -> str:
        try:
            return self._templates.reply(request) or _LAST_RESORT
        except Exception:
            logger.exception("No template for strategy %r.", request.strategy)
            return _LAST_RESORT


@contextmanager
def _timed() -> Iterator[None]:
    """Counts what a draft took, by how it ended."""
    began, outcome = time.monotonic(), "error"
    try:
        yield
        outcome = "written"
    except DeadlineExceeded:
        outcome = "deadline"
        raise
    except LowConfidence:
        outcome = "unsure"
        raise
    except Unavailable:
        outcome = "unavailable"
        raise
    finally:
        metrics.engine_seconds.labels(outcome).observe(time.monotonic() - began)


def drafts_for(request: ReplyRequest, drafted: Collection[str] = DRAFTED) -> bool:
    """Whether a model may write this reply; the rest is answered in hand-written words."""
    if request.intent in HAND_WRITTEN or not last_words(request.turns) or writes_english(request.turns):
        return False
    if request.strategy in _STATING and request.outcome in _FAILED:
        return False
    sourced = request.strategy not in _SOURCED or bool(short_facts(request.facts) or passage_texts(request))
    return request.strategy in drafted and sourced


@lru_cache(maxsize=1)
def _house_words() -> frozenset[str]:
    """Character pairs of the Chinese templates, but for the follow-ups, which speak of everything and state no fact."""
    texts = (t.text for t in bundled_templates() if not (t.english or t.follows))
    return frozenset().union(*(bigrams(_PLACEHOLDER.sub(" ", text.replace("\n", " "))) for text in texts))


def _draws_on_sources(draft: str, text: str, request: ReplyRequest) -> bool:
    """Whether a draft says most in its passages' words, or names facts in the words of the house.

    What a small model adds is mostly wrong; what an attacker makes it add is.
    """
    facts = short_facts(request.facts)
    sources = " ".join([*passage_texts(request)[:MAX_PASSAGES], *facts.values()])
    if "{" in draft:
        own = bigrams(_PLACEHOLDER.sub(" ", draft))
        called = bigrams(" ".join(names().get(key, key) for key in facts))
        return len(own & (bigrams(sources) | called | _house_words())) >= _HOUSE_SHARE * len(own)
    if request.strategy not in _SOURCED:
        return True
    own = bigrams(text)
    return len(own & bigrams(sources)) >= _SHARED_WORDS * len(own)


def _load_engine(settings: Settings) -> Engine:
    if settings.generator.startswith(("http://", "https://")):
        from kefu.generation.http_engine import load_http_engine

        return load_http_engine(settings)
    from kefu.generation.engine import load_engine

    return load_engine(settings)


@lru_cache(maxsize=4)
def load_responder(settings: Settings) -> Responder:
    """The responder that the settings ask for; the model is loaded once in a process.

    A missing or damaged model is logged in one line, and templates answer.
    """
    guard, templates = Guard.load(settings.data_dir), Templates()
    engine: Engine | None = None
    if settings.generator == "none":
        logger.info("KEFU_GENERATOR is none: replies come from templates alone.")
    else:
        try:
            engine = _load_engine(settings)
        except KefuError as error:
            logger.error("Replies come from templates alone: %s", error)
        except Exception as error:
            cause = f"{type(error).__name__}: {error}"
            mend = "Check KEFU_GENERATOR, or set it to none."
            logger.error(
                "Replies come from templates alone: %r does not start (%s). %s", settings.generator, cause, mend
            )
    return Responder(engine, guard, templates, settings.max_reply_tokens, settings.reply_drafts)
