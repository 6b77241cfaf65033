"""The emotion of a message, read off the head that sees the predicted intent."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Text, Type

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.constants import ENTITIES, TEXT
from rasa.shared.nlu.training_data.message import Message

from components.intent_classifier import PREDICTION, BertIntentClassifier
from components.options import number, refuse_unknown
from kefu.text_classifier import Prediction


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=False)
class BertEmotionClassifier(GraphComponent):
    """Sets ``emotion``, ``emotion_ranking`` and an ``emotion`` entity over the whole message.

    It shares the encoder of BertIntentClassifier, so a message is encoded once. Config: ``threshold``, the confidence
    below which a message counts as neutral.
    """

    @staticmethod
    def get_default_config() -> Dict[Text, Any]:
        return {"threshold": 0.35}

    @classmethod
    def required_components(cls) -> List[Type[GraphComponent]]:
        return [BertIntentClassifier]

    def __init__(self, config: Dict[Text, Any]) -> None:
        self._threshold = float(config["threshold"])

    @classmethod
    def create(
        cls,
        config: Dict[Text, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> "BertEmotionClassifier":
        refuse_unknown(cls.__name__, config, cls.get_default_config())
        number(cls.__name__, config, "threshold", below=1)
        return cls(config)

    def process(self, messages: List[Message]) -> List[Message]:
        """Adds the emotion to each message that BertIntentClassifier has read."""
        for message in messages:
            prediction: Optional[Prediction] = message.get(PREDICTION)
            if prediction is None or "emotion" not in prediction.rankings:
                continue
            ranking = [{"name": n, "confidence": c} for n, c in prediction.rankings["emotion"]]
            best = ranking[0]
            if best["confidence"] < self._threshold:
                best = next(r for r in ranking if r["name"] == "neutral")
            message.set("emotion", dict(best), add_to_output=True)
            message.set("emotion_ranking", ranking, add_to_output=True)
            entity = {
                "entity": "emotion",
                "value": best["name"],
                "start": 0,
                "end": len(message.get(TEXT)),
                "confidence_entity": best["confidence"],
                "extractor": type(self).__name__,
            }
            message.set(ENTITIES, [*message.get(ENTITIES, []), entity], add_to_output=True)
        return messages
