"""Order ids, phones, amounts, dates … by pattern; products, colours, sizes by a trained spaCy recogniser."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Text

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import ENTITIES, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from components.options import refuse_unknown, whole_number
from kefu.entities import LABELS, Span, find_spans, load_tagger, tag, train_tagger, without_overlaps
from kefu.errors import DataError

_LONGEST = 512  # characters; what stands behind is not searched for products


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=True)
class SpacyEntityExtractor(GraphComponent):
    """Adds the spans of kefu.entities to ``entities``. Config: ``epochs`` and ``seed`` of the recogniser's training."""

    @staticmethod
    def get_default_config() -> Dict[Text, Any]:
        return {"epochs": 12, "seed": 7}

    @staticmethod
    def required_packages() -> List[Text]:
        return ["spacy"]

    def __init__(
        self, config: Dict[Text, Any], storage: ModelStorage, resource: Resource, nlp: Optional[Any] = None
    ) -> None:
        self._config, self._storage, self._resource, self._nlp = config, storage, resource, nlp

    @classmethod
    def create(
        cls,
        config: Dict[Text, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> "SpacyEntityExtractor":
        refuse_unknown(cls.__name__, config, cls.get_default_config())
        whole_number(cls.__name__, config, "epochs", least=1)
        whole_number(cls.__name__, config, "seed", least=0)
        return cls(config, model_storage, resource)

    @classmethod
    def load(
        cls,
        config: Dict[Text, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> "SpacyEntityExtractor":
        with model_storage.read_from(resource) as folder:
            return cls(config, model_storage, resource, load_tagger(folder / "tagger"))

    def train(self, training_data: TrainingData) -> Resource:
        """Trains the recogniser on the annotated examples."""
        examples = []
        for message in training_data.nlu_examples:
            spans = [
                Span(e["entity"], e["start"], e["end"], e["value"])
                for e in message.get(ENTITIES, [])
                if e["entity"] in LABELS
            ]
            examples.append((message.get(TEXT), spans))
        try:
            nlp = train_tagger(examples, self._config["epochs"], self._config["seed"])
        except DataError as error:
            raise InvalidConfigException(f"{type(self).__name__}: {error}") from error
        with self._storage.write_to(self._resource) as folder:
            nlp.to_disk(folder / "tagger")
        return self._resource

    def process(self, messages: List[Message]) -> List[Message]:
        """Adds the spans found in each message's text."""
        for message in messages:
            text = message.get(TEXT) or ""
            if not text.strip():
                continue
            spans = find_spans(text)
            if self._nlp is not None:
                # Half a surrogate pair, which broken clients send, is nothing that spaCy can store.
                storable = text[:_LONGEST].encode("utf-8", "replace").decode("utf-8")
                spans += without_overlaps(tag(self._nlp, storable), spans)
            entities = [
                {"entity": s.entity, "value": s.value, "start": s.start, "end": s.end, "extractor": type(self).__name__}
                for s in sorted(spans, key=lambda s: s.start)
            ]
            message.set(ENTITIES, [*message.get(ENTITIES, []), *entities], add_to_output=True)
        return messages
