"""Columns and relations for the dataclasses of models.py, and the registry they are mapped with."""

from __future__ import annotations

from dataclasses import field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import registry, relationship

mapper: Any = registry()
KEY = "sa"


def column(*args: Any, default: Any = None, init: bool = True, **options: Any) -> Any:
    """A column that may be NULL."""
    made = sa.Column(*args, **{"nullable": True, **options})
    return field(default=default, init=init, metadata={KEY: made})


def string(size: int, default: str = "", **options: Any) -> Any:
    """A string column, not NULL."""
    return column(sa.String(size), default=default, **{"nullable": False, **options})


def whole(default: int = 0, **options: Any) -> Any:
    """An integer column, not NULL."""
    return column(sa.Integer, default=default, nullable=False, **options)


def moment(**options: Any) -> Any:
    """A time."""
    return column(sa.DateTime, **options)


def reference(target: str, size: int, nullable: bool = False) -> Any:
    """A foreign key of strings."""
    return column(
        sa.String(size), sa.ForeignKey(target), nullable=nullable, index=True, default=None if nullable else ""
    )


def number() -> Any:
    """A primary key that counts up."""
    return column(sa.Integer, primary_key=True, init=False, nullable=False, autoincrement=True)


def many(target: str, **options: Any) -> Any:
    """The records that belong to this one and go with it."""
    options = {"cascade": "all, delete-orphan", **options}
    return field(default_factory=list, repr=False, metadata={KEY: relationship(target, **options)})


def one(target: str, **options: Any) -> Any:
    """The one record at the other end."""
    return field(default=None, repr=False, metadata={KEY: relationship(target, uselist=False, **options)})
