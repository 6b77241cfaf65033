"""Chooses the dialogue strategy of each reply, and when the turn is over: a thin adapter around kefu.strategy."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Dict, List, Optional, Text, Tuple

from rasa.core.policies.policy import Policy, PolicyPrediction, confidence_scores_for
from rasa.engine.graph import ExecutionContext
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.core.constants import ACTION_LISTEN_NAME
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import (
    ActionExecuted,
    ActionExecutionRejected,
    BotUttered,
    Event,
    Restarted,
    SessionStarted,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa.shared.core.generator import TrackerWithCachedStates
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import InvalidConfigException

from components.options import digest_of, refuse_unknown, texts, whole_number
from kefu.dialogues import read_dialogues
from kefu.errors import KefuError
from kefu.strategy import (
    AGENT,
    OUTCOMES,
    USER,
    Choice,
    Exploration,
    History,
    Message,
    Scores,
    StrategyModel,
    TrainingArguments,
    choose,
    read_rules,
)
from kefu.strategy.decisions import read_decisions
from kefu.strategy.explanation import sentence
from kefu.strategy.model import Habit
from kefu.text_classifier.text import unmarked

logger = logging.getLogger(__name__)

ACTION_REPLY = "action_reply"
FEEDBACK_PREFIX = "/give_feedback"
# A prediction must beat RulePolicy's zeros and give way to its 1.0.
_LEAST, _MOST = 0.31, 0.99
_LOGGED = 5  # strategies kept in strategy_scores


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.POLICY_WITHOUT_END_TO_END_SUPPORT, is_trainable=True)
class StrategyPolicy(Policy):
    """Predicts ``action_reply`` with the strategy in slots, then another one or ``action_listen``; nothing else.

    The config takes ``dialogues`` (folders or files; the first must be there, the others are passed over while absent),
    ``decisions`` (a file of logged choices that `kefu retrain` writes, to learn from; passed over while absent),
    ``rules`` (the rule file), ``max_replies`` (replies a turn), ``exploration`` (how often a strategy is drawn in place
    of taking the best, 0 to 0.5, see kefu.strategy.exploration), ``exploration_temperature``, ``encoder``, ``seed`` and
    Rasa's ``priority``.
    """

    @staticmethod
    def get_default_config() -> Dict[Text, Any]:
        defaults = TrainingArguments()
        return {
            "dialogues": ["data/dialogues", "var/feedback/dialogues"],
            "decisions": "var/feedback/decisions.jsonl",
            "rules": "data/strategy_rules.yml",
            "max_replies": 2,
            "exploration": 0.0,
            "exploration_temperature": 1.0,
            "encoder": defaults.encoder,
            "seed": defaults.seed,
            "priority": 1,
        }

    @staticmethod
    def required_packages() -> List[Text]:
        return ["torch", "transformers", "onnxruntime"]

    def __init__(
        self,
        config: Dict[Text, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        model: Optional[StrategyModel] = None,
    ) -> None:
        super().__init__(config, model_storage, resource, execution_context)
        self._model = model
        self._exploration = exploration_of(self.config)

    @classmethod
    def create(
        cls,
        config: Dict[Text, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> "StrategyPolicy":
        check(config)
        return cls(config, model_storage, resource, execution_context)

    @classmethod
    def load(
        cls,
        config: Dict[Text, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> "StrategyPolicy":
        with model_storage.read_from(resource) as folder:
            return cls(config, model_storage, resource, execution_context, StrategyModel.load(folder))

    @classmethod
    def fingerprint_addon(cls, config: Dict[Text, Any]) -> Optional[Text]:
        """Digest of the dialogue, decision and rule files and the encoder's adapter: a changed one trains again."""
        known = cls.get_default_config()  # Rasa hands over another node's options where it has this one in its cache
        config = {**known, **{name: value for name, value in config.items() if name in known}}
        check(config)
        return digest_of([config["rules"], config["decisions"], *config["dialogues"]], config["encoder"])

    def train(self, training_trackers: List[TrackerWithCachedStates], domain: Domain, **kwargs: Any) -> Resource:
        """Learns from the dialogue files; Rasa's stories and rules are RulePolicy's."""
        if ACTION_REPLY not in domain.action_names_or_texts:
            raise InvalidConfigException(f"StrategyPolicy predicts {ACTION_REPLY!r}, which domain.yml does not name.")
        rules_file = Path(self.config["rules"])
        arguments = TrainingArguments(encoder=self.config["encoder"], seed=self.config["seed"])
        try:
            rules = read_rules(rules_file)
            dialogues = list(read_dialogues(self._present()))
            model = StrategyModel.train(dialogues, rules, arguments)
            if Path(self.config["decisions"]).is_file():
                model = model.learn(read_decisions(Path(self.config["decisions"])))
                logger.info("Feedback on strategies: %s.", (model.learned or {}).get("why"))
            with self._model_storage.write_to(self._resource) as folder:
                model.save(folder, rules_file)
        except KefuError as error:
            raise InvalidConfigException(f"StrategyPolicy: {error}") from error
        logger.info("Learned strategies from %d dialogues in %.0f s.", len(dialogues), model.seconds)
        return self._resource

    def _present(self) -> List[Path]:
        first, *others = map(Path, self.config["dialogues"])
        for path in others:
            if not path.exists():
                logger.info("There are no dialogues in %s yet.", path)
        return [first, *(p for p in others if p.exists())]

    def predict_action_probabilities(
        self,
        tracker: DialogueStateTracker,
        domain: Domain,
        rule_only_data: Optional[Dict[Text, Any]] = None,
        **kwargs: Any,
    ) -> PolicyPrediction:
        """``action_reply`` with the strategy and how it was chosen in slots (``told``), or ``action_listen``."""
        given = replies_given(tracker)
        left = (1 if tracker.active_loop_name else self.config["max_replies"]) - given
        if self._model is None or left <= 0 or is_over(tracker, given):
            return self._predict(domain, ACTION_LISTEN_NAME, _MOST)
        history = to_history(tracker)
        scores = self._model.score(history, left)
        if history.block and given and not scores.owed and scores.listen >= 0.5:
            return self._predict(domain, ACTION_LISTEN_NAME, scores.listen)
        choice = choose(scores.strategies, scores.open, self._exploration, tracker.sender_id, place_of(tracker, given))
        mattered = self._model.mattered(history, choice.strategy)
        logger.info(
            "%s: %s; %s.", tracker.sender_id, choice.strategy, sentence(scores.strategies, scores.fired, mattered)
        )
        events = told(scores, choice, self._model.stage(choice.strategy, history), left, mattered)
        return self._predict(domain, ACTION_REPLY, scores.strategies[choice.strategy], events)

    def _predict(
        self, domain: Domain, action: Text, confidence: float, events: Optional[List[Event]] = None
    ) -> PolicyPrediction:
        confidence = min(max(confidence, _LEAST), _MOST)
        return self._prediction(confidence_scores_for(action, confidence, domain), optional_events=events)

    def explain(self, tracker: DialogueStateTracker, observed: bool) -> Tuple[Scores, Dict[Text, float]]:
        """(scores, what of the conversation spoke for the best strategy), as ``rank``."""
        history = to_history(tracker, observed)
        scores = self.model.score(history, self.config["max_replies"])
        return scores, self.model.mattered(history, scores.best)

    def rank(
        self, tracker: DialogueStateTracker, observed: bool, habit: Optional[Habit] = None
    ) -> List[Tuple[Text, float]]:
        """(strategy, probability), best first, as though a reply were due.

        Args:
            observed: whether the slots tell what business actions found; False where only the texts are known.
            habit: see StrategyModel.score; the rules alone.
        """
        scores = self.model.score(to_history(tracker, observed), self.config["max_replies"], habit)
        return list(scores.strategies.items())

    @property
    def model(self) -> StrategyModel:
        """The trained model; InvalidConfigException before the training."""
        if self._model is None:
            raise InvalidConfigException("StrategyPolicy has not been trained. Train again: rasa train.")
        return self._model


def check(config: Dict[Text, Any]) -> None:
    """Raises InvalidConfigException that names key and value of the first option that cannot be."""
    component = StrategyPolicy.__name__
    refuse_unknown(component, config, StrategyPolicy.get_default_config())
    texts(component, config, "dialogues")
    for key in ("rules", "encoder", "decisions"):
        if not isinstance(config[key], str) or not config[key]:
            raise InvalidConfigException(f"{component}: {key!r} must be a text. But it was: {config[key]!r}")
    whole_number(component, config, "max_replies", least=1)
    whole_number(component, config, "seed", least=0)
    for key in ("exploration", "exploration_temperature"):
        if not isinstance(config[key], (int, float)) or isinstance(config[key], bool):
            raise InvalidConfigException(f"{component}: {key!r} must be a number. But it was: {config[key]!r}")
    try:
        exploration_of(config)
    except KefuError as error:
        raise InvalidConfigException(f"{component}: 'exploration' and 'exploration_temperature': {error}") from error
    whole_number(component, config, "priority", least=0)
    if not config["dialogues"] or not Path(config["dialogues"][0]).exists():
        raise InvalidConfigException(
            f"{component}: 'dialogues' begins with a folder that is there. But it was: {config['dialogues']!r}"
        )
    if not Path(config["rules"]).is_file():
        raise InvalidConfigException(f"{component}: 'rules' names no file: {config['rules']!r}")


def exploration_of(config: Dict[Text, Any]) -> Exploration:
    """What the options say of trying other strategies.

    Raises:
        SettingsError: a value cannot be.
    """
    return Exploration(config["exploration"], config["exploration_temperature"], config["seed"])


def told(scores: Scores, choice: Choice, stage: Text, left: int, mattered: Dict[Text, float]) -> List[Event]:
    """The slots that tell action_reply, and the records, what was chosen and why.

    ``mattered`` in ``strategy_scores`` is what of the conversation spoke for the strategy (StrategyModel.mattered).
    ``strategy_probability`` is the model's for the strategy; ``propensity`` in ``strategy_scores`` is the probability
    with which this policy, its trying included, takes it here.
    """
    top = {name: round(p, 4) for name, p in list(scores.strategies.items())[:_LOGGED]}
    why = {
        "scores": top,
        "rules": list(scores.fired),
        "mattered": mattered,
        "listen": round(scores.listen, 4),
        "propensity": round(choice.propensity, 6),
        "explored": choice.explored,
        "among": list(choice.among),
        "open": list(scores.open),
        "replies_left": left,
    }
    return [
        SlotSet("strategy", choice.strategy),
        SlotSet("stage", stage),
        SlotSet("strategy_scores", why),
        SlotSet("strategy_probability", round(scores.strategies[choice.strategy], 4)),
    ]


def place_of(tracker: DialogueStateTracker, given: int) -> int:
    """The number of this choice in the conversation, for the draw: it counts over sessions."""
    return 10 * sum(isinstance(e, UserUttered) for e in tracker.events) + given


def this_turn(tracker: DialogueStateTracker) -> List[Event]:
    """The events since the customer's last message, that message included; empty before the first."""
    events = session(tracker)
    start = next((i for i in range(len(events) - 1, -1, -1) if isinstance(events[i], UserUttered)), len(events))
    return events[start:]


def session(tracker: DialogueStateTracker) -> List[Event]:
    """The events since the session began. Rasa's applied_events() leaves out what was said within a form."""
    events: List[Event] = []
    for event in tracker.events:
        if isinstance(event, (Restarted, SessionStarted)):
            events = []
        elif isinstance(event, UserUtteranceReverted):
            while events and not isinstance(events.pop(), UserUttered):
                pass
        else:
            events.append(event)
    return events


def replies_given(tracker: DialogueStateTracker) -> int:
    """How often action_reply has run in this turn, whether or not it spoke."""
    return sum(isinstance(e, ActionExecuted) and e.action_name == ACTION_REPLY for e in this_turn(tracker))


def is_over(tracker: DialogueStateTracker, given: int) -> bool:
    """Whether nothing is to be said any more: clicked feedback, a form that has asked, a reply that failed."""
    turn = this_turn(tracker)
    if not turn or (turn[0].text or "").startswith(FEEDBACK_PREFIX):
        return True
    if any(isinstance(e, ActionExecutionRejected) and e.action_name == ACTION_REPLY for e in turn):
        return True
    uttered = sum(isinstance(e, BotUttered) for e in turn)
    if uttered < given:  # the action server did not answer; asking again would not help
        return True
    if tracker.active_loop_name:
        return uttered > given or not tracker.is_active_loop_rejected
    return False


def to_history(tracker: DialogueStateTracker, observed: bool = True) -> History:
    """The tracker's messages since the session began, with what the slots tell of this turn."""
    if not observed:
        return History(messages_of(tracker), observed=False)
    facts = tracker.get_slot("facts") or {}
    new = [key for key in tracker.get_slot("new_facts") or [] if key in facts]
    outcome = tracker.get_slot("outcome")
    return History(
        messages_of(tracker),
        frozenset(facts),
        frozenset(new),
        outcome if outcome in OUTCOMES else "none",
        order_id=bool(tracker.get_slot("order_id")),
        phone=bool(tracker.get_slot("phone_tail")),
        handed_over=bool(tracker.get_slot("handed_over")),
    )


def messages_of(tracker: DialogueStateTracker) -> List[Message]:
    """Customers' and agents' messages; clicked feedback is none."""
    messages = []
    for event in session(tracker):
        if isinstance(event, UserUttered):
            text = event.text or ""
            if text.startswith(FEEDBACK_PREFIX):
                continue
            parsed = event.parse_data or {}
            intents = _distribution(parsed.get("intent_ranking"), event.intent)
            emotions = _distribution(parsed.get("emotion_ranking"), parsed.get("emotion"))
            messages.append(Message(USER, "" if text.startswith("/") else unmarked(text), intents, emotions))
        elif isinstance(event, BotUttered) and event.text:
            strategy = (event.metadata or {}).get("strategy")
            messages.append(Message(AGENT, unmarked(event.text), strategies={strategy: 1.0} if strategy else {}))
    return messages


def _distribution(ranking: Any, best: Any) -> Dict[Text, float]:
    ranked = ranking or ([best] if best else [])
    return {r["name"]: float(r.get("confidence") or 0.0) for r in ranked if r.get("name")}
