"""Chinese word segmentation through spaCy's jieba, with the shop's own words."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Dict, List, Optional, Text

import spacy
from rasa.engine.graph import ExecutionContext
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.tokenizers.tokenizer import Token, Tokenizer
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from components.options import catalogue, product_names, refuse_unknown, texts


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_TOKENIZER, is_trainable=True)
class SpacyChineseTokenizer(Tokenizer):
    """Splits Chinese text into words; what is trained is the list of the shop's words.

    Config:
        products: a YAML list of products whose ``name`` and ``aliases`` are words of their own; '' for none.
        words: further words.
    """

    @staticmethod
    def get_default_config() -> Dict[Text, Any]:
        return {
            "intent_tokenization_flag": False,
            "intent_split_symbol": "_",
            "token_pattern": None,
            "products": "data/shop/products.yml",
            "words": [],
        }

    @staticmethod
    def required_packages() -> List[Text]:
        return ["spacy", "jieba"]

    def __init__(self, config: Dict[Text, Any], storage: ModelStorage, resource: Resource, words: List[Text]) -> None:
        super().__init__(config)
        self._storage, self._resource = storage, resource
        self._nlp = spacy.blank("zh", config={"nlp": {"tokenizer": {"segmenter": "jieba"}}})
        self._add(words)

    @classmethod
    def create(
        cls,
        config: Dict[Text, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> "SpacyChineseTokenizer":
        refuse_unknown(cls.__name__, config, cls.get_default_config())
        texts(cls.__name__, config, "words")
        catalogue(cls.__name__, config, "products")
        try:
            re.compile(config["token_pattern"] or "")
        except (re.error, TypeError) as error:
            raise InvalidConfigException(
                f"{cls.__name__}: 'token_pattern' must be a regular expression ({error}). "
                f"But it was: {config['token_pattern']!r}"
            ) from None
        return cls(config, model_storage, resource, [])

    @classmethod
    def load(
        cls,
        config: Dict[Text, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> "SpacyChineseTokenizer":
        with model_storage.read_from(resource) as folder:
            words = json.loads((folder / "words.json").read_text(encoding="utf-8"))
        return cls(config, model_storage, resource, words)

    @classmethod
    def fingerprint_addon(cls, config: Dict[Text, Any]) -> Optional[Text]:
        """Digest of the catalogue, so that a new product trains again."""
        file = Path(str({**cls.get_default_config(), **config}["products"]))
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None

    def train(self, training_data: TrainingData) -> Resource:
        """Collects the shop's words: configured ones, product names, and the products that examples annotate."""
        words = set(self._config["words"])
        words.update(product_names(type(self).__name__, self._config, "products"))
        for example in training_data.entity_examples:
            words.update(e["value"] for e in example.get("entities", []) if e.get("entity") == "product")
        kept = sorted(w for w in words if 1 < len(w) <= 12)
        with self._storage.write_to(self._resource) as folder:
            (folder / "words.json").write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
        self._add(kept)
        return self._resource

    def _add(self, words: List[Text]) -> None:
        if words:
            import jieba

            for word in words:
                jieba.add_word(word)

    def tokenize(self, message: Message, attribute: Text) -> List[Token]:
        """The words of ``attribute`` with their positions; white space is no word."""
        # Half a surrogate pair, which broken clients send, is nothing that spaCy can store.
        text = message.get(attribute).encode("utf-8", "replace").decode("utf-8")
        tokens = [Token(word.text, word.idx) for word in self._nlp(text) if not word.is_space]
        return self._apply_token_pattern(tokens) if self.token_pattern_regex else tokens
