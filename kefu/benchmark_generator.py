"""Measures how fast the generator writes, beside transformers' own ``generate`` in fp32, all in one run.

Every draft is made 40 characters long, whatever the model would have written: ends are held back from it, and the
number of tokens is what 40 characters of the dialogues' replies have on average. The ways of writing take turns on the
same prompts, so that a machine with other work slows all of them.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kefu.dialogues import Dialogue, read_dialogues
from kefu.errors import DataError, GenerationError, SettingsError
from kefu.evaluation.metrics import percentile
from kefu.generation.engine import TransformersEngine
from kefu.generation.examples import Example, examples_of
from kefu.generation.loading import load_merged, load_model
from kefu.generation.prompt import format_prompt
from kefu.generation.responder import drafts_for
from kefu.settings import Settings

CHARACTERS = 40
BATCH = 8
# What the figures are to reach on two CPU cores with no other work.
BARS = {"p50_s": 1.0, "p95_s": 2.0, "to_fp32": 3.0, "batch_to_one": 3.0}
_AT_MOST = {"p50_s", "p95_s"}
_NO_DEADLINE = 3600.0


def prompts_of(dialogues: Iterable[Dialogue], limit: int, seed: int) -> tuple[list[str], list[Example]]:
    """(``limit`` prompts of agents' turns that a model may write, all such turns).

    Raises:
        DataError: there is no such turn.
    """
    examples = [example for example in examples_of(dialogues) if drafts_for(example.request)]
    if not examples:
        raise DataError("No agent's turn in the dialogues is one that the generator would write.")
    drawn = random.Random(seed).sample(examples, min(limit, len(examples)))
    return [format_prompt(example.request) for example in drawn], examples


class _Endless:
    """A decoder whose logits never choose an end or a new line."""

    def __init__(self, decoder: Any, ends: Sequence[int]) -> None:
        self._decoder, self._ends = decoder, list(ends)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)

    def prefill(self, ids: Sequence[int], copies: int = 1) -> Any:
        return self._without_ends(self._decoder.prefill(ids, copies))

    def step(self, tokens: Sequence[int]) -> Any:
        return self._without_ends(self._decoder.step(tokens))

    def _without_ends(self, logits: Any) -> Any:
        held_back = logits.clone()
        held_back[..., self._ends] = -1e9
        return held_back


def ends_of(tokenizer: Any) -> list[int]:
    """Ids of the tokens behind which a draft would stop."""
    lines = [i for i in range(len(tokenizer)) if "\n" in tokenizer.decode([i])]
    return sorted({*lines, *(i for i in (tokenizer.eos_token_id,) if i is not None)})


def benchmark(
    settings: Settings, limit: int = 24, seed: int = 0, on_prompts: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """The figures; see ``figures_of``.

    Args:
        limit: prompts to write behind; eight of them are a batch.
        on_prompts: told after each batch how many prompts of how many are done.

    Raises:
        SettingsError: the generator is none.
        DataError, ModelError: dialogues or model are not to be had.
    """
    import torch

    from kefu.generation.decoder import decoder_for

    if settings.generator == "none":
        raise SettingsError("Setting 'KEFU_GENERATOR' has value 'none': there is no generator to measure.")
    prompts, examples = prompts_of(read_dialogues([Path(settings.data_dir) / "dialogues"]), limit, seed)
    model, tokenizer = load_model(settings)
    replies = [example.reply for example in examples]
    tokens = sum(len(ids) for ids in tokenizer(replies, add_special_tokens=False).input_ids)
    count = math.ceil(CHARACTERS * tokens / sum(map(len, replies)))
    decoder = decoder_for(model, max(BATCH, settings.reply_drafts))
    engine = TransformersEngine(
        _Endless(decoder, ends_of(tokenizer)), tokenizer, settings.threads, min_confidence=-math.inf, queue=2 * BATCH
    )
    engine.warm_up()
    adapter = None if settings.adapter in ("", "none") else Path(settings.adapter)
    plain = load_merged(settings.generator, adapter, torch.float32)[0].eval()

    def write(prompt: str, drafts: int) -> None:
        try:
            engine.generate_many(prompt, count, time.monotonic() + _NO_DEADLINE, range(drafts))
        except GenerationError as error:
            if "sentence" not in str(error):  # that many tokens were written all the same
                raise

    def as_served(prompt: str) -> None:
        write(prompt, settings.reply_drafts)

    def alone(prompt: str) -> None:
        write(prompt, 1)

    def in_fp32(prompt: str) -> None:
        torch.set_num_threads(settings.threads)
        ids = torch.tensor([engine.encode(prompt)])
        with torch.inference_mode():
            plain.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                min_new_tokens=count,
                max_new_tokens=count,
                pad_token_id=tokenizer.pad_token_id or 0,
            )

    in_fp32(prompts[0])  # pays for its lazy set-up
    seconds: dict[str, list[float]] = {"served": [], "alone": [], "fp32": [], "batch": []}
    with ThreadPoolExecutor(BATCH) as customers:
        for begin in range(0, len(prompts), BATCH):
            group = prompts[begin : begin + BATCH]
            for prompt in group:
                for name, way in (("served", as_served), ("alone", alone), ("fp32", in_fp32)):
                    seconds[name].append(_timed(way, prompt))
            full = [prompts[(begin + i) % len(prompts)] for i in range(BATCH)]
            began = time.perf_counter()
            list(customers.map(alone, full))
            seconds["batch"].append(time.perf_counter() - began)
            if on_prompts:
                on_prompts(begin + len(group), len(prompts))
    return figures_of(seconds, count, settings.reply_drafts)


def figures_of(seconds: dict[str, list[float]], tokens: int, drafts: int) -> dict[str, Any]:
    """The figures of a run.

    Args:
        seconds: of each draft written as served, alone and in fp32, and of each batch.
        tokens: of a draft.
        drafts: written at once for a reply as served.

    Returns:
        {prompts, tokens, drafts, latency_s: {p50, p95} of a reply as served, one_p50_s: the same with one draft,
        tokens_per_s: {one, fp32, batch_of_8}, to_fp32, batch_to_one: the ratios, bars: {name: {value, bar, met}}}
    """
    speed = {
        "one": tokens * len(seconds["alone"]) / sum(seconds["alone"]),
        "fp32": tokens * len(seconds["fp32"]) / sum(seconds["fp32"]),
        "batch_of_8": BATCH * tokens * len(seconds["batch"]) / sum(seconds["batch"]),
    }
    figures: dict[str, Any] = {
        "prompts": len(seconds["alone"]),
        "tokens": tokens,
        "drafts": drafts,
        "latency_s": {"p50": percentile(seconds["served"], 0.5), "p95": percentile(seconds["served"], 0.95)},
        "one_p50_s": percentile(seconds["alone"], 0.5),
        "tokens_per_s": speed,
        "to_fp32": speed["one"] / speed["fp32"],
        "batch_to_one": speed["batch_of_8"] / speed["one"],
    }
    values = {f"{name}_s": value for name, value in figures["latency_s"].items()} | figures
    figures["bars"] = {
        name: {
            "value": values[name],
            "bar": bar,
            "met": values[name] <= bar if name in _AT_MOST else values[name] >= bar,
        }
        for name, bar in BARS.items()
    }
    return figures


def _timed(write: Callable[[str], None], prompt: str) -> float:
    began = time.perf_counter()
    write(prompt)
    return time.perf_counter() - began
