"""Which characters made a label what it is: integrated gradients on the word embeddings.

The method is that of Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks", as captum has it. The weights
add up to the logit of the label, less its logit for the baseline: the message with padding in the place of every token.
On that the network is undecided, whereas a row of <mask>, which it met in pretraining, makes it sure of some label.

>>> Explainer(folder).explain("都五天了钱怎么还没退回来")[0].strongest(1)
(('退', 2.78),)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from kefu.errors import DataError
from kefu.text_classifier.classifier import Classifier
from kefu.text_classifier.explanation import Explanation, Piece, characters_of, words_of
from kefu.text_classifier.restore import restore
from kefu.text_classifier.text import model_input

STEPS = 32  # points on the way from the baseline to the message
_TOKENS = 2048  # run at once: what they leave for the way back stays below 1.5 GB on a 12-layer encoder of width 384


class Explainer:
    """Explains the labels that a served folder predicts; labels and probabilities are the serving graph's."""

    def __init__(self, folder: Path) -> None:
        """Loads the graph, and the network that ``restore`` builds from it.

        Raises:
            ModelError: see ``restore``.
        """
        from captum.attr import LayerIntegratedGradients

        self._classifier = Classifier(folder)
        self._network = restore(folder).requires_grad_(False)
        embeddings: Any = self._network.encoder.get_input_embeddings()  # type: ignore[operator]
        self._gradients = LayerIntegratedGradients(self._logits, embeddings)

    def explain(self, text: str, context: str | None = None, steps: int = STEPS) -> list[Explanation]:
        """An explanation of each task's label.

        Raises:
            DataError: nothing is left of ``text`` in its normal form.
        """
        message, previous = model_input(text, context)
        if not message:
            raise DataError(f"The text {text!r} has nothing in it that the model reads.")
        prediction = self._classifier.predict(text, context)
        encoding = self._classifier.tokenizer.encode_batch([(message, previous) if previous else message])[0]
        explanations = []
        for task, labels in self._classifier.labels.items():
            label, probability = prediction.best(task)
            weights, gain = self._attribute(encoding, task, labels.index(label), steps)
            sides: tuple[list[Piece], list[Piece]] = ([], [])
            for side, (start, end), weight in zip(encoding.sequence_ids, encoding.offsets, weights):
                if side is not None:
                    sides[side].append(Piece(start, end, weight))
            explanations.append(
                Explanation(
                    task,
                    label,
                    probability,
                    characters_of(message, sides[0]),
                    words_of(message, sides[0]),
                    characters_of(previous, sides[1]),
                    gain,
                    abs(sum(weights) - gain),
                )
            )
        return explanations

    def _attribute(self, encoding: Any, task: str, label: int, steps: int) -> tuple[list[float], float]:
        """Each token's weight, summed over the hidden dimension, and the logit's difference from the baseline's."""
        ids, mask = torch.tensor([encoding.ids]), torch.tensor([encoding.attention_mask])
        said = torch.tensor([[side is not None for side in encoding.sequence_ids]])
        baseline = ids.masked_fill(said, self._classifier.tokenizer.padding["pad_id"])
        attributions = self._gradients.attribute(
            ids,
            baseline,
            target=label,
            additional_forward_args=(mask, task),
            n_steps=steps,
            internal_batch_size=max(1, _TOKENS // ids.shape[1]),
        )
        with torch.no_grad():
            gain = self._logits(ids, mask, task) - self._logits(baseline, mask, task)
        return attributions.sum(-1)[0].tolist(), float(gain[0, label])

    def _logits(self, ids: torch.Tensor, mask: torch.Tensor, task: str) -> torch.Tensor:
        """(batch, labels). A head that sees another is followed through it, or the weights would not add up."""
        embedding, _ = self._network(ids, mask)
        return self._network.classify(embedding, detach=False)[task]
