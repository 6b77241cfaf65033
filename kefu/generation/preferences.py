"""Tunes the generator's adapter on pairs of replies, one preferred to the other: DPO (Rafailov et al., 2023), by trl.

The reference is the adapter that it starts from, so the replies move away from it only as far as ``beta`` allows.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kefu.errors import DataError, NotFound, SettingsError
from kefu.generation.adapter import check_adapter, method_of, write_card
from kefu.generation.examples import Augmenter, Example
from kefu.generation.methods import save
from kefu.generation.prompt import format_prompt

_KEYS = ("prompt", "chosen", "rejected")


@dataclass(frozen=True)
class Pair:
    """Two replies to a prompt, facts by name in braces.

    Attributes:
        weight: how often it is shown in an epoch.
        source: where the preference comes from, such as ``correction`` or ``thumbs``.
    """

    prompt: str
    chosen: str
    rejected: str
    weight: int = 1
    source: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class PreferenceArguments:
    """What can be chosen about it.

    Attributes:
        beta: how dear it is to leave the reference; trl's default.
        epochs: passes over the pairs.
        learning_rate: a tenth or less of what the adapter was trained with: it only has to lean another way.
        least: pairs without which it is not worth while.
        bound: the most that the held-out loss on the dialogues may rise, in nats per token.
    """

    beta: float = 0.1
    epochs: int = 1
    learning_rate: float = 2e-5
    batch_size: int = 2
    accumulate: int = 4
    least: int = 50
    bound: float = 0.05
    seed: int = 7
    threads: int = 2

    def __post_init__(self) -> None:
        for name in ("beta", "epochs", "learning_rate", "batch_size", "accumulate", "least", "threads"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"Training argument {name!r} has value {getattr(self, name)!r}: must be above 0.")


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of a .jsonl, as `kefu feedback export` writes them.

    Raises:
        NotFound: the file is not there.
        DataError: a line is no pair; file, line and key are named.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise NotFound(f"There are no pairs at {str(path)!r}; `kefu feedback export` writes them.") from None
    pairs = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        where = f"{path}, line {number}"
        if not isinstance(row, dict):
            raise DataError(f"{where}: must be a JSON object.")
        for key in _KEYS:
            if not isinstance(row.get(key), str) or not row[key].strip():
                raise DataError(f"{where}: {key!r} has value {row.get(key)!r}; it must be a text.")
        weight = row.get("weight", 1)
        if not isinstance(weight, int) or weight < 1:
            raise DataError(f"{where}: 'weight' has value {weight!r}; it must be a whole number of at least 1.")
        pairs.append(Pair(row["prompt"], row["chosen"], row["rejected"], weight, str(row.get("source", ""))))
    return pairs


def train_preferences(
    pairs: Sequence[Pair],
    base: str,
    start: Path,
    out: Path,
    arguments: PreferenceArguments,
    held_out: Sequence[Example] = (),
) -> dict[str, Any]:
    """Writes the tuned adapter to ``out`` and returns its card: the parent's, with ``parent`` and ``preferences``.

    ``preferences.kept`` in the card says whether the held-out loss rose by no more than ``bound``.

    Args:
        start: the present adapter, of the method lora.
        held_out: replies of dialogues to take the loss on, before and after.

    Raises:
        DataError: there are too few pairs.
        SettingsError: the adapter is none of lora.
        ModelNotFound, ModelCorrupt: of the base model or the adapter.
    """
    if len(pairs) < arguments.least:
        raise DataError(
            f"There are {len(pairs)} pairs of replies, and {arguments.least} are needed. Review more: "
            "kefu feedback review, then kefu feedback export (--least N to go on with fewer)."
        )
    parent = check_adapter(start, base)
    if method_of(parent) != "lora":
        raise SettingsError(
            f"The adapter in {str(start)!r} is {method_of(parent)}: preferences are learned on lora alone."
        )
    import torch
    from datasets import Dataset
    from peft import PeftModel
    from transformers.utils import logging
    from trl import DPOConfig, DPOTrainer

    from kefu.generation.loading import load_base
    from kefu.generation.optimisation import encode, held_out_loss

    class Trainer(DPOTrainer):  # type: ignore[misc]
        """Takes what is tokenised as serving does it."""

        def _prepare_dataset(self, dataset: Any, *rest: Any, **named: Any) -> Any:
            return dataset

    began = time.monotonic()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    logging.set_verbosity_error()
    gpu = torch.cuda.is_available()
    model, tokenizer = load_base(base, torch.bfloat16 if gpu else torch.float32)
    model = PeftModel.from_pretrained(model, str(start), is_trainable=True)
    model.to("cuda" if gpu else "cpu")
    pad = tokenizer.pad_token_id or 0
    chosen = [encode(tokenizer, p.prompt, p.chosen) for p in pairs]
    rejected = [encode(tokenizer, p.prompt, p.rejected) for p in pairs]
    fixed = [encode(tokenizer, format_prompt(Augmenter([e], [], 0)(e)), e.reply) for e in held_out]

    def measured() -> tuple[float, float | None]:
        """(mean margin of the chosen's log-likelihood over the rejected's, held-out loss)."""
        return margin(model, chosen, rejected, pad), held_out_loss(model, fixed, 8, pad) if fixed else None

    margin_before, loss_before = measured()
    rows = [
        {"prompt_ids": c.ids[: c.start], "chosen_ids": c.ids[c.start :], "rejected_ids": r.ids[r.start :]}
        for pair, c, r in zip(pairs, chosen, rejected)
        for _ in range(pair.weight)
    ]
    with tempfile.TemporaryDirectory(prefix="kefu-") as scratch:
        config = DPOConfig(
            output_dir=scratch,
            beta=arguments.beta,
            num_train_epochs=arguments.epochs,
            learning_rate=arguments.learning_rate,
            per_device_train_batch_size=arguments.batch_size,
            gradient_accumulation_steps=arguments.accumulate,
            gradient_checkpointing=False,
            bf16=gpu,
            use_cpu=not gpu,
            seed=arguments.seed,
            save_strategy="no",
            report_to=[],
            logging_steps=1,
            disable_tqdm=True,
            max_length=None,
            dataloader_pin_memory=gpu,
        )
        trainer = Trainer(model=model, args=config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
        trainer.train()
        history = [_entry(row) for row in trainer.state.log_history if "loss" in row]
    model = trainer.accelerator.unwrap_model(trainer.model)
    margin_after, loss_after = measured()
    save(model, tokenizer, out)
    rise = None if loss_before is None or loss_after is None else loss_after - loss_before
    told = {
        "arguments": asdict(arguments),
        "pairs": len(pairs),
        "sources": dict(Counter(p.source for p in pairs)),
        "margin": [round(margin_before, 4), round(margin_after, 4)],
        "held_out_loss": None if rise is None else [round(loss_before or 0.0, 4), round(loss_after or 0.0, 4)],
        "kept": rise is None or rise <= arguments.bound,
        "history": history,
        "seconds": round(time.monotonic() - began, 1),
    }
    whole = {**parent, "parent": {"adapter": str(start), "held_out_loss": parent.get("held_out_loss")}}
    if loss_after is not None:
        whole["held_out_loss"] = round(loss_after, 4)
    return write_card(out, base, {**whole, "preferences": told})


def _entry(row: dict[str, Any]) -> dict[str, float]:
    """Of trl's log: epoch, loss, and how far apart chosen and rejected are by the implicit reward."""
    names = {"epoch": "epoch", "loss": "loss", "rewards/margins": "margin", "rewards/accuracies": "accuracy"}
    return {short: round(float(row[name]), 4) for name, short in names.items() if name in row}


def margin(model: Any, chosen: Sequence[Any], rejected: Sequence[Any], pad: int) -> float:
    """Mean of log p(chosen) - log p(rejected), in nats a reply."""
    import torch

    from kefu.generation.optimisation import reply_loss

    model.eval()
    total = 0.0
    with torch.no_grad():
        for better, worse in zip(chosen, rejected):
            total += float(reply_loss(model, [worse], pad)[0]) - float(reply_loss(model, [better], pad)[0])
    model.train()
    return total / max(len(chosen), 1)
