"""Who is writing: the customer token that a shop's own pages sign and the chat hands on.

The token is a JWT (HS256) over the channel secret with the claims ``customer_id`` and ``exp``. Nobody is signed in
without a secret. In demo mode a random secret is kept in the state folder, readable by its owner alone.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from pathlib import Path
from typing import Any

import jwt

from kefu.settings import settings

logger = logging.getLogger(__name__)
ALGORITHM = "HS256"
DEMO_CUSTOMER = "demo"
DEMO_LIFETIME = 12 * 3600  # seconds
_LEEWAY = 30  # seconds that the shop's clock may differ from ours


def channel_secret() -> str:
    """The secret in force; "" where there is none. Demo mode makes one, once, in ``<state_dir>/secret`` (mode 0600)."""
    current = settings()
    if current.channel_secret or not current.demo:
        return current.channel_secret
    return _demo_secret(current.state_dir / "secret")


def _demo_secret(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        if not path.exists():
            with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
            # A link fails where another process was first, and never shows a half-written file.
            os.link(made, path)
    except FileExistsError:
        pass
    finally:
        made.unlink(missing_ok=True)
    return path.read_text().strip()


def sign(customer_id: str, secret: str, lifetime: float = DEMO_LIFETIME) -> str:
    """A customer token for ``customer_id``, valid for ``lifetime`` seconds."""
    return jwt.encode({"customer_id": customer_id, "exp": int(time.time() + lifetime)}, secret, algorithm=ALGORITHM)


def verify(token: Any) -> str | None:
    """The ``customer_id`` that ``token`` proves, or None; why not is logged, the token is not."""
    secret = channel_secret()
    if not secret:
        logger.warning("A customer token came and 'KEFU_CHANNEL_SECRET' is not set, so nobody can be signed in.")
        return None
    try:
        claims = jwt.decode(
            token, secret, algorithms=[ALGORITHM], leeway=_LEEWAY, options={"require": ["exp", "customer_id"]}
        )
    except (jwt.InvalidTokenError, TypeError) as error:
        logger.warning("A customer token was refused: %s.", error)
        return None
    customer_id = claims["customer_id"]
    if not isinstance(customer_id, str) or not 0 < len(customer_id) <= 128:
        logger.warning("A customer token was refused: its customer_id is not a string of 1 to 128 characters.")
        return None
    return customer_id


def signed_in(metadata: dict[str, Any]) -> dict[str, Any]:
    """``metadata`` as Rasa may keep it: the token taken out, ``customer_id`` only where a token proves it."""
    kept = {key: value for key, value in metadata.items() if key not in ("customer_id", "customer_token")}
    token = metadata.get("customer_token")
    customer_id = verify(token) if token else None
    return {**kept, "customer_id": customer_id} if customer_id else kept
