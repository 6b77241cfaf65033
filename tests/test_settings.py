"""Settings from the environment and .env."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from kefu.errors import SettingsError
from kefu.settings import Settings, load, settings


def test_defaults_and_casts() -> None:
    assert load({}) == Settings()
    made = load(
        {
            "KEFU_THREADS": "4",
            "KEFU_REPLY_DEADLINE": "1.5",
            "KEFU_DEMO": "Yes",
            "KEFU_STATE_DIR": "/srv/state",
            "KEFU_DEVICE": "cuda:1",
            "PATH": "/bin",
        }
    )
    expected = {"threads": 4, "reply_deadline": 1.5, "demo": True, "state_dir": Path("/srv/state"), "device": "cuda:1"}
    assert made == dataclasses.replace(Settings(), **expected)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("KEFU_DEMO", "perhaps", "true/false"),
        ("KEFU_THREADS", "0", "at least 1"),
        ("KEFU_THREADS", "two", "two"),
        ("KEFU_MAX_REPLY_TOKENS", "-5", "at least 1"),
        ("KEFU_REPLY_DEADLINE", "0", "greater than 0"),
        ("KEFU_REPLY_DEADLINE", "nan", "greater than 0"),
        ("KEFU_REPLY_DEADLINE", "inf", "greater than 0"),
        ("KEFU_REPLY_DEADLINE", "soon", "soon"),
        ("KEFU_DEVICE", "gpu", "auto, cpu, cuda"),
        ("KEFU_GENERATOR_MODE", "talk", "chat or completion"),
    ],
)
def test_a_bad_value_is_quoted_with_its_key(key: str, value: str, why: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({key: value})
    assert repr(key) in str(caught.value) and repr(value) in str(caught.value) and why in str(caught.value)


def test_a_mistyped_key_is_not_passed_over() -> None:
    with pytest.raises(SettingsError, match=r"no setting 'KEFU_GENERATR'.*KEFU_GENERATOR"):
        load({"KEFU_GENERATR": "none"})


def test_a_short_secret_is_refused_without_being_shown() -> None:
    with pytest.raises(SettingsError, match="at least 16") as caught:
        load({"KEFU_CHANNEL_SECRET": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert load({"KEFU_CHANNEL_SECRET": "x" * 16}).channel_secret == "x" * 16


@pytest.mark.parametrize("environ", [{"KEFU_GENERATOR_KEY": "sk geheim"}, {"KEFU_GENERATOR_KY": "sk-geheim"}])
def test_a_key_is_never_shown(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="KEFU_GENERATOR_K") as caught:
        load(environ)
    assert "geheim" not in str(caught.value)
    assert "geheim" not in repr(load({"KEFU_GENERATOR_KEY": "sk-geheim"}))


def test_database_and_cache_follow_from_the_others() -> None:
    assert Settings(state_dir=Path("var")).database == "sqlite:///var/kefu.db"
    assert Settings(database_url="postgresql://shop/kefu").database == "postgresql://shop/kefu"
    assert Settings(cache_dir=Path("~/c")).cache == Path.home() / "c"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def test_the_environment_wins_over_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("KEFU_THREADS=3\nKEFU_DEMO=on\nOTHER=1\n")
    monkeypatch.setenv("KEFU_THREADS", "5")
    assert (settings().threads, settings().demo) == (5, True)
    monkeypatch.setenv("KEFU_THREADS", "6")
    assert settings().threads == 5, "settings are read once"
