"""The one door to Rasa: loads a trained model for evaluation, replies and retraining, and asks it synchronously.

>>> model = RasaModel.load("models")
>>> model.parse("尾号0816", context="麻烦报一下手机尾号").intent
>>> model.strategies([("user", "都五天了钱怎么还没退回来")])[0]
"""

from __future__ import annotations

import asyncio
import logging
import os
import tarfile
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kefu.errors import DataError, KefuError, ModelCorrupt, ModelError, ModelNotFound

_SENDER = "kefu-evaluation"
_REMEMBERED = 4096  # parsed turns kept: evaluation sets repeat the beginnings of their conversations
Result = TypeVar("Result")


@dataclass(frozen=True)
class Parsed:
    """What the model reads in a message; rankings are (label, probability), best first."""

    intent: str | None
    intent_confidence: float
    intent_ranking: tuple[tuple[str, float], ...]
    emotion: str | None
    emotion_ranking: tuple[tuple[str, float], ...]
    entities: tuple[Mapping[str, Any], ...]
    latency_ms: float


@dataclass(frozen=True)
class Matter:
    """What a conversation is about by its last message.

    Attributes:
        intent: the last one that names a matter (kefu.strategy.history.WITHOUT_MATTER do not) and was surely read.
        request: the message that named it.
    """

    intent: str
    request: str


class RasaModel:
    """A loaded model. Methods may be called from any thread; they wait for each other."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self._remembered: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="kefu-rasa", daemon=True).start()

    @classmethod
    def load(cls, path: str | Path) -> RasaModel:
        """Loads a model archive, or the newest one of a folder.

        Raises:
            ModelNotFound: there is no archive at ``path``.
            ModelCorrupt: the archive cannot be loaded.
        """
        archive = newest_archive(Path(path))
        _quiet()
        from rasa.core.agent import Agent

        _without_gpu()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                agent = Agent.load(str(archive))
        except Exception as error:  # Rasa and its components raise unrelated types
            reason = f"The model {str(archive)!r} cannot be loaded: {_reason(error)}."
            raise ModelCorrupt(f"{reason} Train again: make train.") from error
        return cls(agent.processor)

    def parse(self, text: str, context: str | None = None, before: Sequence[Sequence[str]] = ()) -> Parsed:
        """Reads a message.

        Args:
            context: the agent's turn before it.
            before: in its place, everything said before as (speaker, text) pairs, oldest first, as in ``strategies``.
        """
        tracker = self._conversation(before) if before else self._tracker()
        if context and not before:
            self._say(tracker, context)
        with self._lock:
            started = time.perf_counter()
            data = self._wait(self._processor.parse_message(_message(text), tracker))
            latency = (time.perf_counter() - started) * 1000
        return _parsed(data, latency)

    def read(self, context: Sequence[Sequence[str]]) -> tuple[Parsed, Matter | None]:
        """(what the customer's last message says, the matter in hand), every message read as it came.

        Args:
            context: as in ``strategies``; the last turn is the customer's.

        Raises:
            DataError: a speaker is neither, or nobody but the agent speaks.
        """
        from rasa.shared.core.events import UserUttered

        from kefu.strategy.history import SURE_MATTER, WITHOUT_MATTER

        said = [e for e in self._conversation(context).events if isinstance(e, UserUttered)]
        if not said:
            raise DataError(f"'context' has no turn of 'user': {context!r}")
        parsed = [_parsed(e.parse_data, 0.0) for e in said]
        named = [
            (p.intent, e.text or "")
            for p, e in zip(parsed, said)
            if p.intent and p.intent not in WITHOUT_MATTER and p.intent_confidence >= SURE_MATTER
        ]
        return parsed[-1], Matter(*named[-1]) if named else None

    def strategies(
        self, context: Sequence[Sequence[str]], facts: Mapping[str, str] | None = None, habit: Any = None
    ) -> list[tuple[str, float]]:
        """(strategy, probability) of all 12 for the next reply, best first.

        Args:
            context: (speaker, text) pairs, speaker ``user`` or ``agent``, oldest first. The strategies of the agent's
                turns are read off their texts, but for a turn that names its own: (``agent``, text, strategy).
            facts: what business actions found out for this turn; empty if nothing. None: none were run, only the texts
                are known.
            habit: see kefu.strategy.StrategyModel.score; the rules alone, to measure against.

        Raises:
            DataError: a speaker is neither.
            ModelError: the model has no strategy policy.
        """
        policy = self._policy()
        tracker = self._conversation(context)
        if facts is not None:
            self._tell(tracker, facts)
        with self._lock:
            ranked: list[tuple[str, float]] = policy.rank(tracker, observed=facts is not None, habit=habit)
        return ranked

    def explain(self, context: Sequence[Sequence[str]], facts: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Why ``strategies`` puts the best one first.

        Returns:
            ``strategy``, ``scores`` {strategy: probability} best first, ``rules`` that fired, and ``mattered``, see
            kefu.strategy.StrategyModel.mattered.

        Raises:
            DataError, ModelError: as ``strategies``.
        """
        policy = self._policy()
        tracker = self._conversation(context)
        if facts is not None:
            self._tell(tracker, facts)
        with self._lock:
            scores, mattered = policy.explain(tracker, observed=facts is not None)
        told = {name: round(p, 4) for name, p in scores.strategies.items()}
        return {"strategy": scores.best, "scores": told, "rules": list(scores.fired), "mattered": mattered}

    def choices(self, decisions: Sequence[Mapping[str, Any]]) -> list[str]:
        """The strategies that the model would take where others were taken before, nothing tried.

        Args:
            decisions: what kefu.strategy.decisions.Decision.as_dict makes.

        Raises:
            DataError: one is no decision.
            ModelError: the model has no strategy policy.
        """
        from kefu.strategy.decisions import decision_of

        model = self._policy().model
        moments = [decision_of(raw) for raw in decisions]
        with self._lock:
            return [model.score(m.history, m.replies_left).best for m in moments]

    def learned(self) -> dict[str, Any] | None:
        """What its strategy model learned from feedback (kefu.strategy.correction.Learned); None: it had none."""
        told: dict[str, Any] | None = self._policy().model.learned
        return told

    def _conversation(self, turns: Sequence[Sequence[str]]) -> Any:
        tracker, said = self._tracker(), ""
        for speaker, text, *strategy in turns:
            if speaker == "agent":
                self._say(tracker, text, *strategy)
            elif speaker == "user":
                self._hear(tracker, text, said)
            else:
                raise DataError(f"'context' has the speaker {speaker!r}; speakers are 'user' and 'agent'.")
            said += f"{speaker}\0{text}\0"
        return tracker

    def _policy(self) -> Any:
        nodes = getattr(self._processor.graph_runner, "_instantiated_nodes", {})
        for node in nodes.values():
            component = getattr(node, "_component", None)
            if hasattr(component, "rank") and hasattr(component, "predict_action_probabilities"):
                return component
        raise ModelError(
            "The model has no strategy policy. Name components.strategy_policy.StrategyPolicy in config.yml and train."
        )

    def _tracker(self) -> Any:
        from rasa.shared.core.events import ActionExecuted
        from rasa.shared.core.trackers import DialogueStateTracker

        slots = self._processor.domain.slots
        tracker = DialogueStateTracker.from_events(_SENDER, [], slots=slots, domain=self._processor.domain)
        tracker.update(ActionExecuted("action_listen"), self._processor.domain)
        return tracker

    def _say(self, tracker: Any, text: str, strategy: str | None = None) -> None:
        from rasa.shared.core.events import BotUttered

        metadata = {"strategy": strategy} if strategy else None
        tracker.update(BotUttered(text, metadata=metadata), self._processor.domain)

    def _hear(self, tracker: Any, text: str, said: str) -> None:
        from rasa.shared.core.events import UserUttered

        key = (said, text)
        data = self._remembered.get(key)
        if data is None:
            with self._lock:
                data = self._wait(self._processor.parse_message(_message(text), tracker))
                self._remembered[key] = data
                if len(self._remembered) > _REMEMBERED:
                    self._remembered.popitem(last=False)
        event = UserUttered(text, data["intent"], data["entities"], data)
        tracker.update(event, self._processor.domain)

    def _tell(self, tracker: Any, facts: Mapping[str, str]) -> None:
        from rasa.shared.core.events import SlotSet

        from kefu.strategy.features import FACT_GROUPS

        outcome = "opened" if FACT_GROUPS["opened"] & set(facts) else "found" if facts else "none"
        for name, value in {"facts": dict(facts), "new_facts": list(facts), "outcome": outcome}.items():
            if name in tracker.slots:
                tracker.update(SlotSet(name, value), self._processor.domain)

    def _wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _message(text: str) -> Any:
    from rasa.core.channels.channel import UserMessage

    return UserMessage(text, sender_id=_SENDER)


def _parsed(data: Mapping[str, Any], latency: float) -> Parsed:
    intent, emotion = data.get("intent") or {}, data.get("emotion") or {}
    return Parsed(
        intent.get("name"),
        float(intent.get("confidence") or 0.0),
        _ranking(data.get("intent_ranking")),
        emotion.get("name"),
        _ranking(data.get("emotion_ranking")),
        tuple(data.get("entities") or ()),
        latency,
    )


def _ranking(ranked: Any) -> tuple[tuple[str, float], ...]:
    return tuple((r["name"], float(r.get("confidence") or 0.0)) for r in ranked or () if r.get("name"))


def train_nlu(config: Path, data: Path, out: Path) -> Path:
    """Trains a pipeline without policies; returns the archive, which lies in ``out``."""
    _quiet()
    from rasa.model_training import train_nlu as train

    _without_gpu()
    return Path(str(train(str(config), str(data), str(out))))


def newest_archive(path: Path) -> Path:
    """The model archive at ``path``, or the newest one of a folder. This needs no Rasa.

    Raises:
        ModelNotFound: there is none.
        ModelCorrupt: it is no archive.
    """
    if path.is_dir():
        archives = sorted(path.glob("*.tar.gz"), key=lambda p: p.stat().st_mtime)
        if not archives:
            raise ModelNotFound(f"There is no model (*.tar.gz) in {str(path)!r}. Train one: make train.")
        return archives[-1]
    if not path.is_file():
        raise ModelNotFound(f"There is no model {str(path)!r}. Train one: make train.")
    if not tarfile.is_tarfile(path):
        raise ModelCorrupt(f"The model {str(path)!r} is no .tar.gz archive. Train again: make train.")
    return path


def _quiet() -> None:
    """Keeps TensorFlow, which Rasa imports, and Rasa's own debug log off the console."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    import structlog

    if not structlog.is_configured():  # by default it prints debug lines on stdout
        level = structlog.make_filtering_bound_logger(logging.WARNING)
        structlog.configure(wrapper_class=level)
    logging.getLogger("rasa").setLevel(logging.WARNING)


def _without_gpu() -> None:
    import importlib

    tensorflow: Any = importlib.import_module("tensorflow")
    try:
        tensorflow.config.set_visible_devices([], "GPU")
    except RuntimeError:  # TensorFlow was started before us
        logging.getLogger(__name__).debug("TensorFlow keeps its devices.")


def _reason(error: BaseException) -> str:
    """One line: the deepest error that kefu raised on purpose, else the deepest of all."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    told = next((e for e in reversed(chain) if isinstance(e, KefuError)), chain[-1])
    lines = str(told).strip().splitlines()
    return lines[0] if lines else type(told).__name__
