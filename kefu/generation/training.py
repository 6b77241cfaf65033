"""Fine-tunes the generator on the hand-written agent turns, the loss on the reply alone.

By default LoRA: the base model's weights stay frozen in bfloat16, embeddings included; the adapter computes in bfloat16
and is updated in float32. Several GPUs: accelerate launch -m kefu.cli train generator.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kefu.errors import DataError, SettingsError
from kefu.generation.adapter import write_card
from kefu.generation.examples import Augmenter, Example, examples_of, facts_of, knowledge_examples, split
from kefu.generation.guard import Guard
from kefu.generation.methods import METHODS, adapted, deal_ranks, penalty, save
from kefu.generation.optimisation import MasterWeights, ReplyLoss, batches, encode, held_out_loss, rate
from kefu.generation.prompt import format_prompt
from kefu.generation.rehearsal import Message, Rehearsal
from kefu.generation.templates import bundled_templates
from kefu.knowledge.passage import Passage

PRECISIONS = ("auto", "bf16", "fp32")


@dataclass(frozen=True)
class GeneratorTrainingArguments:
    """What can be chosen about a training run.

    Attributes:
        base: the model to adapt, as kefu.pretrained.resolve takes it.
        method: lora, adalora, prefix or full, see kefu.generation.methods.
        start_from: folder of an earlier adapter of the same method to go on from; its rank counts then.
        epochs: passes over the replies.
        checks: how often in an epoch the held-out loss is taken; the adapter kept is that of the lowest.
        patience: checks without a lower held-out loss after which training stops.
        learning_rate: the peak, reached after ``warmup`` of all steps; a cosine takes it to a tenth.
        batch_size: replies to a forward pass.
        accumulate: forward passes to a step.
        checkpointing: computes activations again in place of keeping them: less memory, a third more time.
        precision: of the base model, bf16 or fp32; auto takes the faster one of the device.
        minutes: after which training stops, the schedule's end drawn in to fit; 0 for no limit.
        rank: of the LoRA matrices; alpha is twice the rank.
        prefix_tokens: that prefix tuning puts before a prompt.
        dropout: on the LoRA input.
        clip: largest norm of the gradient.
        held_out: share of the dialogues to measure on, by whole dialogue.
        rehearsals: labelled messages answered with templates, see kefu.generation.rehearsal.
        seed: for split, order, augmentation and the adapter's start.
        threads: CPU threads.
    """

    base: str = "bundled:gemma-3-270m"
    method: str = "lora"
    start_from: str = ""
    epochs: int = 1
    checks: int = 4
    patience: int = 4
    learning_rate: float = 4e-4
    warmup: float = 0.06
    batch_size: int = 8
    accumulate: int = 1
    checkpointing: bool = False
    precision: str = "auto"
    minutes: float = 0.0
    rank: int = 16
    prefix_tokens: int = 16
    dropout: float = 0.0
    clip: float = 1.0
    held_out: float = 0.1
    rehearsals: int = 400
    seed: int = 7
    threads: int = 2

    def __post_init__(self) -> None:
        above = ("epochs", "checks", "patience", "learning_rate", "batch_size", "accumulate", "rank", "prefix_tokens")
        for name in (*above, "clip", "threads"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"Training argument {name!r} has value {getattr(self, name)!r}: must be above 0.")
        for name in ("warmup", "dropout", "held_out"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingsError(f"Training argument {name!r} has value {getattr(self, name)!r}: must be in [0, 1).")
        if self.minutes < 0:
            raise SettingsError(f"Training argument 'minutes' has value {self.minutes!r}: must be 0 or above.")
        for name, known in (("method", METHODS), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise SettingsError(
                    f"Training argument {name!r} has value {getattr(self, name)!r}; known are {', '.join(known)}."
                )
        if self.checkpointing and self.method == "prefix":
            raise SettingsError("Training argument 'checkpointing' does not go with method 'prefix': leave it out.")


def _progress(shown: bool) -> Any:
    """A bar on stderr with the steps done, the loss and the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    loss = TextColumn("loss {task.fields[loss]:.3f}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), loss, TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), refresh_per_second=1, disable=not shown)


def _accelerator() -> Any:
    """Of accelerate: the GPUs there are, else the CPU, and one process for each that `accelerate launch` started."""
    import torch
    from accelerate import Accelerator

    return Accelerator(cpu=not torch.cuda.is_available(), mixed_precision="no")


def _dtype(arguments: GeneratorTrainingArguments, accelerator: Any) -> Any:
    import torch

    if arguments.precision != "auto":
        return torch.bfloat16 if arguments.precision == "bf16" else torch.float32
    if accelerator.device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    from kefu.generation.loading import faster_dtype

    return faster_dtype(arguments.threads)


def _agreed(accelerator: Any, value: float) -> float:
    """The first process's value, for all of them."""
    if accelerator.num_processes == 1:
        return value
    import torch
    from accelerate.utils import broadcast

    return float(broadcast(torch.tensor([value], dtype=torch.float32, device=accelerator.device))[0])


def _steps(arguments: GeneratorTrainingArguments, replies: int, processes: int) -> int:
    """Steps in an epoch."""
    return math.ceil(math.ceil(replies / arguments.batch_size) / (processes * arguments.accumulate))


def _rounds(
    arguments: GeneratorTrainingArguments,
    model: Any,
    tokenizer: Any,
    examples: list[Example],
    knowledge: Sequence[Passage],
    accelerator: Any,
    masters: bool,
) -> Iterator[tuple[float, float]]:
    """Trains a part of an epoch at a time; yields (epochs done, the part's mean loss per reply token)."""
    import torch

    augment = Augmenter(examples, knowledge, arguments.seed)
    rng = random.Random(arguments.seed)
    loss_of = accelerator.prepare(ReplyLoss(model, tokenizer.pad_token_id or 0))
    weights = [p for p in model.parameters() if p.requires_grad]
    master = MasterWeights(weights) if masters else None
    moved = master.copies if master else weights
    optimiser = torch.optim.AdamW(moved, lr=arguments.learning_rate, weight_decay=0.0)
    processes, own = accelerator.num_processes, accelerator.process_index
    per_epoch, taken = _steps(arguments, len(examples), processes), processes * arguments.accumulate
    steps, step, began, spent = arguments.epochs * per_epoch, 0, time.monotonic(), 0.0
    model.train()
    with _progress(accelerator.is_main_process) as bar:
        task = bar.add_task("generator", total=steps, loss=0.0)
        for epoch in range(arguments.epochs):
            encoded = [encode(tokenizer, format_prompt(augment(e)), e.reply) for e in examples]
            order = batches(encoded, arguments.batch_size, rng)
            ends = {math.ceil(per_epoch * (i + 1) / arguments.checks) for i in range(arguments.checks)}
            total, count = 0.0, 0
            for done in range(1, per_epoch + 1):
                group = order[(done - 1) * taken : done * taken]
                passes = math.ceil(len(group) / processes)
                for number in range(passes):
                    loss, tokens = loss_of(group[(own + number * processes) % len(group)])
                    accelerator.backward((loss / tokens + penalty(model)) / passes)
                    total, count = total + float(loss.detach()), count + tokens
                if master:
                    master.take_gradients()
                torch.nn.utils.clip_grad_norm_(moved, arguments.clip)
                for group_of in optimiser.param_groups:
                    group_of["lr"] = arguments.learning_rate * rate(max(step, spent * steps), steps, arguments.warmup)
                optimiser.step()
                if master:
                    master.give_back()
                deal_ranks(model, step)
                optimiser.zero_grad()
                step += 1
                bar.update(task, advance=1, loss=total / count)
                if arguments.minutes:
                    spent = _agreed(accelerator, (time.monotonic() - began) / (60 * arguments.minutes))
                if done in ends or spent >= 1:
                    yield round(epoch + done / per_epoch, 2), total / count
                    total, count = 0.0, 0
                if spent >= 1:
                    return


def train_generator(
    data: Sequence[Path],
    out: Path,
    arguments: GeneratorTrainingArguments,
    knowledge: Sequence[Passage] = (),
    messages: Sequence[Message] = (),
    guard: Guard | None = None,
    report: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Trains an adapter on the dialogues at ``data`` and writes it to ``out``; returns its card (``kefu.json``).

    With ``start_from`` the earlier adapter has to be beaten: where no check is better, ``out`` gets a copy of it.
    With a ``guard`` nothing is learned from replies that it would refuse: they say what their facts do not prove.

    Raises:
        NotFound, DataError: the dialogues are not there or break their format, or hold fewer than two dialogues.
    """
    import torch

    from kefu.dialogues import read_dialogues

    began = time.monotonic()
    examples = examples_of(read_dialogues(data))
    train, test = split(examples, arguments.held_out, arguments.seed)
    written = len(train)
    if guard is not None:
        train = [e for e in train if guard.check(e.reply, e.request).passed]
    dialogue_replies = len(train)
    rehearsal = Rehearsal(messages, bundled_templates(), facts_of(train), arguments.seed)
    rehearsed = rehearsal.draw(arguments.rehearsals) if messages else []
    quoted = knowledge_examples(knowledge, arguments.seed)
    train += rehearsed + quoted
    if not dialogue_replies or (arguments.held_out and not test):
        names = ", ".join(map(str, data))
        raise DataError(
            f"{names} holds {len(examples)} agent turns after a customer's: too few to train on. Add dialogues."
        )
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    accelerator = _accelerator()
    dtype = _dtype(arguments, accelerator)
    cpu = accelerator.device.type == "cpu"
    # AdaLoRA changes its own weights, which copies would undo; a prefix is float32 anyway.
    masters = dtype == torch.bfloat16 and (arguments.method == "full" or (cpu and arguments.method == "lora"))
    steps = arguments.epochs * _steps(arguments, len(train), accelerator.num_processes)
    model, tokenizer = adapted(arguments, steps, dtype, masters)
    model.to(accelerator.device)
    fixed = [encode(tokenizer, format_prompt(Augmenter([e], [], 0)(e)), e.reply) for e in test]
    pad = tokenizer.pad_token_id or 0
    history: list[dict[str, float]] = []
    best, since, stopped = math.inf, 0, "epochs"

    def check(epoch: float, loss: float | None) -> float:
        """The held-out loss now; keeps the model where it is the lowest."""
        measured = held_out_loss(model, fixed, arguments.batch_size, pad) if fixed else loss or math.inf
        measured = _agreed(accelerator, measured)
        entry = {"epoch": epoch, "loss": loss, "held_out_loss": measured}
        history.append({name: round(value, 4) for name, value in entry.items() if value is not None})
        if accelerator.is_main_process:
            report(json.dumps(history[-1]))
            if measured < best:
                save(model, tokenizer, out)
        return measured

    if arguments.start_from and fixed:
        best = check(0.0, None)
    for epoch, loss in _rounds(arguments, model, tokenizer, train, knowledge, accelerator, masters):
        measured = check(epoch, loss)
        since = 0 if measured < best else since + 1
        best = min(best, measured)
        if since >= arguments.patience:
            stopped = "patience"
            break
    if arguments.minutes and time.monotonic() - began >= 60 * arguments.minutes:
        stopped = "minutes"
    card = {
        "arguments": asdict(arguments),
        "dialogues": len({e.dialogue for e in examples}),
        "replies": dialogue_replies,
        "refused_by_guard": written - dialogue_replies,
        "rehearsals": len(rehearsed),
        "passages": len(quoted),
        "held_out_replies": len(test),
        "history": history,
        "held_out_loss": round(best, 4),
        "stopped": stopped,
        "device": accelerator.device.type,
        "processes": accelerator.num_processes,
        "precision": str(dtype).removeprefix("torch."),
        "seconds": round(time.monotonic() - began, 1),
    }
    return write_card(out, arguments.base, card) if accelerator.is_main_process else card
