"""Training examples of the generator: each agent turn of a dialogue, varied so that serving looks familiar.

At serving time the facts hold everything known so far and the passages come from a retriever, so both carry things
that the reply has to leave alone. Hand-written turns name just what they use; the rest is drawn from other turns.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kefu.dialogues import Dialogue
from kefu.facts import FREE_TEXTS, fill
from kefu.generation.excerpt import excerpt
from kefu.generation.prompt import MAX_TURNS, PASSAGE_STRATEGIES, with_names
from kefu.generation.request import AGENT, USER, ReplyRequest
from kefu.knowledge.passage import Passage
from kefu.taxonomy import stages_of

# Characters of a reply taken from a passage.
EXCERPT = 60


@dataclass(frozen=True)
class Example:
    """A request with just the facts its reply states, those of earlier turns, and the reply with named placeholders."""

    dialogue: str
    request: ReplyRequest
    earlier: dict[str, str]
    reply: str


def examples_of(dialogues: Iterable[Dialogue]) -> list[Example]:
    """One example for each agent turn that has a customer's turn before it."""
    found: list[Example] = []
    for dialogue in dialogues:
        turns: list[tuple[str, str]] = []
        earlier: dict[str, str] = {}
        intent = emotion = None
        for turn in dialogue.turns:
            if turn.speaker == USER:
                intent, emotion = turn.intent, turn.emotion
                turns.append((USER, turn.text))
                continue
            strategy = str(turn.strategy)
            short = {k: v for k, v in turn.facts.items() if k not in FREE_TEXTS}
            passages = [Passage(k, "", turn.facts[k]) for k in FREE_TEXTS if k in turn.facts]
            if turns:
                stage = next(iter(stages_of(strategy)), None)
                request = ReplyRequest(
                    strategy,
                    intent,
                    emotion,
                    stage,
                    short,
                    passages,
                    tuple(turns),
                    deadline=0.0,
                    new_facts=tuple(short),
                )
                before = {k: v for k, v in earlier.items() if k not in short}
                found.append(Example(dialogue.id, request, before, with_names(turn.text)))
            turns.append((AGENT, fill(turn.text, turn.facts)))
            earlier.update(short)
    return found


def knowledge_examples(passages: Iterable[Passage], seed: int) -> list[Example]:
    """One example for each passage with questions: asked so, the sentences that answer are said as they stand.

    They teach to stay with a long passage, such as the retriever brings, where the dialogues' own are a line or two.
    """
    rng = random.Random(seed)
    found = []
    for passage in passages:
        if not passage.questions:
            continue
        question = rng.choice(passage.questions)
        emotion = rng.choice(("neutral", "neutral", "confused", "anxious"))
        intent = passage.intents[0] if passage.intents else None
        turns = ((USER, question),)
        request = ReplyRequest("inform", intent, emotion, "explore", {}, [passage], turns, deadline=0.0)
        found.append(Example(passage.id, request, {}, excerpt(passage.text, question, EXCERPT)))
    return found


def facts_of(examples: Iterable[Example]) -> list[tuple[str, str]]:
    """All (key, value) pairs of facts that the examples state, once each, sorted."""
    return sorted({item for e in examples for item in e.request.facts.items()})


class Augmenter:
    """Draws a different request for the same reply each time."""

    def __init__(self, examples: Sequence[Example], knowledge: Sequence[Passage], seed: int) -> None:
        self._random = random.Random(seed)
        self._facts = facts_of(examples)
        own = {p.text: p for e in examples for p in e.request.passages}
        self._passages = [*own.values(), *knowledge]

    def __call__(self, example: Example) -> ReplyRequest:
        """The example's request with distractors added, facts shuffled and context dropped."""
        draw, request = self._random, example.request
        new = list(request.facts.items())
        known = [item for item in example.earlier.items() if draw.random() < 0.7]
        taken = {k for k, _ in new} | set(example.earlier)
        if self._facts and draw.random() < 0.5:
            for key, value in draw.sample(self._facts, min(len(self._facts), draw.randint(1, 6))):
                if key not in taken:
                    taken.add(key)
                    (new if draw.random() < 0.5 else known).append((key, value))
        draw.shuffle(new)
        draw.shuffle(known)
        told = draw.random() < 0.6  # sometimes nobody says which facts are new
        return replace(
            request,
            facts=dict(known + new),
            new_facts=tuple(k for k, _ in new) if told else (),
            passages=self._drawn_passages(request),
            turns=request.turns[-self._window() :],
            intent=None if draw.random() < 0.05 else request.intent,
            emotion=None if draw.random() < 0.05 else request.emotion,
            stage=None if draw.random() < 0.2 else draw.choice([*stages_of(request.strategy)] or [request.stage]),
        )

    def _window(self) -> int:
        return MAX_TURNS if self._random.random() < 0.7 else self._random.randint(1, MAX_TURNS)

    def _drawn_passages(self, request: ReplyRequest) -> list[Passage]:
        passages = list(request.passages)
        if request.strategy in PASSAGE_STRATEGIES and self._passages and self._random.random() < 0.35:
            passages.append(self._random.choice(self._passages))
            if self._random.random() < 0.4:
                self._random.shuffle(passages)
        return passages


def split(examples: Sequence[Example], held_out: float, seed: int) -> tuple[list[Example], list[Example]]:
    """(training, held-out) examples; about ``held_out`` of the dialogues are held out, at least one, each as a whole.

    A dialogue's id and the seed alone decide, so that one which was held out stays so when others are added.
    """
    drawn = {e.dialogue: _drawn(f"{seed}:{e.dialogue}") for e in examples}
    bound = max(held_out, min(drawn.values(), default=0.0) + 1e-12) if held_out else 0.0
    out = {dialogue for dialogue, number in drawn.items() if number < bound}
    return [e for e in examples if e.dialogue not in out], [e for e in examples if e.dialogue in out]


def _drawn(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48
