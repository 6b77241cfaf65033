"""Figures of the strategy policy: on labelled contexts, and by cross-validation on the dialogues it learns from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kefu.errors import DataError
from kefu.evaluation.metrics import accuracy, expected_calibration_error, macro_f1
from kefu.evaluation.rows import read_rows
from kefu.evaluation.transcripts import read_transcripts, reply_row
from kefu.taxonomy import STRATEGIES

if TYPE_CHECKING:
    from kefu.dialogues import Dialogue
    from kefu.strategy import Rules, StrategyModel, TrainingArguments
    from kefu.strategy.encoder import Encoder
    from kefu.strategy.examples import Point

SPEAKERS = ("user", "agent")
# What a variant of the model goes without, by the beginnings of its feature blocks' names.
EARLIER_TURNS = ("strategy", "text.agent", "intent.previous", "intent.topic", "emotion.previous")


class Chooser(Protocol):
    """What is needed of kefu.rasa_bridge.RasaModel."""

    def strategies(
        self, context: Sequence[Sequence[str]], facts: Mapping[str, str] | None = None
    ) -> list[tuple[str, float]]:
        """(strategy, probability), best first."""


@dataclass(frozen=True)
class StrategyRow:
    """A conversation and the strategies that are right for the next reply.

    Attributes:
        context: (speaker, text) pairs; an agent's may name its strategy as a third.
        facts: what business actions found for this reply; None where only the texts are known.
    """

    context: tuple[tuple[str, ...], ...]
    strategy: tuple[str, ...]
    facts: Mapping[str, str] | None = None


def read_strategy_rows(path: Path, transcripts: Path | None = None) -> list[StrategyRow]:
    """Rows {context: [[speaker, text]…], strategy: [accepted…]} of a .jsonl file.

    With ``transcripts`` a row names its context: {dialogue, turn, strategy}. Of a .yml file of dialogues every turn of
    the agent is a row, with the facts that it states.

    Raises:
        NotFound: no such file.
        DataError: a row breaks the format; the message names file, line, key and value.
    """
    if path.suffix in (".yml", ".yaml"):
        return list(_dialogue_rows(path))
    if transcripts is None:
        return [_row(raw, where) for where, raw in read_rows(path)]
    read = read_transcripts(transcripts)
    return [_row(reply_row(read, raw, where), where) for where, raw in read_rows(path)]


def _dialogue_rows(path: Path) -> Iterator[StrategyRow]:
    from kefu.dialogues import read_dialogues

    for dialogue in read_dialogues([path]):
        said: list[tuple[str, ...]] = []
        for turn in dialogue.turns:
            if turn.strategy:
                if said:  # with nothing said yet there is nothing to choose by
                    yield StrategyRow(tuple(said), (turn.strategy,), turn.facts)
                said.append((turn.speaker, turn.text, turn.strategy))
            else:
                said.append((turn.speaker, turn.text))


def _row(raw: Mapping[str, Any], where: str) -> StrategyRow:
    context, accepted = raw.get("context"), raw.get("strategy")
    if not isinstance(context, list) or not context:
        raise DataError(f"{where}: 'context' must be a list of [speaker, text]. But it was: {context!r}")
    for turn in context:
        if not isinstance(turn, list) or len(turn) != 2 or turn[0] not in SPEAKERS or not isinstance(turn[1], str):
            raise DataError(f'{where}: \'context\' has {turn!r}; a turn is ["user" or "agent", text].')
    names = [accepted] if isinstance(accepted, str) else accepted
    if not isinstance(names, list) or not names:
        raise DataError(f"{where}: 'strategy' must be a list of strategies. But it was: {accepted!r}")
    for name in names:
        if name not in STRATEGIES:
            raise DataError(f"{where}: 'strategy' has {name!r}; known are {', '.join(STRATEGIES)}.")
    return StrategyRow(tuple((str(s), str(t)) for s, t in context), tuple(names))


def evaluate_strategy(
    model: Chooser,
    rows: Sequence[StrategyRow],
    on_row: Callable[[], None] | None = None,
    confusion: list[tuple[str, str]] | None = None,
) -> dict[str, Any]:
    """{n, top1, top3, macro_f1}, shares from 0 to 1; with ``confusion`` the (gold, chosen) pairs are added to it.

    A hit is any accepted strategy. For macro-F1 the gold label is the chosen strategy where that is accepted, else the
    first accepted one.
    """
    ranked = []
    for row in rows:
        ranked.append([name for name, _ in model.strategies(row.context, row.facts)])
        if on_row:
            on_row()
    if confusion is not None:
        for row, names in zip(rows, ranked):
            confusion.append((names[0] if names[0] in row.strategy else row.strategy[0], names[0]))
    return _figures([row.strategy for row in rows], ranked)


def baselines(
    model: Any, rows: Sequence[StrategyRow], dialogues: Sequence[Dialogue], on_row: Callable[[], None] | None = None
) -> dict[str, dict[str, Any]]:
    """The figures of what the learned model is measured against.

    ``majority`` always says the strategies in the order of how often ``dialogues`` have them; ``rules only`` puts the
    model's rules on how often agents use each strategy first and later in a turn.

    Args:
        model: a kefu.rasa_bridge.RasaModel.
    """
    import numpy as np

    first, later = np.ones(len(STRATEGIES)), np.ones(len(STRATEGIES))
    for dialogue in dialogues:
        previous = ""
        for turn in dialogue.turns:
            if turn.strategy:
                (later if previous == "agent" else first)[list(STRATEGIES).index(turn.strategy)] += 1
            previous = turn.speaker
    common = [list(STRATEGIES)[i] for i in np.argsort(-(first + later), kind="stable")]
    ruled = []
    for row in rows:
        ranked = model.strategies(row.context, row.facts, habit=(first / first.sum(), later / later.sum()))
        ruled.append([name for name, _ in ranked])
        if on_row:
            on_row()
    accepted = [row.strategy for row in rows]
    return {"majority": _figures(accepted, [common] * len(rows)), "rules only": _figures(accepted, ruled)}


def _figures(accepted: Sequence[Sequence[str]], ranked: Sequence[Sequence[str]]) -> dict[str, Any]:
    chosen = [names[0] for names in ranked]
    gold = [c if c in right else right[0] for c, right in zip(chosen, accepted)]
    third = [any(name in right for name in names[:3]) for names, right in zip(ranked, accepted)]
    share = sum(third) / len(third) if third else 0.0
    return {"n": len(gold), "top1": accuracy(gold, chosen), "top3": share, "macro_f1": macro_f1(gold, chosen)}


def cross_validate(
    dialogues: Sequence[Dialogue],
    rules: Rules,
    arguments: TrainingArguments,
    encoder: Encoder,
    folds: int = 5,
    seed: int = 1,
) -> dict[str, dict[str, Any]]:
    """Figures on dialogues that the model has not seen, by variant and by what is known of the conversation.

    Variants: ``full``, ``no_rules``, ``no_emotion``, ``no_history`` (only the customer's last messages); the last two
    go without rules too, which look at both. ``served``: facts and own strategies known; ``texts``: neither. Labels of
    customers' messages are blurred as in training, in place of a classifier's.
    """
    from kefu.strategy import Rules as NoRules
    from kefu.strategy.training import folds_of

    fold = folds_of(dialogues, folds, seed)
    variants: dict[str, tuple[tuple[str, ...], Rules]] = {
        "full": ((), rules),
        "no_rules": ((), NoRules((), rules.groups)),
    }
    variants |= {"no_emotion": (("emotion",), variants["no_rules"][1])}
    variants |= {"no_history": (EARLIER_TURNS, variants["no_rules"][1])}
    collected: dict[str, dict[str, _Collected]] = {v: {"served": _Collected(), "texts": _Collected()} for v in variants}
    for k in range(folds):
        inside = [d for d, f in zip(dialogues, fold) if f != k]
        outside = [d for d, f in zip(dialogues, fold) if f == k]
        trained: dict[tuple[str, ...], Any] = {}
        for variant, (without, variant_rules) in variants.items():
            if without not in trained:
                trained[without] = _train(inside, variant_rules, replace(arguments, without=without), encoder)
            model = trained[without].with_rules(variant_rules)
            for known, into in collected[variant].items():
                for point in _test_points(model, outside, rules, known == "served", arguments, encoder):
                    into.add(model, point)
    return {v: {known: c.figures() for known, c in by.items()} for v, by in collected.items()}


def _train(
    dialogues: Sequence[Dialogue], rules: Rules, arguments: TrainingArguments, encoder: Encoder
) -> StrategyModel:
    from kefu.strategy import StrategyModel

    return StrategyModel.train(dialogues, rules, arguments, encoder)


def _test_points(
    model: StrategyModel,
    dialogues: Sequence[Dialogue],
    rules: Rules,
    served: bool,
    arguments: TrainingArguments,
    encoder: Encoder,
) -> list[Point]:
    import numpy as np

    from kefu.strategy.examples import Confuser, blurred, points_of
    from kefu.strategy.model import ORDER_TOPICS
    from kefu.strategy.training import agent_texts

    noise = replace(arguments.noise, inferred=float(not served), unobserved=float(not served))
    random, confuser = np.random.default_rng(arguments.seed), Confuser(encoder)
    read = model.read_strategies(agent_texts(dialogues)[0])
    needs_order = rules.groups.get(ORDER_TOPICS, frozenset())
    return [p for d in dialogues for p in blurred(points_of(d, needs_order), read, confuser, noise, random)]


class _Collected:
    """Predictions of all folds."""

    def __init__(self) -> None:
        self.gold: list[tuple[str, ...]] = []
        self.ranked: list[list[str]] = []
        self.confidence: list[float] = []
        self.ended: list[bool] = []
        self.listens: list[float] = []

    def add(self, model: StrategyModel, point: Point) -> None:
        """Scores one point."""
        scores = model.score(point.history)
        if point.strategy:
            self.gold.append((point.strategy,))
            self.ranked.append(list(scores.strategies))
            self.confidence.append(scores.strategies[scores.best])
        if point.listen is not None:
            self.ended.append(point.listen)
            self.listens.append(scores.listen)

    def figures(self) -> dict[str, Any]:
        """{n, top1, top3, macro_f1, ece, listen_n, listen_accuracy}."""
        figures = _figures(self.gold, self.ranked)
        correct = [names[0] in right for names, right in zip(self.ranked, self.gold)]
        figures["ece"] = expected_calibration_error(self.confidence, correct)
        said = [p >= 0.5 for p in self.listens]
        right = sum(a == b for a, b in zip(said, self.ended)) / len(said) if said else 0.0
        return {**figures, "listen_n": len(said), "listen_accuracy": right}
