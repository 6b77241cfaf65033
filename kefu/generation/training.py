"""Fine-tunes the generator: LoRA (Hu et al., 2021) on the hand-written agent turns, the loss on the reply alone.

The base model's weights stay frozen in bfloat16, embeddings included; the adapter computes in bfloat16 and is updated
in float32.
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
from kefu.generation.prompt import format_prompt
from kefu.generation.rehearsal import Message, Rehearsal
from kefu.generation.templates import bundled_templates
from kefu.knowledge.passage import Passage

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class GeneratorTrainingArguments:
    """What can be chosen about a training run.

    Attributes:
        base: the model to adapt, as kefu.pretrained.resolve takes it.
        epochs: passes over the replies.
        checks: how often in an epoch the held-out loss is taken; the adapter kept is that of the lowest.
        patience: checks without a lower held-out loss after which training stops.
        learning_rate: the peak, reached after ``warmup`` of all steps; a cosine takes it to a tenth.
        batch_size: replies to a step.
        rank: of the LoRA matrices; alpha is twice the rank.
        dropout: on the LoRA input.
        clip: largest norm of the gradient.
        held_out: share of the dialogues to measure on, by whole dialogue.
        rehearsals: labelled messages answered with templates, see kefu.generation.rehearsal.
        seed: for split, order, augmentation and the adapter's start.
        threads: CPU threads.
    """

    base: str = "bundled:gemma-3-270m"
    epochs: int = 1
    checks: int = 4
    patience: int = 4
    learning_rate: float = 4e-4
    warmup: float = 0.06
    batch_size: int = 8
    rank: int = 16
    dropout: float = 0.0
    clip: float = 1.0
    held_out: float = 0.1
    rehearsals: int = 400
    seed: int = 7
    threads: int = 2

    def __post_init__(self) -> None:
        for name in ("epochs", "checks", "patience", "learning_rate", "batch_size", "rank", "clip", "threads"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"Training argument {name!r} has value {getattr(self, name)!r}: must be above 0.")
        for name in ("warmup", "dropout", "held_out"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingsError(f"Training argument {name!r} has value {getattr(self, name)!r}: must be in [0, 1).")


@dataclass(frozen=True)
class Encoded:
    """Token ids of prompt and reply; the first ``start`` belong to the prompt."""

    ids: list[int]
    start: int


def encode(tokenizer: Any, prompt: str, reply: str) -> Encoded:
    """<bos> prompt reply <eos>, the reply tokenised on its own, as the model will write it."""
    head = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    head += tokenizer(prompt, add_special_tokens=False).input_ids
    tail = tokenizer(reply, add_special_tokens=False).input_ids
    return Encoded(head + tail + [tokenizer.eos_token_id], len(head))


def batches(encoded: Sequence[Encoded], size: int, rng: random.Random) -> list[list[Encoded]]:
    """Batches of like lengths (little padding), in random order."""
    keyed = sorted(encoded, key=lambda e: len(e.ids) + rng.random() * 16)
    cut = [keyed[i : i + size] for i in range(0, len(keyed), size)]
    rng.shuffle(cut)
    return cut


def reply_loss(model: Any, batch: Sequence[Encoded], pad: int) -> tuple[Any, int]:
    """(summed cross-entropy of the reply tokens, their number). Only their hidden states meet the output layer."""
    import torch
    from torch.nn.functional import cross_entropy

    device = next(model.parameters()).device
    width = -(-max(len(e.ids) for e in batch) // 16) * 16  # few different shapes, so that freed memory is used again
    ids = torch.full((len(batch), width), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    target = torch.full_like(ids, -100)
    for row, item in enumerate(batch):
        length = len(item.ids)
        ids[row, :length] = torch.tensor(item.ids)
        mask[row, :length] = 1
        target[row, item.start - 1 : length - 1] = torch.tensor(item.ids[item.start :])
    ids, mask, target = ids.to(device), mask.to(device), target.to(device)
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    hidden = causal.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    chosen = target != -100
    logits = causal.lm_head(hidden[chosen])
    return cross_entropy(logits.float(), target[chosen], reduction="sum"), int(chosen.sum())


class MasterWeights:
    """float32 copies of bfloat16 parameters: the optimiser works on the copies, the model computes with the originals.

    On a CPU this is a third faster than float32 parameters under autocast, which casts every input back and forth.
    """

    def __init__(self, parameters: Sequence[Any]) -> None:
        self._parameters = list(parameters)
        self.copies = [p.detach().clone().float().requires_grad_() for p in self._parameters]

    def take_gradients(self) -> None:
        """Moves the gradients from the parameters to the copies."""
        for copy, parameter in zip(self.copies, self._parameters):
            copy.grad = parameter.grad.float()
            parameter.grad = None

    def give_back(self) -> None:
        """Rounds the copies into the parameters."""
        for copy, parameter in zip(self.copies, self._parameters):
            parameter.data.copy_(copy.data)


def held_out_loss(model: Any, encoded: Sequence[Encoded], size: int, pad: int) -> float:
    """Mean cross-entropy per reply token."""
    import torch

    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for batch in batches(encoded, size, random.Random(0)):
            loss, tokens = reply_loss(model, batch, pad)
            total, count = total + float(loss), count + tokens
    model.train()
    return total / max(count, 1)


def rate(step: int, steps: int, warmup: float) -> float:
    """The factor on the learning rate at ``step`` of ``steps``: linear warm-up, then a cosine from 1 to 0.1."""
    rise = max(1, int(steps * warmup))
    if step < rise:
        return (step + 1) / rise
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _adapted(arguments: GeneratorTrainingArguments) -> tuple[Any, Any]:
    import torch
    from peft import LoraConfig, get_peft_model

    from kefu.generation.loading import load_base

    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    model, tokenizer = load_base(arguments.base, dtype=torch.bfloat16)
    config = LoraConfig(
        r=arguments.rank,
        lora_alpha=2 * arguments.rank,
        lora_dropout=arguments.dropout,
        target_modules=list(PROJECTIONS),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config, autocast_adapter_dtype=False), tokenizer


def _progress() -> Any:
    """A bar on stderr with the steps done, the loss and the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    loss = TextColumn("loss {task.fields[loss]:.3f}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), loss, TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), refresh_per_second=1)


def _rounds(
    arguments: GeneratorTrainingArguments,
    model: Any,
    tokenizer: Any,
    examples: list[Example],
    knowledge: Sequence[Passage],
) -> Iterator[tuple[float, float]]:
    """Trains a part of an epoch at a time; yields (epochs done, the part's mean loss per reply token)."""
    import torch

    augment = Augmenter(examples, knowledge, arguments.seed)
    rng = random.Random(arguments.seed)
    master = MasterWeights([p for p in model.parameters() if p.requires_grad])
    optimiser = torch.optim.AdamW(master.copies, lr=arguments.learning_rate, weight_decay=0.0)
    steps = arguments.epochs * math.ceil(len(examples) / arguments.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: rate(s, steps, arguments.warmup))
    model.train()
    with _progress() as bar:
        task = bar.add_task("generator", total=steps, loss=0.0)
        for epoch in range(arguments.epochs):
            encoded = [encode(tokenizer, format_prompt(augment(e)), e.reply) for e in examples]
            order = batches(encoded, arguments.batch_size, rng)
            ends = {math.ceil(len(order) * (i + 1) / arguments.checks) for i in range(arguments.checks)}
            total, count = 0.0, 0
            for done, batch in enumerate(order, 1):
                loss, tokens = reply_loss(model, batch, tokenizer.pad_token_id or 0)
                (loss / tokens).backward()
                master.take_gradients()
                torch.nn.utils.clip_grad_norm_(master.copies, arguments.clip)
                optimiser.step()
                master.give_back()
                schedule.step()
                total, count = total + float(loss.detach()), count + tokens
                bar.update(task, advance=1, loss=total / count)
                if done in ends:
                    yield round(epoch + done / len(order), 2), total / count
                    total, count = 0.0, 0


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

    With a ``guard`` nothing is learned from replies that it would refuse: they say what their facts do not prove.

    Raises:
        NotFound, DataError: the dialogues are not there or break their format, or hold fewer than two dialogues.
    """
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
    model, tokenizer = _adapted(arguments)
    fixed = [encode(tokenizer, format_prompt(Augmenter([e], [], 0)(e)), e.reply) for e in test]
    pad = tokenizer.pad_token_id or 0
    history: list[dict[str, float]] = []
    best, since = math.inf, 0
    for epoch, loss in _rounds(arguments, model, tokenizer, train, knowledge):
        measured = held_out_loss(model, fixed, arguments.batch_size, pad) if fixed else loss
        history.append({"epoch": epoch, "loss": round(loss, 4), "held_out_loss": round(measured, 4)})
        report(json.dumps(history[-1]))
        since = 0 if measured < best else since + 1
        if measured < best:
            best = measured
            _save(model, out)
        if since >= arguments.patience:
            break
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
        "seconds": round(time.monotonic() - began, 1),
    }
    return write_card(out, arguments.base, card)


def _save(model: Any, out: Path) -> None:
    """adapter_config.json and adapter_model.safetensors (float16), replacing an earlier adapter."""
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    config = model.peft_config["default"]
    inference, config.inference_mode = config.inference_mode, True
    config.save_pretrained(str(out))
    config.inference_mode = inference
    state = {k: v.detach().to(torch.float16).contiguous().cpu() for k, v in get_peft_model_state_dict(model).items()}
    save_file(state, str(out / "adapter_model.safetensors"), metadata={"format": "pt"})
