"""The shop's database: one engine, sessions in transactions, errors that say which setting to mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import StaticPool

from kefu.errors import SettingsError
from kefu.shop.models import Customer
from kefu.shop.tables import mapper

_KEY = "KEFU_DATABASE_URL"
BUSY_MS = 2000  # a write waits so long for another process's before it fails
CONNECT_SECONDS = 3


def _pragmas(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


class Shop:
    """Opens the database at an SQLAlchemy URL. Safe to share between threads.

    Raises:
        SettingsError: the URL is not one, its driver is not installed, or (from create_all and session) the database
            cannot be reached. The URL's password is never shown.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise SettingsError(
                f"Setting {_KEY!r} is not a database URL; write it like sqlite:///var/kefu.db or "
                "postgresql://user:password@host/name."
            ) from None
        self.url = parsed.render_as_string(hide_password=True)
        options: dict[str, Any] = {"pool_pre_ping": True}
        if parsed.get_backend_name() == "sqlite":
            options["connect_args"] = {"check_same_thread": False}
            if parsed.database in (None, "", ":memory:"):
                options["poolclass"] = StaticPool
            else:
                self._make_folder(Path(str(parsed.database)).parent)
        elif parsed.get_backend_name() in ("postgresql", "mysql", "mariadb"):
            options["connect_args"] = {"connect_timeout": CONNECT_SECONDS}
        try:
            self.engine = sa.create_engine(parsed, future=True, **options)
        except NoSuchModuleError:
            raise SettingsError(
                f"Setting {_KEY!r} has value {self.url!r}: SQLAlchemy knows no such database."
            ) from None
        except ImportError as error:
            raise SettingsError(
                f"Setting {_KEY!r} has value {self.url!r}, whose driver is not installed: pip install {error.name}."
            ) from None
        if self.engine.dialect.name == "sqlite":
            sa.event.listen(self.engine, "connect", _pragmas)
        self._sessions: Any = sessionmaker(self.engine, future=True, expire_on_commit=False)

    def _make_folder(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"Setting {_KEY!r} has value {self.url!r}: {error}.") from None

    def create_all(self) -> Shop:
        """Creates the tables that are not there yet, and the columns that a later version of kefu has added."""
        try:
            mapper.metadata.create_all(self.engine)
            self._add_columns()
        except SQLAlchemyError as error:
            raise SettingsError(
                f"Setting {_KEY!r} has value {self.url!r}, which cannot be used: {_reason(error)}."
            ) from None
        return self

    def _add_columns(self) -> None:
        known = sa.inspect(self.engine)
        quote = self.engine.dialect.identifier_preparer.quote
        for table in mapper.metadata.sorted_tables:
            there = {column["name"] for column in known.get_columns(table.name)}
            for column in table.columns:
                if column.name in there:
                    continue
                if not column.nullable:
                    raise SettingsError(
                        f"Setting {_KEY!r} has value {self.url!r}, whose table {table.name!r} lacks the column "
                        f"{column.name!r}; it was made by another version. Take another database, or add the column."
                    )
                kind = column.type.compile(self.engine.dialect)
                with self.engine.begin() as connection:
                    change = f"ALTER TABLE {quote(table.name)} ADD COLUMN {quote(column.name)} {kind}"
                    connection.execute(sa.text(change))

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session in one transaction: committed at the end of the block, rolled back where it raises."""
        with self._sessions.begin() as session:
            yield session

    def orders_of(self, customer_id: str) -> list[dict[str, str]]:
        """The customer's orders, newest first, each as the facts order_id, order_state and product."""
        from kefu.shop.lookups import base
        from kefu.shop.words import now

        with self.session() as session:
            customer = session.get(Customer, customer_id)
            orders = sorted(customer.orders, key=lambda o: o.created_at, reverse=True) if customer else []
            return [base(order, now()) for order in orders]

    def close(self) -> None:
        """Closes the connections."""
        self.engine.dispose()


def _reason(error: SQLAlchemyError) -> str:
    original = getattr(error, "orig", None) or error
    return str(original).strip().splitlines()[0].rstrip(".")
