from __future__ import annotations

import stat
from pathlib import Path

import jwt
import pytest

from components.channels import identity
from kefu.settings import settings
from tests.channels.conftest import SECRET


def test_a_signed_token_names_the_customer() -> None:
    token = identity.sign("c-42", SECRET)
    assert identity.signed_in({"customer_token": token, "page": "cart"}) == {"customer_id": "c-42", "page": "cart"}


def test_an_unsigned_customer_id_is_taken_out() -> None:
    assert identity.signed_in({"customer_id": "c-42"}) == {}


@pytest.mark.parametrize(
    "token",
    [
        identity.sign("c-42", "another secret, just as long as the first"),
        identity.sign("c-42", SECRET, lifetime=-3600),
        jwt.encode({"customer_id": "c-42"}, SECRET, algorithm="HS256"),
        jwt.encode({"customer_id": 42, "exp": 9999999999}, SECRET, algorithm="HS256"),
        jwt.encode({"customer_id": "", "exp": 9999999999}, SECRET, algorithm="HS256"),
        jwt.encode({"customer_id": "c-42", "exp": 9999999999}, None, algorithm="none"),
        "not a token",
        {"customer_id": "c-42"},
    ],
)
def test_a_token_that_proves_nothing_signs_nobody_in(token: object) -> None:
    assert identity.signed_in({"customer_token": token, "customer_id": "c-42"}) == {}


def test_without_a_secret_nobody_is_signed_in(fresh_settings: pytest.MonkeyPatch) -> None:
    fresh_settings.delenv("KEFU_CHANNEL_SECRET")
    settings.cache_clear()
    assert identity.channel_secret() == ""
    assert identity.signed_in({"customer_token": jwt.encode({"customer_id": "c", "exp": 9e9}, "x" * 32)}) == {}


def test_demo_mode_makes_one_secret_for_its_owner_alone(fresh_settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fresh_settings.delenv("KEFU_CHANNEL_SECRET")
    fresh_settings.setenv("KEFU_DEMO", "1")
    settings.cache_clear()
    secret = identity.channel_secret()
    assert len(secret) >= 32
    assert identity.channel_secret() == secret
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert identity.verify(identity.sign("demo", secret)) == "demo"
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_a_set_secret_wins_over_the_demo_secret(fresh_settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fresh_settings.setenv("KEFU_DEMO", "1")
    settings.cache_clear()
    assert identity.channel_secret() == SECRET
    assert not (tmp_path / "secret").exists()
