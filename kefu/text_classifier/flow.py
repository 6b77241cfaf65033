"""How intents follow one another in a conversation, and what that says of the next message.

"然后呢" alone may be about anything; after three messages about price protection it is about price protection. The
messages of a conversation are read as a hidden Markov model whose emissions are a network's probabilities (Bourlard
and Morgan 1994, "Connectionist Speech Recognition"): what was believed of the message before, carried through the
transitions counted in labelled dialogues, weighs what the network says of this one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kefu.dialogues import Dialogue
from kefu.errors import ModelCorrupt

FLOW = "flow.json"
_PRIOR = 10.0  # pseudo-counts of each row, spread as the labels are on the whole
_LEAST = 1e-6  # probability of a label that a ranking leaves out
Ranking = Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Flow:
    """Transitions between the labels of one customer's successive messages.

    Attributes:
        labels: of rows and columns.
        follows: (labels, labels) float64, rows of sum 1: how likely each label is after the row's.
        weight: power to which that is taken; 0 leaves every ranking as it is.
    """

    labels: tuple[str, ...]
    follows: npt.NDArray[np.float64]
    weight: float

    @classmethod
    def learn(cls, dialogues: Iterable[Dialogue], labels: Sequence[str], weight: float) -> Flow:
        """Counts which intent follows which; labels outside ``labels`` are passed over."""
        index = {label: i for i, label in enumerate(labels)}
        counts = np.zeros((len(labels), len(labels)))
        for dialogue in dialogues:
            said = [index[t.intent] for t in dialogue.turns if t.speaker == "user" and t.intent in index]
            for before, after in pairwise(said):
                counts[before, after] += 1
        overall = (counts.sum(0) + 1) / (counts.sum() + len(labels))
        follows = counts + _PRIOR * overall
        return cls(tuple(labels), follows / follows.sum(1, keepdims=True), weight)

    def read(self, ranking: Ranking, before: Ranking) -> tuple[tuple[str, float], ...]:
        """``ranking`` of a message in the light of ``before``, that of the customer's message before it; best first.

        An empty ``before`` changes nothing.
        """
        if not before or not self.weight:
            return tuple(ranking)
        expected = self._vector(before) @ self.follows
        scores = self._vector(ranking) * expected**self.weight
        scores /= scores.sum()
        return tuple((self.labels[i], float(scores[i])) for i in np.argsort(-scores, kind="stable"))

    def _vector(self, ranking: Ranking) -> npt.NDArray[np.float64]:
        given: Mapping[str, float] = dict(ranking)
        values = np.array([max(given.get(label, 0.0), _LEAST) for label in self.labels])
        return np.asarray(values / values.sum())

    def save(self, folder: Path) -> None:
        """Writes flow.json."""
        told = {"labels": self.labels, "weight": self.weight, "follows": np.round(self.follows, 6).tolist()}
        (folder / FLOW).write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Flow | None:
        """What ``save`` wrote; None where there is nothing of it.

        Raises:
            ModelCorrupt: the file cannot be read.
        """
        try:
            told = json.loads((folder / FLOW).read_text(encoding="utf-8"))
            return cls(tuple(told["labels"]), np.array(told["follows"], dtype=np.float64), float(told["weight"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise ModelCorrupt(f"{folder / FLOW} cannot be read ({error}). Train again: rasa train.") from error
