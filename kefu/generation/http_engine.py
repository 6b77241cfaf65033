"""An engine behind any server that speaks OpenAI's HTTP API: vLLM, SGLang, llama.cpp's server, Ollama and others.

A thread of its own runs an event loop, so that each deadline is kept to the millisecond whatever the server does, and
the replies of several conversations are written side by side. A server that fails again and again is left alone for a
while: then a draft costs nothing, and a single one tries whether it is back.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import AsyncGenerator, Coroutine
from concurrent.futures import TimeoutError as Late
from contextlib import aclosing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import CLOSED, HALF_OPENED, OpenedState
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from kefu.errors import DeadlineExceeded, GenerationError, SettingsError, Unavailable
from kefu.generation.chat import chat_messages, spoken
from kefu.generation.engine import MIN_CONFIDENCE, LowConfidence, last_finished
from kefu.settings import Settings

logger = logging.getLogger(__name__)
T = TypeVar("T")

CONNECT_SECONDS = 1.0
FIRST_TOKEN_SHARE = 0.7  # of the time that is left; a reply that has not begun by then does not end in time either
LEAST_SECONDS = 0.15  # with less time than this no draft is asked for
FAILURES = 3  # one after the other, after which the server is left alone ...
REST_SECONDS = 30.0  # ... for so long
ATTEMPTS = 3
_LONGEST_REST = 600.0  # seconds of a Retry-After that are believed
_MOST_CHARACTERS = 4000
_PASSING = frozenset({429, 502, 503, 504})
_RESETS = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


class _Again(GenerationError):
    """A failure that may pass; ``after`` are the seconds that the server asked to wait."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class _Harmless(Exception):
    """Carries past the breaker what does not speak against the server."""


@dataclass
class _Draft:
    """What has arrived of a draft."""

    text: str = ""
    surprises: list[float] = field(default_factory=list)
    complete: bool = False


class HttpEngine:
    """Writes drafts over HTTP. Safe to share between threads.

    Args:
        url: where the API begins, ``http://host:port/v1``.
        model: its name; empty asks the server for the first one it has.
        key: sent as a bearer token; never logged.
        mode: ``chat`` for instruct models, ``completion`` for a server that runs our adapter merged.
        rest: seconds for which a failing server is left alone.
        fair: a draft that was given fewer seconds than this and did not come says nothing about the server.
        min_confidence: least mean log-probability of a draft's tokens, where the server tells them.

    Raises:
        SettingsError: the address is none.
    """

    kind = "http"

    def __init__(
        self,
        url: str,
        model: str = "",
        key: str = "",
        mode: str = "chat",
        rest: float = REST_SECONDS,
        fair: float = 1.0,
        min_confidence: float = MIN_CONFIDENCE,
        temperature: float = 0.7,
        top_p: float = 0.9,
    ) -> None:
        self.url = _address(url)
        self._model, self._key, self._mode, self._rest, self._fair = model, key, mode, rest, fair
        self._found_model = ""
        self._min_confidence, self._temperature, self._top_p = min_confidence, temperature, top_p
        self._not_before = 0.0
        self._probing = False
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="http-generator", daemon=True).start()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # What customers write goes to the address that was set, through no proxy that happens to be in the environment.
        self._client = httpx.AsyncClient(base_url=self.url, headers=headers, trust_env=False)
        breakers = AsyncCircuitBreakerFactory(default_threshold=FAILURES, default_ttl=rest, exclude=[_Harmless])
        breakers.add_listener(self._tell)
        self._breaker = self._do(breakers.get_breaker("generator"), 10.0)

    @property
    def state(self) -> str:
        """The breaker's: ``closed`` lets drafts through, ``opened`` none, ``half-opened`` a single one."""
        return str(self._breaker.context.state)

    def generate(self, prompt: str, max_tokens: int, deadline: float, seed: int = 0) -> str:
        """See kefu.generation.engine.Engine.

        Raises:
            Unavailable: the server is left alone, because it failed or asked for it.
        """
        left = deadline - time.monotonic()
        if left < LEAST_SECONDS:
            raise DeadlineExceeded("Too little time is left for a draft; raise KEFU_REPLY_DEADLINE.")
        return self._do(self._guarded(self._body(prompt, max_tokens, seed), deadline), left + 0.5)

    def close(self) -> None:
        """Ends the connections and the thread."""

        async def end() -> None:
            await self._client.aclose()
            await self._loop.shutdown_asyncgens()

        self._do(end(), 5.0)
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _do(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except Late:  # each step has its own deadline; this one is for a machine that stands still
            future.cancel()
            raise DeadlineExceeded("No draft in time; raise KEFU_REPLY_DEADLINE.") from None

    def _tell(self, name: str, kind: str, event: Any) -> None:
        if kind == "state_changed" and event.state == OpenedState.name:
            logger.error(
                "The generator at %s fails: templates answer, and it is tried again after %g s.", self.url, self._rest
            )
        elif kind == "state_changed":
            logger.warning("The generator at %s is %s.", self.url, event.state)

    def _body(self, prompt: str, max_tokens: int, seed: int) -> dict[str, Any]:
        body: dict[str, Any] = {"max_tokens": max_tokens, "stream": True, "temperature": 0.0}
        if seed:
            body |= {"temperature": self._temperature, "top_p": self._top_p, "seed": seed}
        if self._mode == "completion":
            return {**body, "prompt": prompt, "stop": ["\n"], "logprobs": 1}
        return {**body, "messages": chat_messages(prompt)}

    async def _guarded(self, body: dict[str, Any], deadline: float) -> str:
        """A draft, unless the server is being left alone."""
        if (wait := self._not_before - time.monotonic()) > 0:
            raise Unavailable(f"The generator asked not to be called for another {wait:.1f} s.")
        left = deadline - time.monotonic()
        if self._probing or (self.state != CLOSED and left < self._fair):
            raise Unavailable("The generator failed and has not been found to be back.")
        probes = False
        try:
            async with self._breaker:
                probes = self._probing = self.state == HALF_OPENED
                try:
                    return await self._try(body, deadline)
                except GenerationError as error:
                    busy = isinstance(error, _Again) and error.after > 0
                    hurried = isinstance(error, DeadlineExceeded) and left < self._fair
                    if busy or hurried or isinstance(error, LowConfidence):
                        raise _Harmless from error
                    raise
        except OpenedState:
            raise Unavailable(f"The generator failed {FAILURES} times and is left alone.") from None
        except _Harmless as error:
            raise error.__cause__ or error from None
        finally:
            if probes:
                self._probing = False

    async def _try(self, body: dict[str, Any], deadline: float) -> str:
        """A draft; failures that may pass are tried again as long as there is time."""

        def too_late(state: RetryCallState) -> bool:
            ready = time.monotonic() + state.upcoming_sleep + LEAST_SECONDS
            return state.attempt_number >= ATTEMPTS or ready > deadline

        attempts = AsyncRetrying(
            retry=retry_if_exception_type(_Again), wait=_wait, stop=too_late, sleep=asyncio.sleep, reraise=True
        )
        try:
            return await attempts(self._write, body, deadline)
        except _Again as error:
            if error.after:
                self._not_before = time.monotonic() + min(error.after, _LONGEST_REST)
            raise

    async def _write(self, body: dict[str, Any], deadline: float) -> str:
        draft = _Draft()
        try:
            await self._receive(body, deadline, draft)
        except (asyncio.TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout):
            if not draft.text:
                raise DeadlineExceeded(f"The generator at {self.url} wrote nothing in time.") from None
        except _RESETS as error:
            if not draft.text:
                raise _Again(self._safe(f"{self.url}: {type(error).__name__}: {error}")) from None
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise GenerationError(self._safe(f"{self.url}: {type(error).__name__}: {error}")) from None
        return self._finish(draft)

    async def _receive(self, body: dict[str, Any], deadline: float, draft: _Draft) -> None:
        """Fills ``draft`` as it arrives; gives up where it has not begun or not ended in time."""
        begun = time.monotonic() + FIRST_TOKEN_SHARE * (deadline - time.monotonic())
        model = self._model or self._found_model or await asyncio.wait_for(self._first_model(), _left(begun))
        path = "completions" if self._mode == "completion" else "chat/completions"
        request = self._client.build_request(
            "POST", path, json={**body, "model": model}, timeout=_timeout(_left(deadline))
        )
        response = await asyncio.wait_for(self._client.send(request, stream=True), _left(begun))
        try:
            if response.status_code != 200:
                await asyncio.wait_for(response.aread(), _left(begun))
                if response.status_code == 404:
                    self._found_model = ""  # another one may have taken its place
                raise self._refused(response)
            async with aclosing(_events(response)) as events:
                while not draft.complete and len(draft.text) < _MOST_CHARACTERS:
                    try:
                        data = await asyncio.wait_for(events.__anext__(), _left(deadline if draft.text else begun))
                    except StopAsyncIteration:
                        break
                    self._take(data, draft)
        finally:
            await response.aclose()  # which also tells the server to stop writing

    async def _first_model(self) -> str:
        answer = await self._client.get("models", timeout=_timeout(CONNECT_SECONDS))
        if answer.status_code != 200:
            raise self._refused(answer)
        try:
            self._found_model = str(answer.json()["data"][0]["id"])
        except (ValueError, LookupError, TypeError):
            raise GenerationError(f"{self.url} names no model; set KEFU_GENERATOR_MODEL.") from None
        return self._found_model

    def _take(self, data: str, draft: _Draft) -> None:
        """Adds one event to the draft."""
        if data == "[DONE]":
            draft.complete = True
            return
        try:
            event = json.loads(data)
            if "error" in event:
                raise GenerationError(self._safe(f"{self.url}: {_message(event)}"))
            for choice in event.get("choices") or ():
                part = choice.get("delta") or choice.get("message") or {}
                draft.text += str(part.get("content") or choice.get("text") or "")
                draft.surprises += _surprises(choice.get("logprobs"))
                written = draft.text.strip()
                ended = "\n" in written and not written.startswith("<think>")
                draft.complete = draft.complete or ended or choice.get("finish_reason") == "stop"
        except (ValueError, AttributeError, TypeError):
            raise GenerationError(f"{self.url} does not speak OpenAI's API; does that URL end in /v1?") from None

    def _finish(self, draft: _Draft) -> str:
        text = spoken(draft.text).split("\n")[0].strip()
        if not draft.complete:
            text = last_finished(text).strip()
        if not text or text.startswith("<think>"):
            raise GenerationError(
                f"The generator at {self.url} wrote no finished sentence in {len(draft.text)} characters; "
                "raise KEFU_MAX_REPLY_TOKENS or take a model that does not think aloud."
            )
        if draft.surprises:
            confidence = sum(draft.surprises) / len(draft.surprises)
            if confidence < self._min_confidence:
                raise LowConfidence(f"A draft's tokens had a mean log-probability of {confidence:.2f}.")
        return text

    def _refused(self, response: httpx.Response) -> GenerationError:
        """What a status other than 200 means."""
        status = response.status_code
        try:
            why = _message(response.json())
        except ValueError:
            why = response.reason_phrase
        text = self._safe(f"{self.url} answered {status}: {why}")
        if status in _PASSING:
            return _Again(text, _seconds(response.headers.get("retry-after", "")))
        mends = {401: "KEFU_GENERATOR_KEY", 403: "KEFU_GENERATOR_KEY", 404: "KEFU_GENERATOR and KEFU_GENERATOR_MODEL"}
        return GenerationError(f"{text}. Check {mends[status]}." if status in mends else text)

    def _safe(self, text: str) -> str:
        """``text`` without the key, which some servers say back."""
        return text.replace(self._key, "***") if self._key else text


def _address(url: str) -> str:
    """``url`` with a slash at its end.

    Raises:
        SettingsError: it has no host, or holds what may be a secret; then it is not quoted.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise SettingsError(f"Setting 'KEFU_GENERATOR' is no address: {error}.") from None
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise SettingsError(
            "Setting 'KEFU_GENERATOR' holds a user, a query or a fragment; write http://host:port/v1, and the key into "
            "KEFU_GENERATOR_KEY."
        )
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SettingsError(f"Setting 'KEFU_GENERATOR' has value {url!r}; write http://host:port/v1.")
    return f"{str(parsed).rstrip('/')}/"


def _left(until: float) -> float:
    return max(0.0, until - time.monotonic())


def _timeout(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(max(seconds, 0.001), connect=max(0.001, min(seconds, CONNECT_SECONDS)))


_jitter = wait_random_exponential(multiplier=0.1, max=1.0)


def _wait(state: RetryCallState) -> float:
    """Seconds until the next attempt: what the server asked for, and some more so that not all come at once."""
    error = state.outcome.exception() if state.outcome else None
    return float(_jitter(state)) + (error.after if isinstance(error, _Again) else 0.0)


def _seconds(retry_after: str) -> float:
    """Of a Retry-After header, in seconds or as a date; 0 where there is none."""
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0


async def _events(response: httpx.Response) -> AsyncGenerator[str, None]:
    """The data of a stream's events, or the whole body of a server that does not stream."""
    if response.headers.get("content-type", "").startswith("application/json"):
        yield (await response.aread()).decode("utf-8", "replace")
        return
    async with aclosing(response.aiter_lines()) as lines:  # type: ignore[type-var]
        async for line in lines:
            if line.startswith("data:"):
                yield line[5:].strip()


def _surprises(logprobs: Any) -> list[float]:
    """The log-probabilities of the tokens of one event, in either of the API's two forms."""
    if not isinstance(logprobs, dict):
        return []
    if isinstance(logprobs.get("content"), list):
        return [float(token["logprob"]) for token in logprobs["content"]]
    return [float(value) for value in logprobs.get("token_logprobs") or () if value is not None]


def _message(body: Any) -> str:
    """The server's own words for an error, short: some of them quote the request."""
    error = body.get("error", body) if isinstance(body, dict) else body
    words = error.get("message", "") if isinstance(error, dict) else error
    return " ".join(str(words).split())[:120]


def load_http_engine(settings: Settings) -> HttpEngine:
    """The engine that the settings ask for. The server need not be there yet.

    Raises:
        SettingsError: KEFU_GENERATOR is no address.
    """
    engine = HttpEngine(
        settings.generator,
        settings.generator_model,
        settings.generator_key,
        settings.generator_mode,
        fair=settings.reply_deadline / 2,
    )
    logger.info("Generator %s at %s, %s.", settings.generator_model or "(any)", engine.url, settings.generator_mode)
    return engine
