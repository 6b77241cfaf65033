"""Engines write drafts. The one in use runs a causal language model of transformers in this process."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol, runtime_checkable

from kefu.errors import DeadlineExceeded, GenerationError
from kefu.settings import Settings

logger = logging.getLogger(__name__)

_ENDS = "。！？…!?~～）)”」"
# Share of a new measurement in the running means of the times per character read, token and draft written.
_FRESH = 0.3
_FADE = 0.8  # of the measured times, each time that they forbid a draft
# Least mean log-probability of a draft's tokens. Below it a small model is guessing, whatever it is asked for; what
# each strategy asks for beyond that stands in kefu.generation.responder.
MIN_CONFIDENCE = -1.5
_IDLE = 30.0  # seconds without work after which the writing thread ends; the next request starts another
_FEW_ROWS = 4  # up to so many a second thread costs what it brings
_SOME_TOKENS = 6  # of the shortest useful draft


class LowConfidence(GenerationError):
    """The model was guessing."""


class EngineBusy(GenerationError):
    """Too many requests wait already."""


@dataclass(frozen=True)
class Draft:
    """A finished draft and the mean log-probability of its tokens."""

    text: str
    confidence: float


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
            EngineBusy: too many wait already.
            LowConfidence: the model was guessing.
            GenerationError: the model gave nothing to use.
        """


@runtime_checkable
class ManyDrafts(Engine, Protocol):
    """An engine that writes several drafts of a prompt in about the time of one."""

    def generate_many(self, prompt: str, max_tokens: int, deadline: float, seeds: Sequence[int]) -> list[Draft]:
        """Drafts of one prompt, in no order; at least one.

        Drafts that fail are left out, and those behind the first while others wait for the engine.

        Args:
            seeds: of the drafts, the most important first; see ``Engine.generate``.

        Raises:
            GenerationError: as of ``Engine.generate``, if no draft can be used.
        """


def last_finished(text: str) -> str:
    """``text`` up to its last end of a sentence; empty where it has none."""
    end = max(text.rfind(mark) for mark in _ENDS)
    return text[: end + 1]


@dataclass(eq=False)
class _Job:
    """A request: its prompt, and what became of its drafts."""

    prompt: str
    max_tokens: int
    deadline: float
    seeds: Sequence[int]
    began: float = 0.0
    open: int = 0  # drafts that are being written
    drafts: list[Draft] = field(default_factory=list)
    error: GenerationError | None = None  # of the first draft that failed
    done: threading.Event = field(default_factory=threading.Event)

    def fail(self, error: GenerationError) -> None:
        """Gives the request up."""
        self.error = self.error or error
        self.done.set()


@dataclass(eq=False)
class _Row:
    """A draft that is being written, in a row of the decoder."""

    job: _Job
    choose: Callable[[Any], int]
    logits: Any  # (vocabulary,) of the next token
    room: int  # the most tokens
    tokens: list[int] = field(default_factory=list)
    text: str = ""
    surprise: float = 0.0


class TransformersEngine:
    """A causal language model and one thread that writes with it, several drafts at a time.

    Requests wait in a queue of fixed length. Between two tokens the thread takes in what waits, as long as the decoder
    has rows; each request gets a row for its first draft before any gets one for another draft, so that drafts become
    fewer before requests have to wait. Prompts are read one after the other.

    Args:
        decoder: see kefu.generation.decoder.
        tokenizer: of transformers.
        threads: the most torch threads for the prompt and for many rows; warm_up takes one if that is faster, as on a
            busy machine. A few rows run on one, which is no slower and leaves the rest to others.
        temperature, top_p: of drafts with a seed.
        min_confidence: least mean log-probability of a draft's tokens.
        queue: the most requests that wait; one more is refused at once.
    """

    def __init__(
        self,
        decoder: Any,
        tokenizer: Any,
        threads: int = 2,
        temperature: float = 0.7,
        top_p: float = 0.9,
        min_confidence: float = MIN_CONFIDENCE,
        queue: int = 16,
    ) -> None:
        self._decoder, self._tokenizer, self._threads = decoder, tokenizer, threads
        self._temperature, self._top_p = temperature, top_p
        self._min_confidence = min_confidence
        self._queue = queue
        self._waiting: deque[_Job] = deque()
        self._rows: list[_Row] = []  # in the decoder's order; the writing thread's own
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stops = {i for i in (tokenizer.eos_token_id,) if i is not None}
        self._per_character, self._per_token, self._per_draft = 0.0, 0.0, 0.0

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return len(self._waiting)

    def generate(self, prompt: str, max_tokens: int, deadline: float, seed: int = 0) -> str:
        """See Engine."""
        return self.generate_many(prompt, max_tokens, deadline, (seed,))[0].text

    def generate_many(self, prompt: str, max_tokens: int, deadline: float, seeds: Sequence[int]) -> list[Draft]:
        """See ManyDrafts; the prompt is read once."""
        job = _Job(prompt, max_tokens, deadline, seeds)
        self._submit(job)
        if not job.done.wait(max(0.0, deadline - time.monotonic())):
            job.fail(DeadlineExceeded("The draft was not ready in time; raise KEFU_REPLY_DEADLINE or add servers."))
        if job.drafts:
            return list(job.drafts)
        raise job.error or GenerationError("The generator wrote nothing.")

    def warm_up(self) -> None:
        """Pays for lazy set-up and measures what prompts and tokens take."""
        times: dict[int, float] = {}
        for threads in (self._threads, 1, self._threads, 1):
            self._threads = threads
            self._per_character = self._per_token = self._per_draft = 0.0
            with suppress(GenerationError):  # six tokens need not end a sentence
                self.generate(_WARM_UP, _SOME_TOKENS, time.monotonic() + 60)
            times[threads] = self._per_character
        self._threads = min(times, key=lambda n: times[n])

    def encode(self, prompt: str) -> list[int]:
        """Token ids, <bos> first where the model has one; the prompt's end is kept if it is too long."""
        ids: list[int] = self._tokenizer(prompt, add_special_tokens=False).input_ids
        bos = self._tokenizer.bos_token_id
        room = self._decoder.capacity - 128
        return ([bos] if bos is not None else []) + ids[-room:]

    def _submit(self, job: _Job) -> None:
        with self._changed:
            if len(self._waiting) >= self._queue:
                raise EngineBusy(
                    f"{len(self._waiting)} requests wait for the generator already; "
                    "raise KEFU_REPLY_QUEUE or add servers."
                )
            if time.monotonic() + self._wait() + self._needed(job) > job.deadline:
                if self._waiting or self._rows:
                    raise DeadlineExceeded(
                        "The generator is busy with other replies until too late; "
                        "raise KEFU_REPLY_DEADLINE or add servers."
                    )
                self._refuse()
            self._waiting.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="generator", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _needed(self, job: _Job) -> float:
        """Seconds that the shortest useful draft takes, from what earlier drafts took."""
        return self._reading(job) + _SOME_TOKENS * self._per_token

    def _reading(self, job: _Job) -> float:
        return len(job.prompt) * self._per_character

    def _wait(self) -> float:
        """Seconds until a newcomer's turn: prompts are read before its own, and rows become free one by one."""
        ahead = len(self._rows) + len(self._waiting) + 1 - self._decoder.rows
        seconds: float = sum(map(self._reading, self._waiting)) + max(0, ahead) * self._per_draft / self._decoder.rows
        return seconds

    def _refuse(self) -> NoReturn:
        # A machine that was busy once is not busy for ever: the measured times fade, and a draft is tried again.
        self._per_character *= _FADE
        self._per_token *= _FADE
        raise DeadlineExceeded("Too little time is left for a draft; raise KEFU_REPLY_DEADLINE.")

    def _work(self) -> None:
        """The writing thread: newcomers join, each row gets a token, until there has been nothing to do for a while."""
        import torch

        while True:
            with self._changed:
                if not self._rows and not self._waiting and not self._changed.wait_for(lambda: self._waiting, _IDLE):
                    self._thread = None
                    return
            try:
                while self._rows or self._waiting:
                    self._admit()
                    torch.set_num_threads(self._threads if len(self._rows) > _FEW_ROWS else 1)
                    self._write()
            except Exception as error:
                logger.exception("The generator failed.")
                self._fail_all(error)

    def _fail_all(self, error: Exception) -> None:
        for job in {row.job for row in self._rows}:
            job.fail(_generation_error(error))
        self._rows = []
        self._decoder.clear()

    def _admit(self) -> None:
        """Takes in what waits, as long as there are rows and reading it costs no draft its deadline."""
        taken: list[_Job] = []
        clock = time.monotonic()
        first = min((row.job.deadline for row in self._rows), default=math.inf) - self._per_token
        with self._changed:
            for job in list(self._waiting):
                if job.done.is_set() or clock + self._needed(job) > job.deadline:
                    self._waiting.remove(job)
                    job.fail(DeadlineExceeded("The generator was busy with other replies until too late."))
                elif len(self._rows) + len(taken) < self._decoder.rows and clock + self._reading(job) <= first:
                    self._waiting.remove(job)
                    taken.append(job)
                    clock += self._reading(job)
        spare = self._decoder.rows - len(self._rows) - len(taken)
        for job in taken:
            more = min(spare, len(job.seeds) - 1)
            spare -= more
            self._begin(job, job.seeds[: 1 + more])

    def _begin(self, job: _Job, seeds: Sequence[int]) -> None:
        """Reads a request's prompt; its drafts get a row each."""
        import torch

        job.began = time.monotonic()
        try:
            torch.set_num_threads(self._threads)
            ids = self.encode(job.prompt)
            logits = self._decoder.prefill(ids, len(seeds))
        except Exception as error:
            job.fail(_generation_error(error))
            return
        taken = time.monotonic() - job.began
        self._per_character = _mean(self._per_character, taken / max(1, len(job.prompt)))
        job.open = len(seeds)
        room = min(job.max_tokens, self._decoder.capacity - len(ids))
        self._rows += [_Row(job, self._chooser(seed), logits, room) for seed in seeds]

    def _write(self) -> None:
        """Chooses each row's next token and reads them all; rows that are done leave."""
        for number in reversed(range(len(self._rows))):
            row = self._rows[number]
            if row.job.done.is_set() or self._grow(row):
                self._decoder.drop(number)
                self._rows[number] = self._rows[-1]
                self._rows.pop()
        if not self._rows:
            return
        began = time.monotonic()
        logits = self._decoder.step([row.tokens[-1] for row in self._rows])
        for row, following in zip(self._rows, logits):
            row.logits = following
        self._per_token = _mean(self._per_token, time.monotonic() - began)

    def _grow(self, row: _Row) -> bool:
        """Chooses a row's next token; True where its draft has ended."""
        token = row.choose(row.logits)
        row.surprise -= float(row.logits.log_softmax(-1)[token])
        written = len(row.tokens) + 1
        if token in self._stops:
            return self._end(row, row.text.strip(), written)
        row.tokens.append(token)
        row.text = str(self._tokenizer.decode(row.tokens, skip_special_tokens=True))
        if "\n" in row.text.strip():
            return self._end(row, row.text.strip().split("\n")[0].strip(), written)
        if written < row.room and time.monotonic() + self._per_token <= row.job.deadline:
            return False
        return self._end(row, last_finished(row.text).strip() or None, written)

    def _end(self, row: _Row, text: str | None, written: int) -> bool:
        """Hands a draft over (None: it has no finished sentence), the request too if it was its last; True."""
        job, confidence = row.job, -row.surprise / written
        error: GenerationError | None = None
        if text is None:
            error = DeadlineExceeded(f"No finished sentence after {written} tokens; raise KEFU_REPLY_DEADLINE.")
        elif confidence < self._min_confidence:
            error = LowConfidence(f"A draft's tokens had a mean log-probability of {confidence:.2f}.")
        else:
            job.drafts.append(Draft(text, confidence))
        job.error = job.error or error
        job.open -= 1
        if not job.open:
            self._per_draft = _mean(self._per_draft, time.monotonic() - job.began)
            job.done.set()
        return True

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


def _generation_error(error: Exception) -> GenerationError:
    if isinstance(error, GenerationError):
        return error
    return GenerationError(f"The generator failed: {type(error).__name__}: {error}")


def _mean(old: float, new: float) -> float:
    return new if not old else (1 - _FRESH) * old + _FRESH * new


def load_engine(settings: Settings) -> TransformersEngine:
    """The engine that the settings ask for, warmed up.

    Raises:
        ModelNotFound, ModelCorrupt: of the base model or the adapter.
    """
    from kefu.generation.decoder import decoder_for
    from kefu.generation.loading import load_model

    model, tokenizer = load_model(settings)
    decoder = decoder_for(model, settings.reply_batch)
    engine = TransformersEngine(decoder, tokenizer, settings.threads, queue=settings.reply_queue)
    engine.warm_up()
    return engine
