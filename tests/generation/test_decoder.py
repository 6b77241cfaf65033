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
    decoder.clear()
    return torch.stack([decoder.prefill(prompt), *(decoder.step([token])[0] for token in tokens)])


def in_float(model):
    return GemmaDecoder(model, float_linear)


def written(decoder, prompt, count):
    """The likeliest token each time, ``count`` times."""
    return written_together(decoder, {0: [(prompt, count)]})[0]


def written_together(decoder, arrivals):
    """The same of several prompts in one batch; ``arrivals`` says who joins before which step for how many tokens."""
    decoder.clear()
    done, running, step = [], [], 0
    while running or step <= max(arrivals):
        for prompt, count in arrivals.get(step, ()):
            done.append([int(decoder.prefill(prompt).argmax())])
            running.append((done[-1], count))
        for row in reversed(range(len(running))):
            if len(running[row][0]) == running[row][1]:
                decoder.drop(row)
                running[row] = running[-1]
                running.pop()
        if running:
            logits = decoder.step([tokens[-1] for tokens, _ in running])
            for (tokens, _), row in zip(running, logits):
                tokens.append(int(row.argmax()))
        step += 1
    return done


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


DECODERS = [CausalDecoder, in_float, *([GemmaDecoder] if has_int8() else [])]


@pytest.mark.parametrize("make", DECODERS)
def test_a_batch_writes_what_each_prompt_gets_alone(model, make):
    decoder = make(model)
    # shorter and longer than the sliding window, ending and joining at different times, more than three at once
    texts = [
        (PROMPT, 9),
        ([2, 5, 6], 24),
        ([2, 40, 41, 12, 9], 5),
        ([2, *range(30, 45)], 12),
        ([2, 9], 3),
        ([2, 33, 7], 20),
    ]
    alone = [written(decoder, *text) for text in texts]
    assert written_together(decoder, {0: texts[:3], 4: texts[3:5], 6: texts[5:]}) == alone
    assert len({tuple(tokens[:3]) for tokens in alone}) > 1


@pytest.mark.parametrize("make", DECODERS)
def test_copies_of_a_prompt_part_where_their_tokens_do(model, make):
    decoder = make(model)
    decoder.prefill([2, 5, 6])
    decoder.prefill(PROMPT, copies=2)
    together = [decoder.step([8, first, second]) for first, second in zip(TOKENS, reversed(TOKENS))]
    one, other = logits_of(decoder), logits_of(decoder, TOKENS[::-1])
    assert torch.allclose(torch.stack(together)[:, 1], one[1:], atol=1e-4)
    assert torch.allclose(torch.stack(together)[:, 2], other[1:], atol=1e-4)


@pytest.mark.parametrize("make", [CausalDecoder, in_float])
def test_a_second_prompt_does_not_see_the_first(model, make):
    decoder = make(model)
    logits_of(decoder)
    other = [2, 9, 8, 7, 6, 5]
    assert torch.allclose(logits_of(decoder, TOKENS, other), whole(model, other), atol=1e-4)


@pytest.mark.parametrize("make", [CausalDecoder, in_float])
def test_there_is_nothing_to_go_on_with_before_a_prompt(model, make):
    with pytest.raises(GenerationError, match="prefill"):
        make(model).step([5])


@pytest.mark.parametrize("make", [CausalDecoder, GemmaDecoder])
def test_what_does_not_fit_is_refused(model, make):
    decoder = make(model, capacity=24, rows=2)
    with pytest.raises(GenerationError, match="23"):
        decoder.prefill(list(range(4, 30)))
    decoder.prefill(list(range(4, 26)))
    with pytest.raises(GenerationError, match="takes 2"):
        decoder.prefill([2, 5], copies=2)
    decoder.step([5]), decoder.step([6])
    with pytest.raises(GenerationError, match="24"):
        decoder.step([7])


def test_gemma_on_a_cpu_gets_its_own_decoder(model):
    assert isinstance(decoder_for(model), GemmaDecoder)
