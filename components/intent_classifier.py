"""A fine-tuned encoder with two heads, intent and emotion; this component owns it and reads the intent off."""

from __future__ import annotations

import logging
from typing import Any, Dict, List, Optional, Text, Type

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.core.events import BotUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import INTENT, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from kefu.errors import KefuError, SettingsError
from kefu.taxonomy import EMOTIONS
from kefu.text_classifier import Classifier, Example, Prediction, TrainingArguments, save

logger = logging.getLogger(__name__)
PREDICTION = "kefu_prediction"  # message key under which the emotion classifier finds both heads' output
_RANKED = 10  # intents in intent_ranking, as Rasa's own classifiers give


def to_example(message: Message) -> Optional[Example]:
    """The training example of a message, with emotion and context from its metadata; None where it has no intent."""
    metadata = (message.get("metadata") or {}).get("example") or {}
    if not message.get(INTENT) or not message.get(TEXT):
        return None
    labels = {"intent": message.get(INTENT)}
    emotion = metadata.get("emotion")
    if emotion is not None:
        if emotion not in EMOTIONS:
            raise InvalidConfigException(
                f"The example {message.get(TEXT)!r} has emotion {emotion!r}. Emotions are: {', '.join(EMOTIONS)}."
            )
        labels["emotion"] = emotion
    return Example(message.get(TEXT), labels, metadata.get("context"))


def previous_turn(tracker: Optional[DialogueStateTracker]) -> Optional[Text]:
    """What the agent said last in the conversation so far."""
    if tracker is None:
        return None
    for event in reversed(tracker.events):
        if isinstance(event, BotUttered) and event.text:
            return event.text
    return None


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class BertIntentClassifier(GraphComponent):
    """Fine-tunes kefu.text_classifier on the NLU examples and predicts a calibrated ``intent``.

    The config takes the fields of TrainingArguments, ``emotion_weight`` (share of the emotion task in the loss) and
    ``threads`` (CPU threads of a prediction). Messages keep both heads' output for BertEmotionClassifier.
    """

    @staticmethod
    def get_default_config() -> Dict[Text, Any]:
        arguments = {name: f.default for name, f in TrainingArguments.__dataclass_fields__.items()}
        return {**arguments, "emotion_weight": 0.7, "threads": 1}

    @staticmethod
    def required_packages() -> List[Text]:
        return ["torch", "transformers", "onnxruntime"]

    def __init__(
        self,
        config: Dict[Text, Any],
        storage: ModelStorage,
        resource: Resource,
        classifier: Optional[Classifier] = None,
    ) -> None:
        self._config, self._storage, self._resource, self._classifier = config, storage, resource, classifier
        try:
            self._arguments = TrainingArguments.from_config(config)
        except SettingsError as error:
            raise InvalidConfigException(f"{type(self).__name__}: {error}") from error

    @classmethod
    def create(
        cls, config: Dict[Text, Any], model_storage: ModelStorage, resource: Resource, execution_context: ExecutionContext
    ) -> "BertIntentClassifier":
        unknown = sorted(set(config) - set(cls.get_default_config()))
        if unknown:
            raise InvalidConfigException(
                f"{cls.__name__} has no option {unknown[0]!r} (value {config[unknown[0]]!r}). "
                f"Options are: {', '.join(cls.get_default_config())}."
            )
        return cls(config, model_storage, resource)

    @classmethod
    def load(
        cls,
        config: Dict[Text, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> "BertIntentClassifier":
        with model_storage.read_from(resource) as folder:
            return cls(config, model_storage, resource, Classifier(folder, int(config["threads"])))

    def train(self, training_data: TrainingData) -> Resource:
        """Fine-tunes, exports to ONNX int8, checks the export against torch."""
        from kefu.text_classifier.training import train_joint

        examples = [e for m in training_data.nlu_examples if (e := to_example(m)) is not None]
        try:
            with self._storage.write_to(self._resource) as folder:
                train_joint(examples, self._arguments, float(self._config["emotion_weight"]), folder)
        except KefuError as error:
            raise InvalidConfigException(f"{type(self).__name__}: {error}") from error
        return self._resource

    def process(self, messages: List[Message], tracker: Optional[DialogueStateTracker] = None) -> List[Message]:
        """Sets ``intent`` and ``intent_ranking``; the previous agent turn is read from ``tracker`` where there is one."""
        context = previous_turn(tracker)
        for message in messages:
            text = message.get(TEXT) or ""
            if not text.strip() or self._classifier is None:
                message.set(INTENT, {"name": None, "confidence": 0.0}, add_to_output=True)
                message.set("intent_ranking", [], add_to_output=True)
                continue
            prediction: Prediction = self._classifier.predict(text, message.get("context") or context)
            ranking = [{"name": n, "confidence": c} for n, c in prediction.rankings["intent"][:_RANKED]]
            message.set(INTENT, dict(ranking[0]), add_to_output=True)
            message.set("intent_ranking", ranking, add_to_output=True)
            message.set(PREDICTION, prediction)
        return messages


