"""Products, colours and sizes: a spaCy named-entity recogniser on characters, trained from the NLU examples."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kefu.entities.patterns import Span
from kefu.errors import DataError, ModelCorrupt

LABELS = ("product", "color", "size")
Annotated = tuple[str, Sequence[Span]]


def _blank() -> Any:
    import spacy

    return spacy.blank("zh", config={"nlp": {"tokenizer": {"segmenter": "char"}}})


def train_tagger(
    examples: Sequence[Annotated],
    epochs: int = 12,
    seed: int = 7,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Any:
    """A spaCy pipeline with a trained ``ner``.

    Args:
        examples: (text, spans) pairs; texts without a span teach what is none.
        on_epoch: told (epoch, loss).

    Raises:
        DataError: no example has a span, or a span has another label than LABELS.
    """
    from spacy.training import Example
    from spacy.util import minibatch
    from thinc.api import fix_random_seed

    fix_random_seed(seed)
    nlp = _blank()
    recogniser = nlp.add_pipe("ner")
    for label in LABELS:
        recogniser.add_label(label)
    prepared = []
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # spaCy warns where an annotation does not meet token borders; characters always do
        for text, spans in examples:
            for span in spans:
                if span.entity not in LABELS:
                    raise DataError(f"{text!r} annotates {span.entity!r}; the tagger knows {', '.join(LABELS)}.")
            entities = {"entities": [(s.start, s.end, s.entity) for s in spans]}
            prepared.append(Example.from_dict(nlp.make_doc(text), entities))
    positive = [e for e in prepared if e.reference.ents]
    if not positive:
        raise DataError("No NLU example annotates a product, color or size, like [加湿器](product).")
    shuffle = random.Random(seed)
    negative = [e for e in prepared if not e.reference.ents]
    optimizer = nlp.initialize(lambda: positive[:200])
    for epoch in range(1, epochs + 1):
        batch_losses: dict[str, float] = {}
        pool = positive + shuffle.sample(negative, min(len(negative), len(positive)))
        shuffle.shuffle(pool)
        for batch in minibatch(pool, size=32):
            nlp.update(batch, sgd=optimizer, losses=batch_losses, drop=0.2)
        if on_epoch:
            on_epoch(epoch, batch_losses.get("ner", 0.0))
    return nlp


def load_tagger(folder: Path) -> Any:
    """Loads what ``nlp.to_disk(folder)`` wrote.

    Raises:
        ModelCorrupt: the folder is missing or damaged.
    """
    import spacy

    try:
        return spacy.load(folder)
    except Exception as error:  # spaCy and thinc raise unrelated types
        raise ModelCorrupt(
            f"The entity tagger in {folder} cannot be loaded ({error}). Train again: rasa train."
        ) from error


def tag(nlp: Any, text: str) -> list[Span]:
    """The spans that the pipeline finds in ``text``."""
    doc = nlp(text)
    return [Span(e.label_, e.start_char, e.end_char, e.text) for e in doc.ents]
