"""The trained strategy model as it is served."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kefu.dialogues import Dialogue
from kefu.errors import DataError, ModelCorrupt
from kefu.strategy.arguments import TrainingArguments
from kefu.strategy.encoder import Encoder, load_encoder
from kefu.strategy.examples import Noise
from kefu.strategy.features import Featurizer
from kefu.strategy.history import AGENT, History
from kefu.strategy.network import Network, mean_logits, sigmoid
from kefu.strategy.ngrams import CharacterNgrams
from kefu.strategy.reader import LABELS, Reader
from kefu.strategy.rules import Moment, Rules, read_rules
from kefu.strategy.training import Trained, blank, train
from kefu.taxonomy import stages_of

Array = npt.NDArray[np.float64]
_META, _ARRAYS, _RULES = "strategy.json", "strategy.npz", "strategy_rules.yml"
# Strategies after which the talk is about what to do, no longer about what is wrong.
_EXPLORING = frozenset({"suggest", "inform", "resolve", "request_feedback", "continue_relationship"})
ORDER_TOPICS = "order_topics"  # the group of the rule file that training reads


@dataclass(frozen=True)
class Scores:
    """What the model says of a history.

    Attributes:
        strategies: calibrated probabilities of the 12 strategies, given that a reply is due, best first; rules applied.
        listen: probability that the agent leaves it at what was said; 0 where the block has not begun.
        fired: names of the rules that moved the probabilities.
        owed: strategies that the turn still owes the customer.
    """

    strategies: dict[str, float]
    listen: float
    fired: tuple[str, ...]
    owed: tuple[str, ...]

    @property
    def best(self) -> str:
        """The likeliest strategy."""
        return next(iter(self.strategies))


class StrategyModel:
    """Scores histories. Thread-safe after loading."""

    def __init__(self, trained: Trained, rules: Rules) -> None:
        self._trained, self.rules = trained, rules

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
        return StrategyModel(self._trained, rules)

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

    def score(self, history: History, replies_left: int = 2) -> Scores:
        """Probabilities for the next reply; human agents' messages are given the strategies read off their texts."""
        history = self._completed(history)
        logits, listens = self.logits([history])
        ruled = self.rules.apply(logits[0], Moment(history, replies_left))
        order = np.argsort(-ruled.probabilities, kind="stable")
        strategies = {LABELS[i]: float(ruled.probabilities[i]) for i in order}
        return Scores(strategies, float(listens[0]), ruled.fired, ruled.owed)

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
        """Writes strategy.json, strategy.npz and a copy of the rule file."""
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
        return cls(trained, rules)


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
