from __future__ import annotations

import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from kefu.errors import DeadlineExceeded, GenerationError
from kefu.generation.engine import LowConfidence, TransformersEngine, last_finished, load_engine
from kefu.settings import Settings

TEXT = ["<pad>", "<eos>", "<bos>", "好", "的", "，", "稍", "等", "。", "\n", "客", "户"]
ID = {piece: i for i, piece in enumerate(TEXT)}


class Characters:
    """A tokenizer whose pieces are single characters; it keeps no state."""

    eos_token_id, bos_token_id = 1, 2

    def __call__(self, text, add_special_tokens):
        assert not add_special_tokens
        return SimpleNamespace(input_ids=[ID.get(c, 3) for c in text])

    def decode(self, ids, skip_special_tokens):
        return "".join(TEXT[i] for i in ids)


def engine(fake_decoder, script, takes=0.0, **more):
    decoder = fake_decoder([ID[piece] for piece in script], len(TEXT), takes)
    return TransformersEngine(decoder, Characters(), threads=1, **more), decoder


def soon(seconds=5.0):
    return time.monotonic() + seconds


def test_it_stops_at_the_end_token(fake_decoder):
    made, decoder = engine(fake_decoder, ["好", "的", "。", "<eos>"])
    assert made.generate("客户", 20, soon()) == "好的。"
    assert decoder.prompts == [[ID["<bos>"], ID["客"], ID["户"]]]


def test_it_stops_at_a_newline(fake_decoder):
    made, _ = engine(fake_decoder, ["好", "。", "\n", "客", "户"])
    assert made.generate("客户", 20, soon()) == "好。"


def test_too_many_tokens_are_cut_at_the_last_sentence(fake_decoder):
    made, _ = engine(fake_decoder, ["好", "的", "。", "稍", "等"])
    assert made.generate("客户", 5, soon()) == "好的。"


def test_no_finished_sentence_is_an_error(fake_decoder):
    made, _ = engine(fake_decoder, ["好", "的", "，", "稍", "等"])
    with pytest.raises(DeadlineExceeded, match="sentence"):
        made.generate("客户", 5, soon())


def test_the_deadline_ends_a_draft_at_its_last_sentence(fake_decoder):
    made, _ = engine(fake_decoder, ["好", "。", *["的"] * 400], takes=0.01)
    began = time.monotonic()
    assert made.generate("客户", 400, soon(0.3)) == "好。"
    assert time.monotonic() - began < 0.5


def test_the_deadline_without_a_sentence_is_an_error(fake_decoder):
    made, _ = engine(fake_decoder, ["的"] * 400, takes=0.01)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        made.generate("客户", 400, soon(0.2))
    assert time.monotonic() - began < 0.4


def test_who_cannot_get_the_lock_in_time_does_not_wait_for_it(fake_decoder):
    made, _ = engine(fake_decoder, ["的"] * 300, takes=0.01)

    def slowly():
        with pytest.raises(DeadlineExceeded):
            made.generate("客户", 300, soon(2.0))

    slow = threading.Thread(target=slowly)
    slow.start()
    time.sleep(0.3)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="busy"):
        made.generate("客户", 300, soon(0.2))
    assert time.monotonic() - began < 0.4
    slow.join()


def test_calls_are_served_one_after_the_other(fake_decoder):
    made, _ = engine(fake_decoder, ["好", "的", "。", "<eos>"], takes=0.02)
    drafts: list[str] = []
    threads = [threading.Thread(target=lambda: drafts.append(made.generate("客户", 20, soon()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drafts == ["好的。"] * 4


def test_the_lock_is_given_back_after_an_error(fake_decoder):
    made, decoder = engine(fake_decoder, ["好", "的", "，"])
    for _ in range(2):
        with pytest.raises(DeadlineExceeded, match="sentence"):
            made.generate("客户", 3, soon())
    assert decoder.rewound == 1


def test_a_second_draft_does_not_read_the_prompt_again(fake_decoder):
    made, decoder = engine(fake_decoder, ["好", "。", "<eos>"])
    made.generate("客户", 20, soon())
    made.generate("客户", 20, soon(), seed=1)
    assert len(decoder.prompts) == 1 and decoder.rewound == 1
    made.generate("客", 20, soon())
    assert len(decoder.prompts) == 2


def test_drawing_follows_the_seed(fake_decoder):
    made, decoder = engine(fake_decoder, ["好"], temperature=1.0, top_p=1.0, min_confidence=-99)
    decoder._logits = lambda: __import__("torch").tensor([0.0, -99, -99, *[1.0] * 9] + [-99.0] * 60)
    made._tokenizer.decode = lambda ids, skip_special_tokens: "".join(chr(97 + i) for i in ids) + "。"
    first = made.generate("客户", 12, soon(), seed=1)
    assert made.generate("客户", 12, soon(), seed=1) == first
    assert made.generate("客户", 12, soon(), seed=2) != first


def test_a_guess_is_told_apart_from_a_draft(fake_decoder):
    made, decoder = engine(fake_decoder, ["好", "。", "<eos>"])
    assert made.generate("客户", 20, soon()) == "好。" and made.confidence > -0.1
    sure = decoder._logits
    decoder._logits = lambda: sure() * 0.05
    with pytest.raises(LowConfidence):
        made.generate("客户", 20, soon())


def test_an_overlong_prompt_keeps_its_end(fake_decoder):
    made, decoder = engine(fake_decoder, ["好", "。", "<eos>"])
    ids = made.encode("好" * 2000 + "客户")
    assert len(ids) < decoder.capacity and ids[0] == ID["<bos>"] and ids[-2:] == [ID["客"], ID["户"]]


def test_last_finished():
    assert last_finished("好的。稍等") == "好的。"
    assert last_finished("稍等") == ""


def test_the_settings_engine_runs_a_real_model(tiny_gemma):
    settings = replace(Settings(), generator=str(tiny_gemma), adapter="none", threads=1, device="cpu")
    made = load_engine(settings)
    try:
        text = made.generate("客户：在吗\n【打招呼|平静】礼貌问候：", 16, soon(30))
    except GenerationError as error:  # a random model may write no full stop, and guesses
        assert isinstance(error, LowConfidence) or "sentence" in str(error)
    else:
        assert "\n" not in text
