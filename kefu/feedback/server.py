"""Tells a running Rasa server to load another model, over its HTTP API, and makes sure that it did."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from kefu.errors import ModelError

_LOADING = 300.0  # seconds; a model with a BERT in it takes a while
SWITCHED, NOT_RUNNING, LEFT = "switched", "not running", "left alone"


@dataclass(frozen=True)
class Switch:
    """What came of it: ``state`` is switched, not running or left alone; ``message`` says it in a sentence."""

    state: str
    message: str

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return dict(vars(self))


def switch(model: Path, url: str, token: str = "", timeout: float = _LOADING) -> Switch:
    """Has the Rasa server at ``url`` load ``model`` and asks it which model it runs then.

    Args:
        token: of Rasa's HTTP API (``rasa run --auth-token``); empty where none is set.
        timeout: seconds that loading may take.

    Raises:
        ModelError: the server answered and did not load the model; it goes on with the one it had.
    """
    base = url.rstrip("/")
    params = {"token": token} if token else {}
    # No proxy: the server is on this machine or next to it.
    with httpx.Client(
        base_url=base, params=params, timeout=httpx.Timeout(timeout, connect=5.0), trust_env=False
    ) as web:
        try:
            answer = web.put("/model", json={"model_file": str(model.resolve())})
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return Switch(NOT_RUNNING, f"No Rasa server runs at {base}; it will load {model.name} when it starts.")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ModelError(f"The Rasa server at {base} did not load {model.name}: {error!r}.") from None
        if not answer.is_success:
            raise ModelError(f"The Rasa server at {base} did not load {model.name}: {_reason(answer)}")
        try:
            runs = web.get("/status").json().get("model_file")
        except (httpx.HTTPError, ValueError) as error:
            raise ModelError(f"The Rasa server at {base} does not say which model it runs: {error!r}.") from None
    if Path(str(runs)).name != model.name:
        raise ModelError(f"The Rasa server at {base} took {model.name} and still runs {runs!r}; look at its log.")
    return Switch(SWITCHED, f"The Rasa server at {base} now runs {model.name}.")


def _reason(answer: httpx.Response) -> str:
    if answer.status_code == 401:
        return "it wants a token; set KEFU_RASA_TOKEN to the one of `rasa run --auth-token`."
    if answer.status_code == 404:
        return "it has no HTTP API; start it with `rasa run --enable-api`."
    try:
        body: Any = answer.json()
        said = body.get("message") or body.get("reason") or body
    except (ValueError, AttributeError):
        said = answer.text[:200]
    return f"{answer.status_code}, {str(said).strip().rstrip('.')}."
