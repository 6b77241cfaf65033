from __future__ import annotations

import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")  # here, so that its import takes no test's time

from kefu.errors import DeadlineExceeded, GenerationError  # noqa: E402
from kefu.generation.engine import (  # noqa: E402
    EngineBusy,
    LowConfidence,
    TransformersEngine,
    last_finished,
    load_engine,
)
from kefu.settings import Settings  # noqa: E402

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


def engine(fake_decoder, script, takes=0.0, rows=8, **more):
    decoder = fake_decoder([ID[piece] for piece in script], len(TEXT), takes, rows)
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


def together(made, count, seconds=5.0, tokens=300, pause=0.0):
    """What so many requests get that come ``pause`` seconds apart: a text or an error each."""
    got = [None] * count

    def ask(number):
        try:
            got[number] = made.generate("客户", tokens, soon(seconds))
        except GenerationError as error:
            got[number] = error

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
        time.sleep(pause)
    for thread in threads:
        thread.join()
    return got


def test_requests_that_come_together_are_written_together(fake_decoder):
    made, decoder = engine(fake_decoder, [*["的"] * 19, "。", "<eos>"], takes=0.01)
    assert together(made, 5) == ["的" * 19 + "。"] * 5
    assert max(decoder.steps) == 5 and len(decoder.steps) < 2 * 20


def test_a_newcomer_joins_between_two_tokens(fake_decoder):
    made, decoder = engine(fake_decoder, [*["的"] * 19, "。", "<eos>"], takes=0.01)
    assert together(made, 2, pause=0.1) == ["的" * 19 + "。"] * 2
    assert decoder.steps[0] == 1 and 2 in decoder.steps and decoder.steps[-1] == 1


def test_who_finds_no_row_waits_for_one(fake_decoder):
    made, decoder = engine(fake_decoder, ["好", "的", "。", "<eos>"], takes=0.01, rows=2)
    assert together(made, 5) == ["好的。"] * 5
    assert max(decoder.steps) == 2


def test_who_cannot_get_a_row_in_time_does_not_wait_for_it(fake_decoder):
    made, _ = engine(fake_decoder, ["的"] * 300, takes=0.01, rows=1)
    slow = threading.Thread(target=together, args=(made, 1, 2.0))
    slow.start()
    time.sleep(0.3)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"busy|in time"):
        made.generate("客户", 300, soon(0.2))
    assert time.monotonic() - began < 0.4
    slow.join()


def test_who_cannot_be_in_time_is_refused_at_once(fake_decoder):
    made, _ = engine(fake_decoder, [*["的"] * 9, "。", "<eos>"], takes=0.05, rows=1)
    made.generate("客户", 20, soon())  # half a second
    first = threading.Thread(target=together, args=(made, 1))
    first.start()
    time.sleep(0.1)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="busy"):
        made.generate("客户", 20, soon(0.4))
    assert time.monotonic() - began < 0.1
    first.join()


def test_a_full_queue_refuses_at_once(fake_decoder):
    made, _ = engine(fake_decoder, [*["的"] * 19, "。", "<eos>"], takes=0.02, rows=1, queue=2)
    began = time.monotonic()
    got = together(made, 6, pause=0.02)
    refused = [one for one in got if isinstance(one, EngineBusy)]
    assert len(refused) == 3 and "KEFU_REPLY_QUEUE" in str(refused[0])
    assert got.count("的" * 19 + "。") == 3
    assert time.monotonic() - began < 5 and made.waiting == 0


def test_an_unfinished_draft_does_not_end_the_engine(fake_decoder):
    made, _ = engine(fake_decoder, ["好", "的", "，"])
    for _ in range(2):
        with pytest.raises(DeadlineExceeded, match="sentence"):
            made.generate("客户", 3, soon())


def test_a_failing_decoder_fails_who_is_in_it_and_no_other(fake_decoder):
    made, decoder = engine(fake_decoder, ["好", "。", "<eos>"])
    step, decoder.step = decoder.step, lambda tokens: 1 / 0
    with pytest.raises(GenerationError, match="ZeroDivisionError"):
        made.generate("客户", 20, soon())
    decoder.step = step
    assert made.generate("客户", 20, soon()) == "好。"


def test_drafts_of_one_prompt_read_it_once_and_are_written_together(fake_decoder):
    made, decoder = engine(fake_decoder, ["好", "的", "。", "<eos>"])
    drafts = made.generate_many("客户", 20, soon(), (0, 1, 2))
    assert [draft.text for draft in drafts] == ["好的。"] * 3
    assert len(decoder.prompts) == 1 and decoder.steps == [3, 3, 3]


def test_drafts_become_fewer_before_a_request_has_to_wait(fake_decoder):
    made, decoder = engine(fake_decoder, ["好", "的", "。", "<eos>"], takes=0.02, rows=2)
    assert len(made.generate_many("客户", 20, soon(), range(5))) == 2
    first = threading.Thread(target=together, args=(made, 1))
    first.start()
    time.sleep(0.03)
    assert len(made.generate_many("客户", 20, soon(), range(2))) == 1
    first.join()
    assert max(decoder.steps) == 2


def test_a_draft_that_fails_is_left_out(fake_decoder):
    made, decoder = engine(fake_decoder, ["好", "。", "<eos>"], min_confidence=-0.3, temperature=1.0, top_p=1.0)
    sure = decoder._logits

    def unsure_at_first(at=0):
        logits = sure(at)
        if at == 0:
            logits[ID["好"]], logits[ID["的"]] = 0.0, -0.85  # of 0.7 and 0.3
        return logits

    decoder._logits = unsure_at_first
    drafts = made.generate_many("客户", 20, soon(), range(8))
    assert 1 <= len(drafts) < 8 and {draft.text for draft in drafts} == {"好。"}


def test_drawing_follows_the_seed(fake_decoder):
    made, decoder = engine(fake_decoder, ["好"], temperature=1.0, top_p=1.0, min_confidence=-99)
    decoder._logits = lambda at=0: torch.tensor([0.0, -99, -99, *[1.0] * 9] + [-99.0] * 60)
    made._tokenizer.decode = lambda ids, skip_special_tokens: "".join(chr(97 + i) for i in ids) + "。"
    first = made.generate("客户", 12, soon(), seed=1)
    assert made.generate("客户", 12, soon(), seed=1) == first
    assert made.generate("客户", 12, soon(), seed=2) != first


def test_a_guess_is_told_apart_from_a_draft(fake_decoder):
    made, decoder = engine(fake_decoder, ["好", "。", "<eos>"])
    assert made.generate_many("客户", 20, soon(), (0,))[0].confidence > -0.1
    sure = decoder._logits
    decoder._logits = lambda at=0: sure(at) * 0.05
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
