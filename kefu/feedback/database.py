"""Opens the databases that feedback is read from and kept in."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from kefu.errors import DataError, NotFound, SettingsError

_BUSY_SECONDS = 10
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_URL_PARTS = ("dialect", "host", "port", "db", "username", "password", "query", "url")


def connect(url: str, what: str, create: bool) -> Engine:
    """An engine for ``url``, tried once.

    Args:
        what: what the URL is and where it is set, for the error's text.
        create: whether an SQLite file may be made where there is none.

    Raises:
        SettingsError: not a URL, no driver for it, or nothing answers there. The URL's password is never shown.
        NotFound: the SQLite file is not there and ``create`` is False.
    """
    try:
        parsed = make_url(url)
        file = Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None
        shown = parsed.render_as_string(hide_password=True)
        options: dict[str, Any] = {"connect_args": {"timeout": _BUSY_SECONDS}} if file else {"pool_pre_ping": True}
        engine = sa.create_engine(parsed, future=True, **options)
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        raise SettingsError(f"{what} has a value that is no usable database URL: {error}.") from None
    if file is not None and str(file) != ":memory:" and not file.exists():
        if not create:
            raise NotFound(f"{what}: there is no database {str(file)!r} yet. Start the assistant and talk to it first.")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"{what} is {shown!r}, which cannot be opened: {error}.") from None
    try:
        with engine.connect():
            pass
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise SettingsError(f"{what} is {shown!r}, which cannot be opened: {reason}.") from None
    return engine


def name_of(url: str) -> str:
    """The URL without its user and password: what tells one tracker store from another."""
    parsed = make_url(url)
    return str(URL.create(parsed.get_backend_name(), None, None, parsed.host, parsed.port, parsed.database))


def tracker_url(endpoints: Path) -> str:
    """The SQLAlchemy URL of the ``tracker_store`` in a Rasa endpoints file; ``${NAME}`` is read from the environment.

    Raises:
        NotFound: no such file.
        DataError: the file names no SQL tracker store.
    """
    if not endpoints.is_file():
        raise NotFound(f"There is no {str(endpoints)!r} that names Rasa's tracker store; or give --tracker-url.")
    try:
        document = yaml.safe_load(endpoints.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise DataError(f"{endpoints} is not YAML: {error}") from None
    raw = document.get("tracker_store") if isinstance(document, dict) else None
    if not isinstance(raw, dict):
        raise DataError(
            f"{endpoints} has no 'tracker_store'; feedback is harvested from an SQL one. Or give --tracker-url."
        )
    store = {key: _expanded(value, endpoints) for key, value in raw.items() if key in _URL_PARTS}
    address = store.get("url") or store.get("host")
    if address and "://" in str(address):
        return str(address)
    if not store.get("db") and str(raw.get("type", "")).lower() != "sql":
        raise DataError(
            f"{endpoints}: the tracker_store has type {raw.get('type')!r}; feedback is harvested from an SQL one. "
            "Or give --tracker-url."
        )
    query = {str(k): str(v) for k, v in (store.get("query") or {}).items()}
    port = int(store["port"]) if store.get("port") else None
    made = URL.create(
        str(store.get("dialect") or "sqlite"),
        store.get("username"),
        store.get("password"),
        address,
        port,
        str(store.get("db") or "rasa.db"),
        query,
    )
    return str(made.render_as_string(hide_password=False))


def _expanded(value: Any, endpoints: Path) -> Any:
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise SettingsError(f"{endpoints} needs the environment variable {match[1]!r}, which is not set.")
        return os.environ[match[1]]

    return _VARIABLE.sub(variable, value)
