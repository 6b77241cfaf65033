"""How new an item's text is: far from what is trained on, and from the items that a reviewer sees before it.

Texts are compared by the cosine of their TF-IDF weights over characters and pairs of neighbours. Uncertainty alone asks
the same thing fifty times when fifty customers do (Settles 2009, section 5.1); here the first of them keeps its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from kefu.dataset.nlu import nlu_files, read_nlu_file
from kefu.dataset.problems import folded
from kefu.feedback.store import ITEMS, OPEN, ReviewStore

ALIKE = 0.6  # cosine from which two texts say the same
_TELLING = 6  # characters; a shorter message means what its context makes of it
_NUMBER = re.compile(r"[\d两二三四五六七八九十]+")
_CHUNK = 512  # texts compared at a time


@dataclass(frozen=True)
class Newness:
    """What is new in a text.

    Attributes:
        novelty: 1 minus the highest cosine to a known text or to one before it, 0.0 to 1.0.
        repeats: the place of the text before it that it is most alike, if that is ALIKE or more.
    """

    novelty: float
    repeats: int | None = None


def document(text: str, context: str | None = None) -> str:
    """What of a message is compared: numbers are all one, and a few words take the agent's turn before them along."""
    plain = _NUMBER.sub("0", folded(text))
    if len(plain) >= _TELLING or not context:
        return plain
    return plain + _NUMBER.sub("0", folded(context))


def newness(documents: Sequence[str], known: Iterable[str] = ()) -> list[Newness]:
    """What is new in each document, given the known ones and those before it in the list."""
    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

    if not documents:
        return []
    trained = sorted(set(known))
    counter = CountVectorizer(analyzer="char", ngram_range=(1, 2), lowercase=False)
    counts: Any = counter.fit_transform([*trained, *documents, "-"])[:-1]  # "-": never without a single character
    # How rare a pair is, the known texts say: what fifty waiting items share would else count as commonplace in them.
    weigh = TfidfTransformer(sublinear_tf=True, use_idf=bool(trained)).fit(
        counts[: len(trained)] if trained else counts
    )
    old, new = weigh.transform(counts[: len(trained)]) if trained else None, weigh.transform(counts[len(trained) :])
    found = []
    for start in range(0, len(documents), _CHUNK):
        chunk = new[start : start + _CHUNK]
        near_old = (chunk @ old.T).max(axis=1).toarray().ravel() if old is not None else np.zeros(chunk.shape[0])
        before = np.tril((chunk @ new[: start + chunk.shape[0]].T).toarray(), start - 1)
        nearest = before.argmax(axis=1)
        for i, place in enumerate(nearest):
            alike = float(before[i, place])
            novelty = 1.0 - min(max(alike, float(near_old[i])), 1.0)
            found.append(Newness(round(novelty, 4), int(place) if alike >= ALIKE else None))
    return found


def trained_texts(folders: Iterable[Path]) -> list[str]:
    """The documents of all NLU examples below the folders; what cannot be read, and folders that are not there, are not
    counted.
    """
    there = [folder for folder in folders if folder.is_dir()]
    examples = [example for file in nlu_files(there) for example in read_nlu_file(file)[0]]
    return [document(example.text, example.context) for example in examples]


def rank(store: ReviewStore, known: Iterable[str] = ()) -> None:
    """Notes how new each open item is: against ``known`` documents, reviewed items and more urgent open items."""
    columns = [ITEMS.c[name] for name in ("id", "text", "context", "status", "priority", "novelty", "repeats")]
    with store.engine.connect() as connection:
        rows = connection.execute(sa.select(*columns)).mappings().all()
    waiting = [row for row in rows if row["status"] == OPEN]
    if not waiting:
        return
    order = [row for row in rows if row["status"] != OPEN]
    order += sorted(waiting, key=lambda row: (-row["priority"], row["id"]))
    found = newness([document(row["text"], row["context"]) for row in order], known)
    news = []
    for row, new in zip(order, found):
        repeats = order[new.repeats]["id"] if new.repeats is not None else None
        if row["status"] == OPEN and (row["novelty"], row["repeats"]) != (new.novelty, repeats):
            news.append({"item": row["id"], "novelty": new.novelty, "repeats": repeats})
    if news:
        update = sa.update(ITEMS).where(ITEMS.c.id == sa.bindparam("item"))
        with store.engine.begin() as connection:
            connection.execute(update.values(novelty=sa.bindparam("novelty"), repeats=sa.bindparam("repeats")), news)
