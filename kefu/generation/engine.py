"""Engines write drafts. The one in use runs a causal language model of transformers in this process."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from kefu.errors import DeadlineExceeded, GenerationError
from kefu.settings import Settings

logger = logging.getLogger(__name__)

_ENDS = "。！？…!?~～）)”」"
# Share of a new measurement in the running means of the times per character read and token written.
_FRESH = 0.3
_FADE = 0.8  # of the measured times, each time that they forbid a draft
# Least mean log-probability of a draft's tokens. Below it a small model is guessing: drafts read were sense above and
# nonsense below more often than not.
MIN_CONFIDENCE = -0.7


class LowConfidence(GenerationError):
    """The model was guessing."""


_WARM_UP = (
    "资料：退货到仓验收通过后退款，原路返回。\n客户：在吗，我退的货你们收到没有\n【退款进度|平静|理解】信息传达："
)


class Engine(Protocol):
    """Writes the text behind a prompt."""

    def generate(self, prompt: str, max_tokens: int, deadline: float, seed: int = 0) -> str:
        """One line of text.

        Args:
            prompt: as kefu.generation.prompt formats it.
            max_tokens: the most to write.
            deadline: the ``time.monotonic()`` by which to be back.
            seed: 0 takes the likeliest token each time; any other number draws, so that a second draft differs.

        Raises:
            DeadlineExceeded: no finished sentence in time, or no turn for this call in time.
            LowConfidence: the model was guessing.
            GenerationError: the model gave nothing to use.
        """


def last_finished(text: str) -> str:
    """``text`` up to its last end of a sentence; empty where it has none."""
    end = max(text.rfind(mark) for mark in _ENDS)
    return text[: end + 1]


class TransformersEngine:
    """A causal language model behind a lock: one draft at a time, waiting no longer than the deadline allows.

    Args:
        decoder: see kefu.generation.decoder.
        tokenizer: of transformers.
        threads: the most torch threads for the prompt; warm_up takes one if that is faster, as on a busy machine.
            Single tokens run on one, which is no slower and leaves the rest to others.
        temperature, top_p: of drafts with a seed.
        min_confidence: least mean log-probability of a draft's tokens.
    """

    def __init__(
        self,
        decoder: Any,
        tokenizer: Any,
        threads: int = 2,
        temperature: float = 0.7,
        top_p: float = 0.9,
        min_confidence: float = MIN_CONFIDENCE,
    ) -> None:
        self._decoder, self._tokenizer, self._threads = decoder, tokenizer, threads
        self._temperature, self._top_p = temperature, top_p
        self._min_confidence = min_confidence
        self.confidence = 0.0  # of the last draft
        self._lock = threading.Lock()
        self._prompt: list[int] | None = None
        self._stops = {i for i in (tokenizer.eos_token_id,) if i is not None}
        self._per_character, self._per_token = 0.0, 0.0

    def generate(self, prompt: str, max_tokens: int, deadline: float, seed: int = 0) -> str:
        """See Engine."""
        if not self._lock.acquire(timeout=max(0.0, deadline - self._needed(prompt) - time.monotonic())):
            raise DeadlineExceeded(
                "The generator was busy with other replies until too late; raise KEFU_REPLY_DEADLINE or add servers."
            )
        try:
            return self._write(prompt, max_tokens, deadline, seed)
        finally:
            self._lock.release()

    def warm_up(self) -> None:
        """Pays for lazy set-up and measures what prompts and tokens take."""
        times: dict[int, float] = {}
        for threads in (self._threads, 1, self._threads, 1):
            self._threads, self._prompt = threads, None
            self._per_character = self._per_token = 0.0
            with suppress(GenerationError):  # six tokens need not end a sentence
                self.generate(_WARM_UP, 6, time.monotonic() + 60)
            times[threads] = self._per_character
        self._threads = min(times, key=lambda n: times[n])
        self._prompt = None

    def _needed(self, prompt: str) -> float:
        """Seconds that the shortest useful draft takes, from what earlier drafts took."""
        return len(prompt) * self._per_character + 6 * self._per_token

    def _write(self, prompt: str, max_tokens: int, deadline: float, seed: int) -> str:
        if time.monotonic() + self._needed(prompt) > deadline:
            # A machine that was busy once is not busy for ever: the measured times fade, and a draft is tried again.
            self._per_character *= _FADE
            self._per_token *= _FADE
            raise DeadlineExceeded("Too little time is left for a draft; raise KEFU_REPLY_DEADLINE.")
        logits = self._read(prompt)
        choose = self._chooser(seed)
        tokens: list[int] = []
        text, surprise, began = "", 0.0, time.monotonic()
        while len(tokens) < max_tokens:
            token = choose(logits)
            surprise -= float(logits.log_softmax(-1)[token])
            if token in self._stops:
                return self._sure(text.strip(), surprise / (len(tokens) + 1))
            tokens.append(token)
            text = str(self._tokenizer.decode(tokens, skip_special_tokens=True))
            if "\n" in text.strip():
                return self._sure(text.strip().split("\n")[0].strip(), surprise / len(tokens))
            if time.monotonic() + self._per_token > deadline:
                break
            logits = self._decoder.step(token)
            self._per_token = _mean(self._per_token, (time.monotonic() - began) / len(tokens))
        finished = last_finished(text).strip()
        if not finished:
            raise DeadlineExceeded(f"No finished sentence after {len(tokens)} tokens; raise KEFU_REPLY_DEADLINE.")
        return self._sure(finished, surprise / len(tokens))

    def _sure(self, text: str, surprise: float) -> str:
        self.confidence = -surprise
        if self.confidence < self._min_confidence:
            raise LowConfidence(f"A draft's tokens had a mean log-probability of {self.confidence:.2f}.")
        return text

    def _read(self, prompt: str) -> Any:
        """The logits behind the prompt; a prompt just read is not read again."""
        import torch

        ids = self.encode(prompt)
        if ids == self._prompt:
            torch.set_num_threads(1)
            return self._decoder.rewind()
        self._prompt = None
        began = time.monotonic()
        torch.set_num_threads(self._threads)
        logits = self._decoder.prefill(ids)
        torch.set_num_threads(1)
        self._prompt = ids
        self._per_character = _mean(self._per_character, (time.monotonic() - began) / max(1, len(prompt)))
        return logits

    def encode(self, prompt: str) -> list[int]:
        """Token ids, <bos> first where the model has one; the prompt's end is kept if it is too long."""
        ids: list[int] = self._tokenizer(prompt, add_special_tokens=False).input_ids
        bos = self._tokenizer.bos_token_id
        room = self._decoder.capacity - 128
        return ([bos] if bos is not None else []) + ids[-room:]

    def _chooser(self, seed: int) -> Callable[[Any], int]:
        import torch

        if not seed:
            return lambda logits: int(logits.argmax())
        generator = torch.Generator().manual_seed(seed)

        def draw(logits: Any) -> int:
            top, tokens = torch.topk(logits.float().cpu() / self._temperature, min(40, len(logits)))
            shares = top.softmax(0)
            shares[shares.cumsum(0) - shares > self._top_p] = 0.0
            return int(tokens[torch.multinomial(shares, 1, generator=generator)])

        return draw


def _mean(old: float, new: float) -> float:
    return new if not old else (1 - _FRESH) * old + _FRESH * new


def faster_dtype(threads: int) -> Any:
    """bfloat16 or float32, whichever multiplies faster on this CPU."""
    import torch

    torch.set_num_threads(threads)
    times: dict[Any, float] = {}
    for dtype in (torch.bfloat16, torch.float32):
        prompt, weight = torch.randn(96, 640, dtype=dtype), torch.randn(2048, 640, dtype=dtype)
        for _ in range(3):
            began = time.perf_counter()
            torch.nn.functional.linear(prompt, weight)
            times[dtype] = min(times.get(dtype, 1e9), time.perf_counter() - began)
    return min(times, key=lambda d: times[d])


def load_engine(settings: Settings) -> TransformersEngine:
    """The engine that the settings ask for, warmed up.

    Raises:
        ModelNotFound, ModelCorrupt: of the base model or the adapter.
    """
    import torch

    from kefu.generation.decoder import decoder_for
    from kefu.generation.loading import load_merged

    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = faster_dtype(settings.threads) if device == "cpu" else torch.bfloat16
    adapter = None if settings.adapter in ("", "none") else Path(settings.adapter)
    model, tokenizer = load_merged(settings.generator, adapter, dtype)
    engine = TransformersEngine(decoder_for(model.eval().to(device)), tokenizer, settings.threads)
    engine.warm_up()
    logger.info(
        "Generator %s on %s in %s, adapter %s.", settings.generator, device, str(dtype).split(".")[-1], settings.adapter
    )
    return engine
