from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from kefu.errors import GenerationError  # noqa: E402
from kefu.generation.decoder import (  # noqa: E402
    CausalDecoder,
    GemmaDecoder,
    decoder_for,
    float_linear,
    has_int8,
    int8_linear,
)
from kefu.generation.loading import load_base  # noqa: E402

PROMPT = [2, *range(5, 25)]
TOKENS = [7, 30, 12, 9, 40, 11, 8, 26]


@pytest.fixture(scope="module")
def model(tiny_gemma):
    return load_base(str(tiny_gemma), torch.float32)[0].eval()


def logits_of(decoder, tokens=TOKENS, prompt=PROMPT):
    return torch.stack([decoder.prefill(prompt), *(decoder.step(token) for token in tokens)])


def whole(model, prompt=PROMPT, tokens=TOKENS):
    """The logits that transformers gives when it reads prompt and tokens at once."""
    with torch.inference_mode():
        return model(torch.tensor([prompt + tokens])).logits[0, len(prompt) - 1 :].float()


def test_the_causal_decoder_gives_what_the_model_gives(model):
    assert torch.allclose(logits_of(CausalDecoder(model)), whole(model), atol=1e-4)


def test_the_gemma_decoder_gives_what_transformers_gives(model):
    # the prompt is longer than the sliding window, so that its edge is passed too
    assert len(PROMPT) > model.config.sliding_window
    assert torch.allclose(logits_of(GemmaDecoder(model, float_linear)), whole(model), atol=1e-4)


def test_a_prompt_shorter_than_the_window_may_grow_over_it(model):
    tokens = [t % 40 + 4 for t in range(24)]
    expected = whole(model, [2, 5, 6], tokens)
    assert torch.allclose(logits_of(GemmaDecoder(model, float_linear), tokens, [2, 5, 6]), expected, atol=1e-4)


@pytest.mark.skipif(not has_int8(), reason="torch has no int8 kernels for this CPU")
def test_the_int8_decoder_stays_close_to_transformers(model):
    ours, theirs = logits_of(GemmaDecoder(model, int8_linear))[1:], whole(model)[1:]
    assert torch.nn.functional.cosine_similarity(ours, theirs).min() > 0.99


@pytest.mark.parametrize("make", [CausalDecoder, lambda model: GemmaDecoder(model, float_linear)])
def test_rewinding_forgets_all_but_the_prompt(model, make):
    decoder = make(model)
    first = logits_of(decoder)
    again = torch.stack([decoder.rewind(), *(decoder.step(token) for token in TOKENS)])
    assert torch.allclose(first, again, atol=1e-5)


@pytest.mark.parametrize("make", [CausalDecoder, lambda model: GemmaDecoder(model, float_linear)])
def test_a_second_prompt_does_not_see_the_first(model, make):
    decoder = make(model)
    logits_of(decoder)
    other = [2, 9, 8, 7, 6, 5]
    assert torch.allclose(logits_of(decoder, TOKENS, other), whole(model, other), atol=1e-4)


@pytest.mark.parametrize("make", [CausalDecoder, GemmaDecoder])
def test_there_is_nothing_to_rewind_to_before_a_prompt(model, make):
    with pytest.raises(GenerationError, match="prefill"):
        make(model).rewind()


def test_what_does_not_fit_is_refused(model):
    decoder = GemmaDecoder(model, float_linear, capacity=24)
    with pytest.raises(GenerationError, match="23"):
        decoder.prefill(list(range(4, 30)))
    decoder.prefill(list(range(4, 26)))
    decoder.step(5), decoder.step(6)
    with pytest.raises(GenerationError, match="24"):
        decoder.step(7)


def test_gemma_on_a_cpu_gets_its_own_decoder(model):
    assert isinstance(decoder_for(model), GemmaDecoder)
