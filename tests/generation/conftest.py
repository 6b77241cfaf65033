"""A scripted engine, a scripted decoder, requests to fill in, and a tiny Gemma that reads single characters."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from kefu.generation.engine import Draft
from kefu.generation.request import ReplyRequest


class FakeEngine:
    """Gives the scripted drafts one after the other; an exception in the script is raised, a number is slept first."""

    def __init__(self, *script: str | Exception, takes: float = 0.0) -> None:
        self.script = list(script)
        self.takes = takes
        self.calls: list[tuple[str, int, float, int]] = []

    def generate(self, prompt: str, max_tokens: int, deadline: float, seed: int = 0) -> str:
        self.calls.append((prompt, max_tokens, deadline, seed))
        time.sleep(self.takes)
        draft = self.script.pop(0)
        if isinstance(draft, Exception):
            raise draft
        return draft


class FakeEngineOfMany(FakeEngine):
    """Gives all the scripted drafts at once, as (text, confidence); an exception is raised."""

    def generate_many(self, prompt: str, max_tokens: int, deadline: float, seeds: Sequence[int]) -> list[Draft]:
        self.calls += [(prompt, max_tokens, deadline, seed) for seed in seeds]
        if isinstance(self.script[0], Exception):
            raise self.script[0]
        return [Draft(*draft) for draft in self.script]


@pytest.fixture
def fake_engine_of_many() -> type[FakeEngineOfMany]:
    return FakeEngineOfMany


@pytest.fixture
def fake_engine() -> type[FakeEngine]:
    return FakeEngine


@pytest.fixture
def ask() -> Callable[..., ReplyRequest]:
    """A request; by default a customer asks about her refund and the agent is to inform."""

    def make(**changes: Any) -> ReplyRequest:
        values: dict[str, Any] = {
            "strategy": "inform",
            "intent": "ask_refund_status",
            "emotion": "anxious",
            "stage": "explore",
            "facts": {},
            "passages": [],
            "turns": [("user", "都五天了钱怎么还没退回来")],
            "deadline": 3.0,
        }
        return ReplyRequest(**{**values, **changes})

    return make


@pytest.fixture(scope="session")
def tiny_gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random Gemma 3 of four layers, one of them with full attention, and a window of 16 tokens."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    folder = tmp_path_factory.mktemp("tiny-gemma")
    text = Path("data/dialogues/refund_status.yml").read_text(encoding="utf-8")
    characters = sorted({*text, *"资料已知客户服：【】|{}=，。？！\n 0123456789"} - {"\r"})
    vocabulary = {token: i for i, token in enumerate(["<pad>", "<eos>", "<bos>", "<unk>", *characters])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(["<pad>", "<eos>", "<bos>", "<unk>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}
    names["tokenizer_class"] = "PreTrainedTokenizerFast"
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    torch.manual_seed(3)
    config = Gemma3TextConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        query_pre_attn_scalar=16,
        sliding_window=16,
        layer_types=["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
    )
    Gemma3ForCausalLM(config).save_pretrained(folder)
    return folder


class FakeDecoder:
    """Writes a script of token ids in each row, whatever it reads; each step takes some seconds, each prompt none."""

    capacity = 640

    def __init__(self, script: Sequence[int], vocabulary: int, takes: float = 0.0, rows: int = 8) -> None:
        self.script, self.vocabulary, self.takes, self.rows = list(script), vocabulary, takes, rows
        self.prompts: list[list[int]] = []
        self.steps: list[int] = []  # rows of each
        self._at: list[int] = []

    def _logits(self, at: int = 0) -> Any:
        import torch

        logits = torch.full((self.vocabulary,), -10.0)
        logits[self.script[min(at, len(self.script) - 1)]] = 10.0
        return logits

    def prefill(self, ids: Sequence[int], copies: int = 1) -> Any:
        self.prompts.append(list(ids))
        self._at += [0] * copies
        assert len(self._at) <= self.rows
        return self._logits()

    def step(self, tokens: Sequence[int]) -> Any:
        import torch

        assert len(tokens) == len(self._at)
        time.sleep(self.takes)
        self.steps.append(len(tokens))
        self._at = [at + 1 for at in self._at]
        return torch.stack([self._logits(at) for at in self._at])

    def drop(self, row: int) -> None:
        self._at[row] = self._at[-1]
        self._at.pop()

    def clear(self) -> None:
        self._at = []


@pytest.fixture
def fake_decoder() -> type[FakeDecoder]:
    return FakeDecoder
