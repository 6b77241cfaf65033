"""Fine-tuned encoders that label messages: training, export, serving.

>>> trained = train(examples, [Task("intent", intents), Task("emotion", emotions, sees="intent")], TrainingArguments())
>>> classifier = Classifier(save(trained, folder, max_tokens=192))
>>> classifier.predict("都五天了钱怎么还没退回来").best("intent")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kefu.text_classifier.arguments import TrainingArguments
from kefu.text_classifier.classifier import Classifier, Prediction, save
from kefu.text_classifier.examples import Example

if TYPE_CHECKING:
    from kefu.text_classifier.model import MultiTaskClassifier, Task
    from kefu.text_classifier.trainer import Trained, train

__all__ = [
    "Classifier",
    "Example",
    "MultiTaskClassifier",
    "Prediction",
    "Task",
    "Trained",
    "TrainingArguments",
    "save",
    "train",
]


def __getattr__(name: str) -> Any:  # torch takes seconds to import; serving does without it
    import importlib

    if name in ("MultiTaskClassifier", "Task"):
        return getattr(importlib.import_module("kefu.text_classifier.model"), name)
    if name in ("Trained", "train"):
        return getattr(importlib.import_module("kefu.text_classifier.trainer"), name)
    raise AttributeError(name)
