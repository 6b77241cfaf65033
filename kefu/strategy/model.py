"""The trained strategy model as it is served."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kefu.dialogues import Dialogue
from kefu.errors import DataError, ModelCorrupt
from kefu.strategy.arguments import TrainingArguments
from kefu.strategy.correction import Correction, LearningArguments, corrected, learn
from kefu.strategy.decisions import Decision, within
from kefu.strategy.encoder import Encoder, load_encoder
from kefu.strategy.estimates import Array, Logged, Mask
from kefu.strategy.examples import Noise
from kefu.strategy.explanation import blank_rows
from kefu.strategy.exploration import open_strategies
from kefu.strategy.features import Featurizer, plain
from kefu.strategy.history import AGENT, History
from kefu.strategy.network import Network, mean_logits, sigmoid
from kefu.strategy.ngrams import CharacterNgrams
from kefu.strategy.reader import LABELS, Reader
from kefu.strategy.rules import Moment, Ruled, Rules, read_rules
from kefu.strategy.training import Trained, blank, train
from kefu.taxonomy import stages_of

Habit = tuple[Array, Array]
_META, _ARRAYS, _RULES = "strategy.json", "strategy.npz", "strategy_rules.yml"
_CORRECTION, _LEARNED = "strategy_feedback.npz", "strategy_feedback.json"
# Strategies after which the talk is about what to do, no longer about what is wrong.
_EXPLORING = frozenset({"suggest", "inform", "resolve", "request_feedback", "continue_relationship"})
_WEIGHTY = 0.05  # least change of log-odds that an explanation tells
ORDER_TOPICS = "order_topics"  # the group of the rule file that training reads


@dataclass(frozen=True)
class Scores:
    """What the model says of a history.

    Attributes:
        strategies: calibrated probabilities of the 12 strategies, given that a reply is due, best first; rules applied.
        listen: probability that the agent leaves it at what was said; 0 where the block has not begun.
        fired: names of the rules that moved the probabilities.
        owed: strategies that the turn still owes the customer.
        open: strategies that may be tried in place of the best; empty where none may (``open_strategies``).
    """

    strategies: dict[str, float]
    listen: float
    fired: tuple[str, ...]
    owed: tuple[str, ...]
    open: tuple[str, ...] = ()

    @property
    def best(self) -> str:
        """The likeliest strategy."""
        return next(iter(self.strategies))


class StrategyModel:
    """Scores histories. Thread-safe after loading."""

    def __init__(
        self,
        trained: Trained,
        rules: Rules,
        correction: Correction | None = None,
        learned: dict[str, Any] | None = None,
    ) -> None:
        self._trained, self.rules, self.correction = trained, rules, correction
        self.learned = learned  # what learning from feedback came to (Learned.as_dict); None where it was not tried

    @classmethod
    def train(
        cls, dialogues: Sequence[Dialogue], rules: Rules, arguments: TrainingArguments, encoder: Encoder | None = None
    ) -> StrategyModel:
        """Trains on dialogues; ``encoder`` stands in for ``arguments.encoder``.

        Raises:
            DataError: too few dialogues.
            ModelNotFound, ModelCorrupt: from the encoder.
        """
        needs_order = rules.groups.get(ORDER_TOPICS, frozenset())
        return cls(train(dialogues, encoder or load_encoder(arguments.encoder), arguments, needs_order), rules)

    def with_rules(self, rules: Rules) -> StrategyModel:
        """The same networks under other rules."""
        return StrategyModel(self._trained, rules, self.correction, self.learned)

    def with_correction(self, correction: Correction | None, learned: dict[str, Any] | None = None) -> StrategyModel:
        """The same networks with another correction, or none."""
        return StrategyModel(self._trained, self.rules, correction, learned)

    def learn(self, decisions: Sequence[Decision], arguments: LearningArguments | None = None) -> StrategyModel:
        """The same networks with a correction learned from ``decisions``, where it is worth keeping.

        The decisions that judge are left out, and so are moments in which these networks leave no strategy open: there
        nothing is corrected.
        """
        bare = self.with_correction(None)
        taught = within([d for d in decisions if not d.judges])
        scores = [bare.score(d.history, d.replies_left) for d in taught]
        moments = [(d, s) for d, s in zip(taught, scores) if s.open]
        logged = replace(logged_of([d for d, _ in moments]), among=mask_of([s.open for _, s in moments]))
        probabilities = np.array([[s.strategies[label] for label in LABELS] for _, s in moments], dtype=np.float64)
        explored = sum(d.strategy != s.best for d, s in moments)
        made = learn(logged, probabilities.reshape(-1, len(LABELS)), explored, arguments)
        return self.with_correction(made.correction, made.as_dict())

    def read_strategies(self, texts: Sequence[str]) -> dict[str, dict[str, float]]:
        """Strategy probabilities of agent texts."""
        return self._trained.reader(texts)

    @property
    def encoder(self) -> Encoder:
        """What embeds the texts."""
        return self._trained.featurizer.encoder

    @property
    def arguments(self) -> TrainingArguments:
        """What it was trained with."""
        return self._trained.arguments

    @property
    def seconds(self) -> float:
        """How long the training took."""
        return self._trained.seconds

    def score(self, history: History, replies_left: int = 2, habit: Habit | None = None) -> Scores:
        """Probabilities for the next reply; human agents' messages are given the strategies read off their texts.

        Args:
            habit: how often agents use each strategy, (12,) first in a turn and (12,) later; the rules then work on
                that and the networks say nothing, which is what a learned policy is measured against.
        """
        history = self._completed(history)
        logits, listens = self.logits([history])
        if habit is not None:
            logits = np.log(np.maximum(habit[1] if history.block else habit[0], 1e-6))[None]
        ruled = self._ruled(logits[0], Moment(history, replies_left))
        order = np.argsort(-ruled.probabilities, kind="stable")
        strategies = {LABELS[i]: float(ruled.probabilities[i]) for i in order}
        return Scores(
            strategies, float(listens[0]), ruled.fired, ruled.owed, open_strategies(strategies, ruled.owed, history)
        )

    def _ruled(self, logits: Array, moment: Moment) -> Ruled:
        """The rules' word on the corrected logits. Only where strategies are open, and only theirs, are corrected."""
        ruled = self.rules.apply(logits, moment)
        if self.correction is None:
            return ruled
        before = {label: float(p) for label, p in zip(LABELS, ruled.probabilities)}
        among = mask_of([open_strategies(before, ruled.owed, moment.history)])
        if not among.any():
            return ruled
        change = self.correction(plain(moment.history)[None].astype(np.float64))
        after = corrected(ruled.probabilities[None], among, change)[0]
        shift = np.log(np.where(among[0], after, 1.0)) - np.log(np.where(among[0], ruled.probabilities, 1.0))
        return self.rules.apply(logits + shift, moment)

    def logits(self, histories: Sequence[History]) -> tuple[Array, Array]:
        """What the networks say before the rules, of histories whose agents' messages have their strategies.

        Returns:
            (histories, 12) calibrated logits in the order of LABELS, and (histories,) probabilities of listening, 0
            where the block has not begun.
        """
        trained = self._trained
        features = np.stack([trained.featurizer(h) for h in histories])
        blank(features, trained.featurizer, trained.arguments.without)
        logits = mean_logits(trained.members, features).astype(np.float64)
        listens = sigmoid(logits[:, -1] / trained.temperatures["listen"])
        begun = np.array([bool(h.block) for h in histories])
        return logits[:, :-1] / trained.temperatures["strategy"], np.where(begun, listens, 0.0)

    def mattered(self, history: History, strategy: str, most: int = 4) -> dict[str, float]:
        """What of the conversation spoke for ``strategy`` (above 0) and against it, the weightiest parts first.

        Returns:
            {part of kefu.strategy.explanation.PARTS: by how much the networks' log-odds of the strategy fall where
            that part is left blank}; parts that change them by less than 0.05 are left out. The rules are told apart,
            in Scores.fired.
        """
        trained, label = self._trained, LABELS.index(strategy)
        features = trained.featurizer(self._completed(history))
        blank(features, trained.featurizer, trained.arguments.without)
        parts = blank_rows(trained.featurizer.layout)
        rows = np.repeat(features[None], len(parts) + 1, axis=0)
        for row, places in zip(rows[1:], parts.values()):
            for where in places:
                row[where] = 0.0
        logits = mean_logits(trained.members, rows)[:, :-1] / trained.temperatures["strategy"]
        told = logits[:, label] - np.logaddexp.reduce(np.delete(logits, label, axis=1), axis=1)
        weights = {part: round(float(told[0] - without), 3) for part, without in zip(parts, told[1:])}
        ranked = sorted(weights.items(), key=lambda item: -abs(item[1]))[:most]
        return {part: weight for part, weight in ranked if abs(weight) >= _WEIGHTY}

    def stage(self, strategy: str, history: History) -> str:
        """The stage of ``strategy`` here: its typical one, of several the one that the talk has reached."""
        return stage_of(strategy, self._completed(history))

    def _completed(self, history: History) -> History:
        unknown = [m.text for m in history.messages if m.speaker == AGENT and not m.strategies]
        if not unknown:
            return history
        read = self._trained.reader(unknown)
        messages = [
            replace(m, strategies=read[m.text]) if m.speaker == AGENT and not m.strategies else m
            for m in history.messages
        ]
        return replace(history, messages=messages)

    def save(self, folder: Path, rules_file: Path) -> None:
        """Writes strategy.json, strategy.npz, a copy of the rule file and, where there is one, the correction."""
        trained = self._trained
        reader = trained.reader
        arrays: dict[str, Any] = {
            "mean": trained.featurizer.mean,
            "axes": trained.featurizer.axes,
            "reader.mean": reader.mean,
            "reader.weights": reader.network.layers[0][0],
            "reader.bias": reader.network.layers[0][1],
        }
        for i, member in enumerate(trained.members):
            for j, (weights, bias) in enumerate(member.layers):
                arrays[f"{i}.{j}.weights"], arrays[f"{i}.{j}.bias"] = weights, bias
        meta = {
            "arguments": asdict(trained.arguments),
            "temperatures": trained.temperatures,
            "labels": LABELS,
            "layers": len(trained.members[0].layers),
            "size": int(trained.members[0].layers[0][0].shape[0]),
            "seconds": round(trained.seconds, 1),
            "ngrams": reader.ngrams.weights,
        }
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / _ARRAYS, **arrays)
        (folder / _META).write_text(json.dumps(meta, ensure_ascii=False, indent=1), encoding="utf-8")
        (folder / _RULES).write_text(rules_file.read_text(encoding="utf-8"), encoding="utf-8")
        if self.learned is not None:
            (folder / _LEARNED).write_text(json.dumps(self.learned, indent=1), encoding="utf-8")
        if self.correction is not None:
            self.correction.save(folder / _CORRECTION)

    @classmethod
    def load(cls, folder: Path, encoder: Encoder | None = None) -> StrategyModel:
        """Loads what ``save`` wrote.

        Raises:
            ModelCorrupt: a file is missing or does not fit this version.
            ModelNotFound: the encoder it was trained with is gone.
        """
        try:
            meta = json.loads((folder / _META).read_text(encoding="utf-8"))
            values = {**meta["arguments"], "noise": Noise(**meta["arguments"]["noise"])}
            arguments = TrainingArguments(**{**values, "without": tuple(values["without"])})
            with np.load(folder / _ARRAYS, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            members = tuple(_member(arrays, str(i), meta["layers"]) for i in range(arguments.members))
            rules = read_rules(folder / _RULES)
            learned = json.loads((folder / _LEARNED).read_text("utf-8")) if (folder / _LEARNED).is_file() else None
        except (OSError, ValueError, KeyError, TypeError, DataError) as error:
            raise ModelCorrupt(
                f"The strategy model in {folder} cannot be loaded ({error}). Train again: rasa train."
            ) from error
        encoder = encoder or load_encoder(arguments.encoder)
        featurizer = Featurizer(encoder, arrays["mean"], arrays["axes"])
        size = max(where.stop for where in featurizer.layout.values())
        if tuple(meta["labels"]) != LABELS or size != meta["size"]:
            raise ModelCorrupt(
                f"The strategy model in {folder} is of another version of kefu. Train again: rasa train."
            )
        linear = Network(((arrays["reader.weights"], arrays["reader.bias"]),))
        reader = Reader(encoder, arrays["reader.mean"], CharacterNgrams(meta["ngrams"]), linear)
        trained = Trained(featurizer, members, reader, meta["temperatures"], arguments, float(meta["seconds"]))
        return cls(trained, rules, _correction(folder), learned)


def _correction(folder: Path) -> Correction | None:
    """The correction in ``folder``; a model that was trained without feedback has none."""
    if not (folder / _CORRECTION).is_file():
        return None
    correction = Correction.load(folder / _CORRECTION)
    if correction.weights.shape != (len(plain(History(()))), len(LABELS)):
        raise ModelCorrupt(
            f"The correction in {folder} is of another version of kefu: its shape is {correction.weights.shape}. "
            "Train again: rasa train."
        )
    return correction


def mask_of(among: Sequence[Sequence[str]]) -> Mask:
    """(n, 12) true for the strategies named."""
    return np.array([[label in names for label in LABELS] for names in among], dtype=bool).reshape(-1, len(LABELS))


def logged_of(decisions: Sequence[Decision]) -> Logged:
    """The decisions as arrays for kefu.strategy.estimates; the features are those that need no model."""
    size = len(plain(History(())))
    return Logged(
        np.array([plain(d.history) for d in decisions], dtype=np.float64).reshape(-1, size),
        np.array([LABELS.index(d.strategy) for d in decisions], dtype=np.int64),
        np.array([d.propensity for d in decisions], dtype=np.float64),
        mask_of([d.among for d in decisions]),
        np.array([d.reward for d in decisions], dtype=np.float64),
        np.array([d.customer for d in decisions], dtype=np.str_),
    )


def _member(arrays: dict[str, Any], name: str, layers: int) -> Network:
    return Network(tuple((arrays[f"{name}.{j}.weights"], arrays[f"{name}.{j}.bias"]) for j in range(layers)))


def stage_of(strategy: str, history: History) -> str:
    """See StrategyModel.stage."""
    stages = stages_of(strategy)
    if len(stages) == 1:
        return stages[0]
    used = [m.strategy for m in history.agents if m.strategy]
    if stages:  # manage_emotion: at first about the trouble, later about its solution
        return stages[-1] if history.facts or _EXPLORING & set(used) else stages[0]
    for earlier in reversed(used):
        if stages_of(earlier):
            return stages_of(earlier)[-1]
    return "identify" if history.users else "connect"
