"""Trains intent and emotion on data/ with some arguments changed, and prints the figures on the held-out files.

    python benchmarks/nlu_experiment.py --transcripts ../shared/data/jddc/valid_dialogues.jsonl \
        --variant "plain:" --variant "r-drop: r_drop=0.5" --variant "no context: context=false"

A variant is a name, a colon and training arguments as name=value, comma-separated; besides the fields of
TrainingArguments there are ``context`` (false hides every previous turn, in training and evaluation), ``sees`` (false
keeps the intent from the emotion head), ``emotion_weight``, ``flow`` (how much the message before weighs) and
``dialogues`` (false leaves their turns out). Models are measured as they are served, in int8; --only FOLDER measures
what an earlier run left there. Figures in docs/experiments.md come from here.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml

from kefu.dialogues import read_dialogues
from kefu.evaluation.nlu import NluRow, evaluate_nlu, read_nlu_rows
from kefu.taxonomy import EMOTIONS
from kefu.text_classifier import Classifier, Task, TrainingArguments, train
from kefu.text_classifier.classifier import save
from kefu.text_classifier.flow import Flow, Ranking
from kefu.text_classifier.text import history, normalise
from kefu.text_classifier.training import labelled


@dataclass(frozen=True)
class Reading:
    """What the components of the pipeline would make of a message."""

    intent: str
    intent_confidence: float
    emotion: str
    latency_ms: float


class Served:
    """Reads messages as BertIntentClassifier and BertEmotionClassifier do, without Rasa.

    Args:
        turns: how many of the turns said before are read, none for 0.
        flow: what the customer's message before says of the next.
    """

    def __init__(self, classifier: Classifier, flow: Flow | None, turns: int) -> None:
        self.classifier, self.flow, self.turns = classifier, flow, turns

    def parse(self, text: str, context: str | None = None, before: Sequence[Sequence[str]] = ()) -> Reading:
        said = ([("agent", context)] if context else list(before))[-self.turns :] if self.turns else []
        started = time.perf_counter()
        agent = customer = None
        believed: Ranking = ()
        for speaker, words in said:
            if speaker == "agent":
                agent = words
                continue
            if self.flow is not None and normalise(words):
                believed = self.flow.read(self._predict(words, agent, customer)["intent"], believed)
            customer = words
        rankings = self._predict(text, agent, customer)
        intents = self.flow.read(rankings["intent"], believed) if self.flow is not None else rankings["intent"]
        return Reading(*intents[0], felt(rankings["emotion"]), (time.perf_counter() - started) * 1000)

    def _predict(self, text: str, agent: str | None, customer: str | None) -> Mapping[str, Ranking]:
        return self.classifier.predict(text, history(agent, customer)).rankings


def felt(ranking: Ranking, threshold: float = 0.35) -> str:
    """The emotion that BertEmotionClassifier would tell."""
    return ranking[0][0] if ranking[0][1] >= threshold else "neutral"


def run(
    variant: dict[str, Any], arguments: TrainingArguments, sets: dict[str, list[NluRow]], folder: Path
) -> dict[str, Any]:
    """Trains once, saves the served model into ``folder``, measures it on every set."""
    context, sees = variant.pop("context", True), variant.pop("sees", True)
    weight, dialogues, flow = (
        variant.pop(k, v) for k, v in (("emotion_weight", 0.7), ("dialogues", True), ("flow", 0.5))
    )
    arguments = replace(arguments, **variant)
    examples = labelled(Path("data"), dialogues)
    if not context:
        examples = [replace(e, context=None) for e in examples]
    tasks = [
        Task("intent", tuple(sorted({e.labels["intent"] for e in examples}))),
        Task("emotion", tuple(EMOTIONS), sees="intent" if sees else None),
    ]
    started = time.perf_counter()
    trained = train(examples, tasks, arguments, {"emotion": weight}, on_epoch=lambda f: print(f"    {f}", flush=True))
    seconds = time.perf_counter() - started
    classifier = Classifier(save(trained, folder, arguments.max_tokens))
    learned = Flow.learn(read_dialogues([Path("data/dialogues")]), tasks[0].labels, flow)
    learned.save(folder)
    return {"examples": len(examples), "seconds": seconds, **measured(classifier, learned, sets)}


def measured(classifier: Classifier, flow: Flow | None, sets: Mapping[str, Sequence[NluRow]]) -> dict[str, Any]:
    """The figures of every set with everything, without the flow of intents, and without any context."""
    ways = {"": (flow, 12), ", no flow": (None, 12), ", no context": (None, 0)}
    return {
        f"{name}{way}": evaluate_nlu(Served(classifier, used, turns), rows)
        for name, rows in sets.items()
        for way, (used, turns) in ways.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--variant", action="append", default=[], help='"name: argument=value, …"')
    parser.add_argument("--transcripts", type=Path, help="the transcripts that benchmarks/jddc names turns of")
    parser.add_argument("--models", type=Path, default=Path("var/experiments"), help="a folder for the models")
    parser.add_argument("--config", type=Path, default=Path("config.yml"), help="its intent classifier's arguments")
    parser.add_argument("--only", type=Path, help="measure the model in this folder and train none")
    options = parser.parse_args()
    pipeline = yaml.safe_load(options.config.read_text(encoding="utf-8"))["pipeline"]
    config = next(c for c in pipeline if c["name"].endswith("BertIntentClassifier"))
    arguments = TrainingArguments.from_config(config)
    sets = {"held_out": read_nlu_rows(Path("data/heldout/nlu.jsonl"))}
    if options.transcripts:
        sets["jddc"] = read_nlu_rows(Path("benchmarks/jddc/nlu.jsonl"), options.transcripts)
    if options.only:
        found = measured(Classifier(options.only), Flow.load(options.only), sets)
        print(json.dumps(found, ensure_ascii=False), flush=True)
    for text in options.variant:
        name, _, settings = text.partition(":")
        pairs = [s.split("=") for s in settings.split(",") if s.strip()]
        found = run({k.strip(): yaml.safe_load(v) for k, v in pairs}, arguments, sets, options.models / name)
        print(json.dumps({"variant": name, **found}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
