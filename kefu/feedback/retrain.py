"""Closes the loop: reviewed feedback into the training data, a new model, a contest with the old one, the switch."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kefu.errors import ModelError, NotFound
from kefu.feedback.choices import stored_decisions
from kefu.feedback.export import Export, gather, write
from kefu.feedback.guard import Limits
from kefu.feedback.measure import Comparison, Sets, compare, measure_apart, read_rows
from kefu.feedback.policies import GATHER, MARGIN, Contest, Split, contest, split
from kefu.feedback.registry import (
    CANDIDATES,
    CHALLENGER,
    Registry,
    adopt,
    locked,
    read_registry,
    record_of,
    stamp,
    verify,
    write_registry,
)
from kefu.feedback.server import LEFT, Switch, switch
from kefu.feedback.store import ReviewStore
from kefu.strategy.correction import LearningArguments
from kefu.strategy.decisions import write_decisions

Measure = Callable[[Path, Sets], dict[str, Any]]
Train = Callable[[Sequence[str], Path], None]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """Where things are and how to go about it.

    Attributes:
        state: folder for exports and logs; exports go to state/feedback.
        tolerance: see ``measure.compare``.
        server: URL of the Rasa server to switch; None leaves it alone.
        generator_from: better replies from which on training the generator is worth while.
        policy_margin: reward a choice that the new strategy policy may lose, by the lower bound of the difference.
    """

    data: Path = Path("data")
    domain: Path = Path("domain.yml")
    config: Path = Path("config.yml")
    models: Path = Path("models")
    state: Path = Path("var")
    limits: Limits = field(default_factory=Limits)
    tolerance: float | None = None
    server: str | None = None
    token: str = ""
    generator_from: int = 50
    policy_margin: float = MARGIN

    @property
    def exports(self) -> Path:
        """The folder of exports."""
        return self.state / "feedback"

    @property
    def decisions(self) -> Path:
        """The file of logged choices that StrategyPolicy learns from."""
        return self.exports / "decisions.jsonl"

    def command(self, name: str, nlu: Path | None) -> list[str]:
        """The `rasa train` that makes models/candidates/NAME.tar.gz."""
        data = [str(self.data), *([str(nlu)] if nlu else [])]
        return [
            *(sys.executable, "-m", "rasa", "train", "--data", *data, "--domain", str(self.domain)),
            *("--config", str(self.config), "--out", str(self.models / CANDIDATES), "--fixed-model-name", name),
        ]


@dataclass
class Outcome:
    """What a retraining came to.

    Attributes:
        model: where the new one lies now.
        lines: compare the models.
        learned: what the strategy policy learned from feedback; None where it did not try.
        policy: what the two policies earn by the estimate; None where there are too few choices to tell.
    """

    export: Export
    command: list[str]
    model: Path | None = None
    champion: str | None = None
    lines: list[Comparison] = field(default_factory=list)
    promoted: bool = False
    switched: Switch | None = None
    notes: list[str] = field(default_factory=list)
    learned: dict[str, Any] | None = None
    policy: Contest | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "export": self.export.as_dict(),
            "command": shlex.join(self.command),
            "model": str(self.model) if self.model else None,
            "champion": self.champion,
            "figures": [line.as_dict() for line in self.lines],
            "learned": self.learned,
            "policy": self.policy.as_dict() if self.policy else None,
            "promoted": self.promoted,
            "server": self.switched.as_dict() if self.switched else None,
            "notes": self.notes,
        }


def generator_command(plan: Plan) -> list[str]:
    """The arguments of `kefu` that train the reply generator on the hand-written and the exported dialogues."""
    folders = [plan.data / "dialogues", plan.exports / "dialogues"]
    return ["train", "generator", *(word for f in folders if f.is_dir() for word in ("--data", str(f)))]


def run_rasa_train(command: Sequence[str], log: Path) -> None:
    """Runs the command with its output in ``log``.

    Raises:
        ModelError: it failed; the message has the log's last words.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        words = [w for w in log.read_text(encoding="utf-8", errors="replace").splitlines() if w.strip()]
        last = words[-1].strip() if words else "it said nothing"
        raise ModelError(f"`rasa train` failed ({done.returncode}): {last} The whole log: {log}")


def plan_only(store: ReviewStore, plan: Plan) -> Outcome:
    """What ``retrain`` would do; nothing is written."""
    export = gather(store, plan.data, plan.limits)
    nlu = plan.exports / "nlu" if export.examples else None
    champion = adopt(plan.models, read_registry(plan.models)).champion
    notes = _untaught(split(stored_decisions(store)))
    return Outcome(export, plan.command(stamp(), nlu), champion=champion.file if champion else None, notes=notes)


def retrain(
    store: ReviewStore,
    plan: Plan,
    train: Train = run_rasa_train,
    measure: Measure = measure_apart,
    say: Say = lambda message: None,
) -> Outcome:
    """Exports, trains, compares, promotes if not worse, and switches the running server.

    Args:
        train: runs a `rasa train` command with a log file.
        measure: figures of a model file on the sets.
        say: is told what happens now.

    Raises:
        NotFound: held-out data, domain or config is missing.
        DataError, ModelError: the training failed, a model cannot be measured, or the server refused the new model.
    """
    for path in (plan.domain, plan.config):
        if not path.exists():
            raise NotFound(f"There is no {str(path)!r}; run kefu retrain in the project's folder.")
    nlu, strategy = (read_rows(plan.data / "heldout" / name) for name in ("nlu.jsonl", "strategy.jsonl"))
    with locked(plan.models):
        champion = adopt(plan.models, read_registry(plan.models)).champion
        if champion is not None:  # better to know before the training
            verify(plan.models, champion)
        export = gather(store, plan.data, plan.limits)
        files = write(export, plan.exports)
        say(f"exported {len(export.examples)} examples and {len(export.dialogues)} dialogues to {plan.exports}")
        choices = split(stored_decisions(store))
        taught = _teach(plan, choices)
        name = stamp()
        outcome = Outcome(export, plan.command(name, plan.exports / "nlu" if export.examples else None))
        if files and str(plan.exports / "dialogues") not in plan.config.read_text(encoding="utf-8"):
            outcome.notes.append(
                f"{plan.config} does not name {plan.exports / 'dialogues'}: its dialogues are not learned."
            )
        log = plan.exports / f"{name}.log"
        say(f"training {name} (minutes; log: {log})")
        train(outcome.command, log)
        outcome.model = plan.models / CANDIDATES / f"{name}.tar.gz"
        if not outcome.model.is_file():
            raise ModelError(f"`rasa train` ended well and left no {str(outcome.model)!r}; its log: {log}")
        outcome.notes += taught
        _contest(plan, outcome, Sets(nlu, strategy, *export.corrections()), choices, measure, say)
        better = int(export.as_dict()["better_replies"])
        if better >= plan.generator_from:
            command = shlex.join(["kefu", *generator_command(plan)])
            outcome.notes.append(f"{better} better replies are there; teach the generator with: {command}")
    return outcome


def _teach(plan: Plan, choices: Split) -> list[str]:
    """Writes the choices that StrategyPolicy learns from, where there are enough; notes where there are not."""
    lacking = _untaught(choices)
    if lacking:
        plan.decisions.unlink(missing_ok=True)
    else:
        write_decisions(choices.taught, plan.decisions)
    return lacking


def _untaught(choices: Split) -> list[str]:
    least = LearningArguments().choices
    if len(choices.taught) >= least:
        return []
    there = f"{len(choices.taught)} logged choices of strategies are there to learn from, and {least} are needed"
    return [f"{there}. {GATHER}"]


def _contest(plan: Plan, outcome: Outcome, sets: Sets, choices: Split, measure: Measure, say: Say) -> None:
    if choices.judges:
        sets = replace(sets, decisions=[d.as_dict() for d in choices.judges])
    registry = adopt(plan.models, read_registry(plan.models))
    champion, before, champion_policy = registry.champion, None, None
    if champion is not None:
        say(f"measuring the champion, {champion.file}")
        before = measure(verify(plan.models, champion), sets)
        champion_policy = before.pop("policy", None)
        champion = replace(champion, figures=before)
        registry = registry.with_model(champion)
        outcome.champion = champion.file
    assert outcome.model is not None
    say(f"measuring the challenger, {outcome.model.name}")
    figures = measure(outcome.model, sets)
    policy = figures.pop("policy", None)
    outcome.lines = compare(before, figures, plan.tolerance)
    if policy is not None:
        outcome.learned = policy["learned"]
        _judge(plan, outcome, choices, champion_policy, policy)
    challenger = replace(record_of(plan.models, outcome.model, CHALLENGER), figures=figures)
    registry = registry.with_model(challenger)
    write_registry(plan.models, registry)
    if all(line.good for line in outcome.lines):
        outcome.switched = _promote(plan, registry, outcome.model)
        outcome.promoted, outcome.model = True, plan.models / outcome.model.name


def _judge(
    plan: Plan, outcome: Outcome, choices: Split, champion: dict[str, Any] | None, challenger: dict[str, Any]
) -> None:
    """Adds the line that compares what the policies earn, where there are enough choices to tell."""
    if outcome.learned:
        outcome.notes.append(f"Feedback on strategies: {outcome.learned['why']}.")
    elif plan.decisions.exists():
        outcome.notes.append(f"StrategyPolicy in {plan.config} does not read {plan.decisions}: nothing was learned.")
    if champion is None:
        return
    if choices.lacking:
        outcome.notes.append(f"The strategy policies are not compared by feedback: {choices.lacking}.")
        return
    outcome.policy = contest(choices.judges, champion["choices"], challenger["choices"], plan.policy_margin)
    outcome.lines.append(outcome.policy.line)


def promote(plan: Plan, file: Path) -> Switch:
    """Makes a model of the models folder the champion and switches the running server.

    Raises:
        ModelCorrupt: the file is not the one that was recorded.
        ModelError: the server refused it; then nothing has changed.
    """
    with locked(plan.models):
        return _promote(plan, adopt(plan.models, read_registry(plan.models)), file)


def rollback(plan: Plan) -> tuple[str, Switch]:
    """Goes back to the champion before the present one: (its file, what the server did).

    Raises:
        ModelError: there is none, or the server refused it.
    """
    with locked(plan.models):
        registry = read_registry(plan.models)
        earlier = [r for f in registry.champions[:-1] if (r := registry.find(f)) and (plan.models / f).is_file()]
        if not earlier:
            raise ModelError("There is no earlier champion to go back to; `kefu models list` shows the models.")
        path = verify(plan.models, earlier[-1])
        switched = _switched(plan, path)
        os.utime(path)
        write_registry(plan.models, registry.without_champion(earlier[-1]))
        return earlier[-1].file, switched


def _promote(plan: Plan, registry: Registry, file: Path) -> Switch:
    root = plan.models.resolve()
    file = file.resolve()
    record = registry.find(file.relative_to(root).as_posix())
    if record is not None:
        verify(root, record)
    target = root / file.name
    if target != file:
        if target.exists():
            raise ModelError(f"There is a {str(target)!r} already; rename {str(file)!r} first.")
        os.replace(file, target)
    try:
        switched = _switched(plan, target)
    except ModelError:
        if target != file:
            os.replace(target, file)
        raise
    os.utime(target)  # `rasa run` loads the model modified last
    crowned = record_of(root, target)
    if record is not None:
        crowned = replace(record, file=crowned.file)
        registry = replace(registry, models=tuple(m for m in registry.models if m.file != record.file))
    write_registry(plan.models, registry.with_champion(crowned))
    return switched


def _switched(plan: Plan, model: Path) -> Switch:
    if plan.server is None:
        return Switch(LEFT, "The running server was not told.")
    return switch(model, plan.server, plan.token)
