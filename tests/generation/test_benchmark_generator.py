from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

from kefu.benchmark_generator import figures_of
from kefu.errors import SettingsError


def test_figures_and_bars_of_known_seconds():
    seconds = {"served": [0.5, 0.6, 3.0], "alone": [0.4, 0.6], "fp32": [2.0, 2.0], "batch": [1.0]}
    figures = figures_of(seconds, 20, 3)
    assert figures["latency_s"]["p50"] == 0.6
    assert figures["tokens_per_s"] == {"one": 40.0, "fp32": 10.0, "batch_of_8": 160.0}
    assert (figures["to_fp32"], figures["batch_to_one"]) == (4.0, 4.0)
    assert {name: bar["met"] for name, bar in figures["bars"].items()} == {
        "p50_s": True,
        "p95_s": False,
        "to_fp32": True,
        "batch_to_one": True,
    }


def test_the_command_measures_any_model(tiny_gemma, monkeypatch, tmp_path):
    from kefu.cli import app
    from kefu.settings import settings

    (tmp_path / "dialogues").mkdir()
    shutil.copy("data/dialogues/refund_status.yml", tmp_path / "dialogues")
    monkeypatch.setenv("KEFU_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("KEFU_GENERATOR", str(tiny_gemma))
    monkeypatch.setenv("KEFU_ADAPTER", "none")
    monkeypatch.setenv("KEFU_THREADS", "1")
    settings.cache_clear()
    try:
        result = CliRunner().invoke(app, ["benchmark", "generator", "--limit", "2", "--json"], catch_exceptions=False)
    finally:
        settings.cache_clear()
    figures = json.loads(result.stdout.splitlines()[-1])
    assert (figures["prompts"], figures["drafts"]) == (2, 3) and figures["tokens"] >= 40  # a token a character
    assert all(value > 0 for value in figures["tokens_per_s"].values())


def test_without_a_generator_it_says_so():
    from dataclasses import replace

    from kefu.benchmark_generator import benchmark
    from kefu.settings import Settings

    with pytest.raises(SettingsError, match="KEFU_GENERATOR"):
        benchmark(replace(Settings(), generator="none"))
