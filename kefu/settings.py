"""Typed settings, read once from the environment (prefix ``KEFU_``) and from a ``.env`` file in the working folder.

The environment wins over the file. A value that cannot be cast raises SettingsError, which quotes key and value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from kefu.errors import SettingsError

PREFIX = "KEFU_"
# Senders whose names begin so are no customers: the demo's own first message, and whoever tests a running server.
PROBE = "warm-up-"
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


def _boolean(value: str) -> bool:
    lowered = value.strip().lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError("not one of 1/0, true/false, yes/no, on/off")


def _positive(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ValueError("must be a number greater than 0")
    return number


def _share(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise ValueError("must be a number from 0 to 1")
    return number


def _count(value: str) -> int:
    if not value.strip().isdecimal() or int(value) < 1:
        raise ValueError("must be a whole number of at least 1")
    return int(value)


def _mode(value: str) -> str:
    if value in ("chat", "completion"):
        return value
    raise ValueError("must be chat or completion")


def _store(value: str) -> str:
    if value in ("memory", "pgvector"):
        return value
    raise ValueError("must be memory or pgvector")


def _device(value: str) -> str:
    if value == "auto" or value == "cpu" or value.startswith("cuda"):
        return value
    raise ValueError("must be auto, cpu, cuda or cuda:N")


@dataclass(frozen=True)
class Settings:
    """What can be set from outside. Field ``x_y`` is read from ``KEFU_X_Y``.

    Attributes:
        database_url: any SQLAlchemy URL; the shop's orders, tickets and feedback live there.
        data_dir: the hand-written data (knowledge, shop, dialogues).
        state_dir: what the running assistant writes (the default databases, exports, logs).
        cache_dir: converted model weights, shared by checkouts.
        encoder: ``bundled:e5-small``, a hub id or a local folder of a BERT-like encoder.
        knowledge_store: where passages' vectors live: ``memory``, or ``pgvector`` for the PostgreSQL of database_url.
        generator: ``bundled:gemma-3-270m``, a hub id or a local folder of a causal LM; ``none`` for templates only;
            ``http://host:port/v1`` for a server that speaks OpenAI's API (vLLM, SGLang, llama.cpp, Ollama).
        generator_model: the model's name on that server; the first one it has where this is empty.
        generator_key: the key that server wants.
        generator_mode: ``chat`` for any instruct model, ``completion`` where that server runs our adapter merged.
        adapter: folder of the LoRA adapter for the generator; ``none`` for the bare model.
        reply_deadline: seconds after which the strategy's template is sent in place of a draft.
        max_reply_tokens: the longest draft, in tokens.
        compare_drafts: how far, in probability, a second strategy may lie behind the best for both to be drafted and
            the better pair to be sent; 0 drafts the best alone.
        reply_drafts: drafts of a reply that are written at once; the best that may be sent is.
        reply_batch: drafts, of one reply or of several, that the generator writes at the same time.
        reply_queue: replies that may wait for the generator; one more is a template at once.
        device: ``auto`` takes CUDA where there is a GPU.
        threads: CPU threads for the generator.
        rasa_url: where the Rasa server's HTTP API listens.
        rasa_token: token of Rasa's HTTP API, where one is set.
        channel_secret: signs the customer token that a shop's own pages hand to the chat; at least 16 characters.
        learn_preferences: `kefu retrain` also tunes the generator on pairs of replies that feedback prefers.
        demo: the chat page hands out a demo customer's token, so that orders can be tried without a login.
    """

    database_url: str = ""
    data_dir: Path = Path("data")
    state_dir: Path = Path("var")
    cache_dir: Path = Path("~/.cache/kefu")
    encoder: str = "bundled:e5-small"
    knowledge_store: str = "memory"
    generator: str = "bundled:gemma-3-270m"
    generator_model: str = ""
    generator_key: str = field(default="", repr=False)
    generator_mode: str = "chat"
    adapter: str = "actions/adapter"
    reply_deadline: float = 3.0
    max_reply_tokens: int = 64
    compare_drafts: float = 0.0
    reply_drafts: int = 3
    reply_batch: int = 8
    reply_queue: int = 16
    device: str = "auto"
    threads: int = 2
    rasa_url: str = "http://127.0.0.1:5005"
    rasa_token: str = ""
    channel_secret: str = ""
    learn_preferences: bool = False
    demo: bool = False

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in force: the one set, else SQLite in the state folder."""
        return self.database_url or f"sqlite:///{self.state_dir / 'kefu.db'}"

    @property
    def cache(self) -> Path:
        """The cache folder with ``~`` expanded."""
        return self.cache_dir.expanduser()


_CASTS: dict[str, Callable[[str], Any]] = {
    "data_dir": Path,
    "state_dir": Path,
    "cache_dir": Path,
    "reply_deadline": _positive,
    "max_reply_tokens": _count,
    "compare_drafts": _share,
    "reply_drafts": _count,
    "reply_batch": _count,
    "reply_queue": _count,
    "threads": _count,
    "knowledge_store": _store,
    "device": _device,
    "learn_preferences": _boolean,
    "generator_mode": _mode,
    "demo": _boolean,
}


def load(environ: Mapping[str, str]) -> Settings:
    """Casts the ``KEFU_*`` entries of ``environ``.

    Raises:
        SettingsError: a value cannot be cast, or a key is not a setting (a typing mistake should not pass in silence).
    """
    known = {f.name for f in fields(Settings)}
    values: dict[str, Any] = {}
    for key, raw in environ.items():
        if not key.startswith(PREFIX):
            continue
        name = key[len(PREFIX) :].lower()
        if name == "python":  # read by scripts/setup.sh
            continue
        if name not in known:
            close = ", ".join(sorted(PREFIX + n.upper() for n in known))
            raise SettingsError(f"There is no setting {key!r}. Settings are: {close}.")  # its value may be a secret
        try:
            values[name] = _CASTS.get(name, str)(raw)
        except ValueError as error:
            raise SettingsError(f"Setting {key!r} has value {raw!r}: {error}.") from None
    secret = values.get("channel_secret", "")
    if secret and len(secret) < 16:
        raise SettingsError(f"Setting 'KEFU_CHANNEL_SECRET' has {len(secret)} characters; use at least 16.")
    if re.search(r"[^!-~]", values.get("generator_key", "")):
        raise SettingsError("Setting 'KEFU_GENERATOR_KEY' has a space or a character that no HTTP header carries.")
    return Settings(**values)


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The process's settings: ``.env`` in the working folder, then the environment. Read once."""
    from dotenv import dotenv_values

    from_file = {k: v for k, v in dotenv_values(".env").items() if v is not None}
    return load({**from_file, **os.environ})
