"""The shop's terms and policy texts, from data/shop/shop.yml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from kefu.errors import DataError, NotFound
from kefu.settings import settings


@dataclass(frozen=True)
class Terms:
    """The numbers that the shop counts with; days after signing, hours after the event, as shop.yml comments them.

    ``policies`` are texts that a reply may state in its own words, by name, with their numbers filled in.
    """

    name: str
    hotline: str
    opens: int
    closes: int
    return_days: int
    quality_days: int
    price_protection_days: int
    cancel_refund_hours: int
    inspection_hours: int
    ticket_reply_hours: int
    ticket_plan_hours: int
    invoice_exchange_days: int
    stalled_hours: int
    warranty_months: int
    policies: Mapping[str, str]

    @property
    def hours(self) -> str:
        """When human agents are there: 9:00-22:00."""
        return f"{self.opens}:00-{self.closes}:00"

    def policy(self, name: str) -> str:
        """The policy text of that name.

        Raises:
            DataError: shop.yml has no such policy.
        """
        if name not in self.policies:
            raise DataError(f"data/shop/shop.yml has no policy {name!r}; add it below 'policies'.")
        return self.policies[name]


def read_terms(path: Path) -> Terms:
    """Reads a shop.yml.

    Raises:
        NotFound: there is no such file.
        DataError: a term is missing, unknown or of the wrong type; the message names it.
    """
    if not path.is_file():
        raise NotFound(f"There is no {str(path)!r} with the shop's terms; KEFU_DATA_DIR names the data folder.")
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise DataError(f"{path} is not YAML: {error}") from None
    if not isinstance(document, dict) or set(document) != {"terms", "policies"}:
        raise DataError(f"{path}: expected the keys 'terms' and 'policies'.")
    given = document["terms"]
    wanted = {f.name: f.type for f in fields(Terms) if f.name != "policies"}
    for name in wanted.keys() | given.keys():
        if name not in wanted or name not in given:
            raise DataError(f"{path}: the term {name!r} is {'missing' if name in wanted else 'not known'}.")
        kind = int if wanted[name] == "int" else str
        if not isinstance(given[name], kind):
            raise DataError(f"{path}: the term {name!r} has value {given[name]!r}, not a {kind.__name__}.")
    try:
        policies = {str(k): str(v).format(**given) for k, v in document["policies"].items()}
    except (KeyError, IndexError, ValueError) as error:
        raise DataError(f"{path}: a policy names a term that is not there: {error}.") from None
    return Terms(**given, policies=policies)


@lru_cache(maxsize=4)
def _cached(path: Path) -> Terms:
    return read_terms(path)


def terms() -> Terms:
    """The terms in settings().data_dir / shop / shop.yml, read once."""
    return _cached(settings().data_dir / "shop" / "shop.yml")
