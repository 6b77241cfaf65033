"""Order ids, phones, amounts, dates … by pattern; products, colours, sizes by words and a trained spaCy recogniser."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, Optional, Text

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import ENTITIES, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from components.options import catalogue, product_names, refuse_unknown, whole_number
from kefu.entities import LABELS, Span, load_tagger, product_words, recognise, train_tagger
from kefu.errors import DataError


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=True)
class SpacyEntityExtractor(GraphComponent):
    """Adds the spans of kefu.entities to ``entities``.

    Config:
        epochs, seed: of the recogniser's training.
        products: a YAML list of products whose ``name`` and ``aliases`` are found wherever they stand; '' for none.
    """

    @staticmethod
    def get_default_config() -> Dict[Text, Any]:
        return {"epochs": 12, "seed": 7, "products": ""}

    @staticmethod
    def required_packages() -> List[Text]:
        return ["spacy"]

    def __init__(
        self,
        config: Dict[Text, Any],
        storage: ModelStorage,
        resource: Resource,
        nlp: Optional[Any] = None,
        words: FrozenSet[Text] = frozenset(),
    ) -> None:
        self._config, self._storage, self._resource, self._nlp, self._words = config, storage, resource, nlp, words

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
        catalogue(cls.__name__, config, "products")
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
            file = folder / "words.json"  # models of before the list have none
            words = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
            return cls(config, model_storage, resource, load_tagger(folder / "tagger"), frozenset(words))

    @classmethod
    def fingerprint_addon(cls, config: Dict[Text, Any]) -> Optional[Text]:
        """Digest of the catalogue, so that a new product trains again."""
        file = Path(str({**cls.get_default_config(), **config}["products"]))
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None

    def train(self, training_data: TrainingData) -> Resource:
        """Trains the recogniser on the annotated examples, and collects the words for products."""
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
        words = product_words(examples, product_names(type(self).__name__, self._config, "products"))
        with self._storage.write_to(self._resource) as folder:
            nlp.to_disk(folder / "tagger")
            (folder / "words.json").write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
        return self._resource

    def process(self, messages: List[Message]) -> List[Message]:
        """Adds the spans found in each message's text."""
        for message in messages:
            text = message.get(TEXT) or ""
            if not text.strip():
                continue
            spans = recognise(text, self._nlp, self._words)
            entities = [
                {"entity": s.entity, "value": s.value, "start": s.start, "end": s.end, "extractor": type(self).__name__}
                for s in spans
            ]
            message.set(ENTITIES, [*message.get(ENTITIES, []), *entities], add_to_output=True)
        return messages
