"""What every test may use. Markers are declared in pyproject.toml.

No test reaches a model hub, and none sees the settings of the person who runs it.
"""

from __future__ import annotations

import os

for _key in [key for key in os.environ if key.startswith("KEFU_") and key != "KEFU_CACHE_DIR"]:
    del os.environ[_key]
# Read when their libraries are imported, so they come first.
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")

import string  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402

_HAN = (
    "退款钱货快递到哪了查物流订单号发票投诉谢您好的在吗人工客服我要换怎么没不生气开心着急催一三天五都还来付刚买就降价"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where public evaluation sets lie; tests that read them skip where they do not."""
    parser.addoption("--public-data", default="../shared/data", help="folder of banking77, clinc150, ewect")


def write_tiny_encoder(folder: Path, hidden: int = 32, layers: int = 2) -> Path:
    """A random BertModel with a tokenizer of single characters, in transformers' format."""
    import torch
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    folder.mkdir(parents=True, exist_ok=True)
    characters = dict.fromkeys(string.ascii_lowercase + string.digits + "，。？！ " + _HAN)
    vocabulary = {word: i for i, word in enumerate(["<s>", "<pad>", "</s>", "<unk>", *characters])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=512,
        pad_token_id=1,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of ``write_tiny_encoder``, made once; not to be written to."""
    return write_tiny_encoder(tmp_path_factory.mktemp("tiny-encoder"))
