"""A fine-tuned encoder with two heads, intent and emotion; this component owns it and reads the intent off."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Text, Tuple

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.core.events import BotUttered, Restarted, SessionStarted, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import INTENT, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from components import offload
from components.options import digest_of, number, refuse_unknown, texts, whole_number
from kefu.dialogues import Dialogue, read_dialogues
from kefu.errors import KefuError, SettingsError
from kefu.taxonomy import EMOTIONS
from kefu.text_classifier import Classifier, Example, Prediction, TrainingArguments
from kefu.text_classifier.examples import from_dialogues
from kefu.text_classifier.flow import Flow
from kefu.text_classifier.text import history, normalise

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


def dialogues_in(paths: List[Text]) -> List[Dialogue]:
    """The dialogues of files and folders; absent ones are passed over."""
    return list(read_dialogues([p for p in map(Path, paths) if p.exists()]))


def turns_before(tracker: Optional[DialogueStateTracker]) -> Optional[Text]:
    """What the agent said last in the conversation so far, and the customer before that, as one context."""
    agent = customer = None
    for event in reversed(tracker.events) if tracker else ():
        if isinstance(event, BotUttered) and event.text:
            agent = agent or event.text
        elif isinstance(event, UserUttered) and event.text and not event.text.startswith("/"):
            customer = customer or event.text
        if agent and customer:
            break
    return history(agent, customer)


def _kept(folder: Path) -> Path:
    """A copy of a stored classifier that outlives the storage's own, for this process."""
    copy = Path(tempfile.mkdtemp(prefix="kefu-finetune-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    return copy


def ranking_before(tracker: Optional[DialogueStateTracker]) -> List[Tuple[Text, float]]:
    """The intents of the customer's message before, likeliest first; empty where there was none or it was a click."""
    for event in reversed(tracker.events) if tracker else ():
        if isinstance(event, (Restarted, SessionStarted)):
            break
        if isinstance(event, UserUttered) and event.text:
            ranked = (event.parse_data or {}).get("intent_ranking") or []
            return [(r["name"], float(r.get("confidence") or 0.0)) for r in ranked if r.get("name")]
    return []


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class BertIntentClassifier(GraphComponent):
    """Fine-tunes kefu.text_classifier on the NLU examples and predicts a calibrated ``intent``.

    The config takes the fields of TrainingArguments, ``dialogues`` (folders whose customers' turns are examples too,
    each in its context, and which teach how intents follow one another), ``flow`` (how much the customer's message
    before weighs, 0 for not at all), ``emotion_weight`` (share of the emotion task in the loss), ``threads`` (CPU
    threads of a prediction) and ``report`` (a folder for pictures and tables of the training; empty for none). Messages
    keep both heads' output for BertEmotionClassifier.
    """

    @staticmethod
    def get_default_config() -> Dict[Text, Any]:
        arguments = {name: f.default for name, f in TrainingArguments.__dataclass_fields__.items()}
        return {**arguments, "dialogues": [], "flow": 0.5, "emotion_weight": 0.7, "threads": 1, "report": ""}

    @staticmethod
    def required_packages() -> List[Text]:
        return ["torch", "transformers", "onnxruntime"]

    def __init__(
        self,
        config: Dict[Text, Any],
        storage: ModelStorage,
        resource: Resource,
        classifier: Optional[Classifier] = None,
        flow: Optional[Flow] = None,
        previous: Optional[Path] = None,
    ) -> None:
        self._config, self._storage, self._resource, self._classifier = config, storage, resource, classifier
        self._flow, self._previous = flow, previous
        try:
            self._arguments = TrainingArguments.from_config(config)
        except SettingsError as error:
            raise InvalidConfigException(f"{type(self).__name__}: {error}") from error

    @classmethod
    def create(
        cls,
        config: Dict[Text, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> "BertIntentClassifier":
        refuse_unknown(cls.__name__, config, cls.get_default_config())
        texts(cls.__name__, config, "dialogues")
        number(cls.__name__, config, "emotion_weight", below=100)
        number(cls.__name__, config, "flow", below=10)
        if not isinstance(config["report"], str):
            raise InvalidConfigException(f"{cls.__name__}: 'report' must be a text. But it was: {config['report']!r}")
        whole_number(cls.__name__, config, "threads", least=1)
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
            if execution_context.is_finetuning:
                return cls(config, model_storage, resource, previous=_kept(folder))
            offload.install()
            return cls(config, model_storage, resource, Classifier(folder, int(config["threads"])), Flow.load(folder))

    @classmethod
    def fingerprint_addon(cls, config: Dict[Text, Any]) -> Optional[Text]:
        """Digest of the dialogue files and the encoder's adapter, so that a changed one trains again."""
        config = {**cls.get_default_config(), **config}
        texts(cls.__name__, config, "dialogues")
        return digest_of(config["dialogues"], str(config["encoder"]))

    def train(self, training_data: TrainingData) -> Resource:
        """Fine-tunes, exports to ONNX int8, checks the export against torch.

        With ``rasa train --finetune`` it goes on from the model before. Rasa hands over all examples, old and new, so
        that no label is forgotten.
        """
        from kefu.text_classifier.training import train_joint

        examples = [e for m in training_data.nlu_examples if (e := to_example(m)) is not None]
        try:
            dialogues = dialogues_in(self._config["dialogues"])
            examples += from_dialogues(dialogues)
            with self._storage.write_to(self._resource) as folder:
                report = Path(self._config["report"]) if self._config["report"] else None
                weight = float(self._config["emotion_weight"])
                trained = train_joint(examples, self._arguments, weight, folder, report, self._previous)
                if dialogues and self._config["flow"]:
                    Flow.learn(dialogues, trained.network.tasks[0].labels, float(self._config["flow"])).save(folder)
        except KefuError as error:
            raise InvalidConfigException(f"{type(self).__name__}: {error}") from error
        return self._resource

    def process(self, messages: List[Message], tracker: Optional[DialogueStateTracker] = None) -> List[Message]:
        """Sets ``intent`` and ``intent_ranking``; the turns before are read from ``tracker``."""
        context, before = turns_before(tracker), ranking_before(tracker)
        for message in messages:
            text = message.get(TEXT) or ""
            if not normalise(text) or self._classifier is None:
                message.set(INTENT, {"name": None, "confidence": 0.0}, add_to_output=True)
                message.set("intent_ranking", [], add_to_output=True)
                continue
            prediction: Prediction = self._classifier.predict(text, message.get("context") or context)
            ranked = prediction.rankings["intent"]
            if self._flow is not None:
                ranked = self._flow.read(ranked, before)
            ranking = [{"name": n, "confidence": c} for n, c in ranked[:_RANKED]]
            message.set(INTENT, dict(ranking[0]), add_to_output=True)
            message.set("intent_ranking", ranking, add_to_output=True)
            message.set(PREDICTION, prediction)
        return messages
