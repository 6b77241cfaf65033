"""A simulated customer: what she wants, how long she waits, how she takes what the agent does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kefu.simulation.behaviour import BETTER, UPSET, VALENCE, WORSE, Behaviour
from kefu.simulation.estimates import MOODS, Estimates, Matter

ORDER, DETAIL = "order", "detail"  # messages that give what was asked for
_ENDINGS = ("request_feedback", "continue_relationship", "thank_and_close")
_PREPARING = ("greet", "verify_identity", "clarify", "restate")  # a turn of these alone owes no answer
_LISTENING = ("restate", "manage_emotion", "other")  # after these she need not ask again
# What a customer says who has, or has not yet, what she came for.
_CONTENT = ("affirm", "thank", "deny", "goodbye", "give_feedback")
_WAITING = ("affirm", "deny", "provide_info", "chitchat")


@dataclass
class Customer:
    """One customer in one conversation; ``react`` changes it.

    Attributes:
        patience: what is left of it, in messages of a calm customer.
        details: things that the agent still has to ask for.
        order_known: whether the agent can look the order up.
        questions: further questions that she has had.
        solved: whether her matter is done and her further questions are answered.
        soothed: whether her feelings were answered since she was last upset.
        wasted: strategies that brought nothing when last used.
        says: the intent of her next message, or ORDER or DETAIL.
        gone: whether the conversation is over.
    """

    matter: Matter
    emotion: str
    patience: float
    details: int
    order_known: bool = False
    questions: int = 0
    solved: bool = False
    soothed: bool = False
    wasted: set[str] = field(default_factory=set)
    says: str = ""
    gone: bool = False

    @classmethod
    def draw(cls, behaviour: Behaviour, estimates: Estimates, random: np.random.Generator) -> Customer:
        """A new customer, with the matter of a written dialogue."""
        matter = estimates.matters[int(random.integers(len(estimates.matters)))]
        patience = behaviour.patience["least"] + float(random.poisson(behaviour.patience["more"]))
        return cls(matter, matter.emotion, patience, matter.details, says=matter.topic)

    @property
    def stage(self) -> str:
        """``early`` while an order is needed and not known, ``unclear`` while details are missing, else ``ready``."""
        if self.matter.needs_order and not self.order_known:
            return "early"
        return "unclear" if self.details else "ready"

    @property
    def wants_action(self) -> bool:
        """Whether something is to be done; a further question only wants an answer."""
        return self.matter.action and self.questions == 0

    @property
    def unheard(self) -> bool:
        """Whether she is upset and nobody has said a word to that."""
        return self.emotion in UPSET and not self.soothed


@dataclass(frozen=True)
class Reaction:
    """What a reply did: whether it brought her on, and the missteps in it, keys of Behaviour.worsens."""

    progress: bool = False
    missteps: tuple[str, ...] = ()


class Reader:
    """Reads the agent's turns as a customer would."""

    def __init__(self, behaviour: Behaviour, estimates: Estimates) -> None:
        self.behaviour, self.estimates = behaviour, estimates

    def react(self, customer: Customer, strategies: Sequence[str], random: np.random.Generator) -> list[Reaction]:
        """Changes her state, mood and next intent; a reaction for each reply that she stayed for."""
        thanked, questions = customer.solved, customer.questions
        customer.says = ""
        reactions: list[Reaction] = []
        for strategy in strategies:
            settled = customer.solved or customer.questions > questions
            reactions.append(self._take(customer, strategy, settled, thanked, random))
            if customer.gone:
                break
        settled = not thanked and (customer.solved or customer.questions > questions)
        missteps = [m for r in reactions for m in r.missteps]
        progress = any(r.progress for r in reactions)
        if not progress and not thanked and not set(strategies) <= set(_PREPARING):
            missteps.append("no_answer")
        self.move(customer, strategies[: len(reactions)], missteps, settled, random)
        customer.patience -= self.behaviour.weariness[customer.emotion]
        if thanked or (customer.patience <= 0 and not customer.solved):
            customer.gone = True
        if not customer.gone and not customer.says:
            customer.says = self._says(customer, strategies[-1], settled, random)
        return reactions

    def _take(
        self, customer: Customer, strategy: str, settled: bool, thanked: bool, random: np.random.Generator
    ) -> Reaction:
        """One reply. Once a turn has settled something, what else stands in it does neither good nor harm."""
        if settled:
            customer.gone = customer.solved and strategy == "thank_and_close"
            pleasant = not thanked or strategy in _ENDINGS or strategy == "manage_emotion"
            return Reaction(True) if pleasant else Reaction(False, ("detained",))
        reaction = self._effect(customer, strategy, random)
        if reaction.progress:
            customer.wasted.discard(strategy)
        elif strategy in customer.wasted:
            reaction = Reaction(False, (*reaction.missteps, "repeated"))
        else:
            customer.wasted.add(strategy)
        return reaction

    def _effect(self, customer: Customer, strategy: str, random: np.random.Generator) -> Reaction:
        stage, action = customer.stage, customer.wants_action
        if strategy == "verify_identity":
            return self._asked_for_order(customer, random)
        if strategy == "clarify":
            if customer.details == 0:
                return Reaction(False, ("asked_in_vain",))
            told = bool(random.random() < self.behaviour.helps["detail_told"])
            customer.details -= int(told)
            customer.says = DETAIL if told else "deny"
            return Reaction(True)
        if strategy == "restate":
            told = customer.details > 0 and self._helps(customer, "restate_detail", random)
            customer.details -= int(told)
            return Reaction(told)
        if strategy == "manage_emotion":
            unheard = customer.unheard
            customer.soothed = customer.soothed or unheard
            return Reaction(unheard)
        if strategy in ("inform", "suggest"):
            if action:
                return self._settled(customer, "inform_action", stage == "ready" and strategy == "inform", random)
            return self._settled(customer, f"{strategy}_{stage}", True, random)
        if strategy == "resolve":
            if stage == "early":
                return Reaction(False, ("empty_promise",))
            return self._settled(customer, f"resolve_{stage}" if action else "resolve_question", True, random)
        if strategy == "request_feedback":
            return Reaction(False, ("asked_too_early",))
        if strategy == "thank_and_close":
            customer.gone = bool(random.random() < self.behaviour.leaves_when_closed)
            return Reaction(False, ("closed_too_early",))
        return Reaction()

    def _asked_for_order(self, customer: Customer, random: np.random.Generator) -> Reaction:
        if customer.order_known:
            return Reaction(False, ("asked_again",))
        customer.says = ORDER if random.random() < self.estimates.order_told else "deny"
        return Reaction(True) if customer.matter.needs_order else Reaction(False, ("asked_in_vain",))

    def _helps(self, customer: Customer, key: str, random: np.random.Generator) -> bool:
        share = self.behaviour.upset_share if customer.unheard else 1.0
        return bool(random.random() < self.behaviour.helps[key] * share)

    def _settled(self, customer: Customer, key: str, possible: bool, random: np.random.Generator) -> Reaction:
        """Whether she has her answer; it may lead to a further question."""
        if not (possible and self._helps(customer, key, random)):
            return Reaction()
        if customer.questions < self.behaviour.most_questions and random.random() < self.estimates.further:
            customer.questions += 1
        else:
            customer.solved = True
        return Reaction(True)

    def move(
        self,
        customer: Customer,
        strategies: Sequence[str],
        missteps: Sequence[str],
        settled: bool,
        random: np.random.Generator,
    ) -> None:
        """Her mood after a turn: drawn by the estimates, then down for missteps, then up where she was helped."""
        before, unheard = customer.emotion, customer.unheard
        share = self.behaviour.upset_share if unheard else 1.0
        rows = [self.estimates.mood_after[s][MOODS.index(before)] for s in strategies]
        drawn = MOODS[int(random.choice(len(MOODS), p=sum(rows) / len(rows)))]
        if VALENCE[drawn] <= VALENCE[before] or random.random() < share:
            customer.emotion = drawn
        for misstep in missteps:
            if random.random() < self.behaviour.worsens[misstep]:
                customer.emotion = WORSE[customer.emotion]
        if settled and random.random() < self.behaviour.relief * share:
            customer.emotion = BETTER[customer.emotion]
        if VALENCE[customer.emotion] < VALENCE[before]:
            customer.soothed = False

    def _says(self, customer: Customer, last: str, settled: bool, random: np.random.Generator) -> str:
        topic = customer.matter.topic
        if not customer.solved:
            if customer.emotion == "angry" and random.random() < self.estimates.complains:
                return "complain_service"
            if settled or last not in _LISTENING:
                return topic
        among = _CONTENT if customer.solved else _WAITING
        counts = [self.estimates.says_after.get(last, {}).get(intent, 0) + 1.0 for intent in among]
        return among[int(random.choice(len(among), p=[c / sum(counts) for c in counts]))]
