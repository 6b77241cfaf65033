"""How well a draft answers a moment: the M_response of y = M_strategy(M_intent(x), M_emotion(x), M_response(x)).

Where the policy finds two strategies about as good, a reply is drafted for each, and the pair of strategy and draft is
taken for which log P(strategy) + value(draft) is the greatest. The value is the logit of a binary classifier that tells
an agent's written reply from replies to other moments (noise-contrastive estimation, Gutmann and Hyvärinen 2010), so
that the sum is the logarithm of a product of odds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from kefu.dialogues import Dialogue
from kefu.errors import DataError, ModelCorrupt, ModelNotFound
from kefu.strategy.encoder import Encoder, Vectors
from kefu.strategy.examples import messages_of
from kefu.strategy.features import Featurizer
from kefu.strategy.history import AGENT, USER
from kefu.strategy.network import Floats, fit_linear
from kefu.taxonomy import STRATEGIES

LABELS = tuple(STRATEGIES)
FILE = Path("actions/value.npz")
_COMPONENTS = 96
_PENALTY = 3.0
_NEGATIVES = 3  # replies to other moments for each written one; the last of them carries out another strategy
_MEND = "Train it: kefu train value."


@dataclass(frozen=True)
class Moment:
    """What a reply answers.

    Attributes:
        asked: the customer's last words.
        said: the agent's last message before the reply; empty where there is none.
    """

    asked: str
    said: str = ""


@dataclass(frozen=True)
class Written:
    """A reply as an agent wrote it, with its moment and its strategy."""

    moment: Moment
    strategy: str
    text: str


def moment_of(turns: Sequence[tuple[str, str]]) -> Moment:
    """The moment behind (speaker, text) turns, oldest first."""
    asked, said, answered = "", "", True
    for speaker, text in turns:
        if speaker == USER:
            asked = text if answered else f"{asked} {text}"
        else:
            said = text
        answered = speaker != USER
    return Moment(asked, said)


def written_in(dialogues: Sequence[Dialogue]) -> Iterator[Written]:
    """The agents' replies that have a customer's message before them."""
    for dialogue in dialogues:
        turns: list[tuple[str, str]] = []
        for message in messages_of(dialogue):
            moment = moment_of(turns)
            if message.speaker == AGENT and moment.asked:
                yield Written(moment, str(message.strategy), message.text)
            turns.append((message.speaker, message.text))


class ValueModel:
    """A linear value of (moment, strategy, draft). Thread-safe.

    Args:
        featurizer: embeds the texts.
        weights: (features, 1).
    """

    def __init__(self, featurizer: Featurizer, weights: Floats) -> None:
        self._featurizer, self._weights = featurizer, weights

    def __call__(self, moment: Moment, drafts: Sequence[tuple[str, str]]) -> list[float]:
        """The values of (strategy, text) drafts, in their order."""
        rows = features(self._featurizer.embed, [(moment, strategy, text) for strategy, text in drafts])
        return [float(v) for v in (rows @ self._weights)[:, 0]]

    def choose(
        self, moment: Moment, drafts: Sequence[tuple[str, str]], probabilities: Mapping[str, float]
    ) -> tuple[int, list[float]]:
        """(index of the draft to send, all scores: log P(strategy) + value)."""
        values = self(moment, drafts)
        scores = [v + float(np.log(max(probabilities[s], 1e-6))) for v, (s, _) in zip(values, drafts)]
        return int(np.argmax(scores)), scores

    @classmethod
    def train(cls, dialogues: Sequence[Dialogue], encoder: Encoder, seed: int = 7) -> ValueModel:
        """Learns from written replies against replies to other moments.

        Raises:
            DataError: fewer than two replies.
        """
        written = list(written_in(dialogues))
        if len(written) < 2:
            raise DataError(f"The value model needs at least 2 written replies. But there were: {len(written)}")
        texts = [t for w in written for t in (w.text, w.moment.asked, w.moment.said) if t]
        featurizer = Featurizer.fit(encoder, texts, _COMPONENTS)
        triples = [(w.moment, w.strategy, w.text) for w in written]
        false = negatives(written, _NEGATIVES, seed)
        inputs = features(featurizer.embed, [*triples, *false])
        targets = np.array([1] * len(triples) + [0] * len(false), dtype=np.int64)
        weights, bias = fit_linear(inputs, targets, 2, _PENALTY).layers[0]
        # features end in a constant, which takes the bias
        weights = weights[:, 1:] - weights[:, :1]
        weights[-1] += bias[1] - bias[0]
        return cls(featurizer, weights.astype(np.float32))

    def accuracy(self, dialogues: Sequence[Dialogue], seed: int = 11) -> dict[str, float]:
        """How often a written reply has a greater value than one reply to another moment.

        Returns:
            ``n`` pairs of each kind; ``same_strategy`` and ``other_strategy``, shares; a tie is half won.
        """
        written = list(written_in(dialogues))
        won: dict[str, list[float]] = {"same_strategy": [], "other_strategy": []}
        drawn = negatives(written, 2, seed)
        for index, reply in enumerate(written):
            same, other = drawn[2 * index], drawn[2 * index + 1]
            for name, (_, strategy, text) in (("same_strategy", same), ("other_strategy", other)):
                true, false = self(reply.moment, [(reply.strategy, reply.text), (strategy, text)])
                won[name].append((float(true > false) + float(true >= false)) / 2)
        return {"n": float(len(written)), **{name: float(np.mean(found)) for name, found in won.items()}}

    def save(self, file: Path) -> None:
        """Writes one .npz file."""
        file.parent.mkdir(parents=True, exist_ok=True)
        parts = self._featurizer
        arrays = {"mean": parts.mean, "axes": parts.axes.astype(np.float16), "weights": self._weights}
        np.savez_compressed(file, encoder=parts.encoder.name, labels=LABELS, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, file: Path, encoder: Encoder) -> ValueModel:
        """What ``save`` wrote.

        Raises:
            ModelNotFound: no such file.
            ModelCorrupt: it cannot be read, or was trained with other strategies or another encoder.
        """
        if not file.is_file():
            raise ModelNotFound(f"There is no value model {str(file)!r}. {_MEND}")
        try:
            with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            name, labels = str(arrays["encoder"]), tuple(map(str, arrays["labels"]))
            featurizer = Featurizer(encoder, arrays["mean"], arrays["axes"].astype(np.float32))
            weights = arrays["weights"]
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise ModelCorrupt(f"The value model {str(file)!r} cannot be read ({error}). {_MEND}") from error
        if name != encoder.name or labels != LABELS:
            raise ModelCorrupt(f"The value model {str(file)!r} is of encoder {name!r}, not {encoder.name!r}. {_MEND}")
        return cls(featurizer, weights)


def negatives(written: Sequence[Written], count: int, seed: int) -> list[tuple[Moment, str, str]]:
    """``count`` replies to other moments for each written one: of the same strategy, the last of another one."""
    random = np.random.default_rng(seed)
    by_strategy: dict[str, list[str]] = {}
    for reply in written:
        by_strategy.setdefault(reply.strategy, []).append(reply.text)
    everyone = [(w.strategy, w.text) for w in written]
    found = []
    for reply in written:
        same = by_strategy[reply.strategy]
        for _ in range(count - 1):
            found.append((reply.moment, reply.strategy, same[int(random.integers(len(same)))]))
        others = (everyone[int(i)] for i in random.integers(len(everyone), size=8))
        strategy, text = next(((s, t) for s, t in others if s != reply.strategy), everyone[0])
        found.append((reply.moment, strategy, text))
    return found


def features(embed: Callable[[Sequence[str]], Vectors], triples: Sequence[tuple[Moment, str, str]]) -> Floats:
    """(triples, size) float32 of (moment, strategy, text); the last column is 1.

    Args:
        embed: texts -> (texts, components).
    """
    asked = embed([m.asked for m, _, _ in triples])
    said = embed([m.said for m, _, _ in triples])
    text = embed([t for _, _, t in triples])
    chosen = np.array([[float(label == s) for label in LABELS] for _, s, _ in triples], dtype=np.float32)
    shape = np.array([_shape(t) for _, _, t in triples], dtype=np.float32)
    products = [asked * text, said * text, (asked * text).sum(1, keepdims=True), (said * text).sum(1, keepdims=True)]
    mixed = (chosen[:, :, None] * shape[:, None, :]).reshape(len(triples), -1)
    ones = np.ones((len(triples), 1), np.float32)
    rows: Floats = np.concatenate([*(8.0 * p for p in products), 2.0 * text, chosen, mixed, ones], axis=1)
    return rows.astype(np.float32)


def _shape(text: str) -> tuple[float, ...]:
    """Length, questions and digits of a text."""
    digits: npt.NDArray[np.bool_] = np.array([c.isdigit() for c in text] or [False])
    return (min(len(text), 80) / 80, float("?" in text or "？" in text), float(digits.any()))
