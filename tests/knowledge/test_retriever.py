from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kefu.knowledge import Passage, Retriever, read_passages
from kefu.knowledge.retriever import terms

PASSAGES = [
    Passage("refund", "退款多久到账", "退款退出后，储蓄卡要等银行入账。", ("ask_refund_status",), ("退款几天能到账",)),
    Passage("invoice", "发票在哪下载", "电子发票在订单详情里下载。", ("request_invoice",), ("发票怎么下载",)),
    Passage("courier", "默认发什么快递", "默认发中通，大件发顺丰。", ("ask_delivery_options",), ("能不能发顺丰",)),
    Passage("wash", "羽绒被怎么洗", "羽绒被要干洗，晒的时候拍松。", ("ask_usage",), ("羽绒被能水洗吗",)),
    Passage("repair", "怎么报修", "凭订单报修，师傅会先打电话。", ("request_repair",), ("坏了怎么报修",)),
]


@pytest.fixture
def retriever(encoder):
    return Retriever(PASSAGES, encoder)


@pytest.mark.parametrize(
    ("query", "expected"),
    [("我的退款几天能到账", "refund"), ("发票怎么下载啊", "invoice"), ("能不能发顺丰快递", "courier")],
)
def test_it_finds_the_passage_that_answers(retriever, query, expected):
    found = retriever.search(query)
    assert found[0][0].id == expected
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


@pytest.mark.parametrize("query", ["今天天气真好呀", "帮我写首诗", "", "   ", "？？？", "😀"])
def test_it_finds_nothing_for_what_the_shop_does_not_know(retriever, query):
    assert retriever.search(query) == []


def test_the_intent_breaks_ties(encoder):
    twins = [
        Passage("a", "电饭煲", "电饭煲说明。", ("ask_usage",)),
        Passage("b", "电饭煲", "电饭煲说明。", ("ask_price",)),
        *PASSAGES,
    ]
    made = Retriever(twins, encoder)
    assert made.search("电饭煲说明", "ask_price")[0][0].id == "b"
    assert made.search("电饭煲说明", "ask_usage")[0][0].id == "a"


def test_a_passage_without_intents_may_answer_any(encoder):
    made = Retriever(
        [
            Passage("open", "电饭煲", "电饭煲说明。"),
            Passage("other", "电饭煲", "电饭煲说明。", ("ask_price",)),
            Passage("same", "电饭煲", "电饭煲说明。", ("ask_usage",)),
            *PASSAGES,
        ],
        encoder,
    )
    assert [p.id for p, _ in made.search("电饭煲说明", "ask_usage")] == ["same", "open", "other"]


def test_no_more_than_asked_for(retriever):
    assert len(retriever.search("退款几天能到账", k=1)) == 1


def test_an_empty_index_finds_nothing(encoder):
    assert Retriever([], encoder).search("退款") == []


def test_embeddings_are_cached_by_content(encoder, tmp_path):
    first = Retriever(PASSAGES, encoder, tmp_path).search("退款几天能到账")
    encoder.encoded.clear()
    assert Retriever(PASSAGES, encoder, tmp_path).search("退款几天能到账") == first
    assert encoder.encoded == ["query: 退款几天能到账"]
    Retriever(PASSAGES[:-1], encoder, tmp_path)
    assert any(text.startswith("passage: ") for text in encoder.encoded)
    assert len(list(tmp_path.glob("*.npy"))) == 2


def test_a_cut_short_cache_is_made_anew(encoder, tmp_path):
    Retriever(PASSAGES, encoder, tmp_path)
    (file,) = tmp_path.glob("*.npy")
    file.write_bytes(file.read_bytes()[:100])
    assert Retriever(PASSAGES, encoder, tmp_path).search("退款几天能到账")[0][0].id == "refund"
    assert np.load(file).shape[0] == 15


def test_passages_and_queries_carry_their_prefixes(encoder):
    Retriever(PASSAGES[:1], encoder).search("退款")
    assert encoder.encoded == [
        "passage: 退款多久到账：退款退出后，储蓄卡要等银行入账。",
        "query: 退款多久到账",
        "query: 退款几天能到账",
        "query: 退款",
    ]


def test_words_are_counted_by_characters_and_their_pairs():
    assert terms("空气炸锅，AX3000！") == ["空", "气", "炸", "锅", "空气", "气炸", "炸锅", "ax3000"]
    assert terms("３.5升的") == ["3.5", "升", "的", "升的"] and terms("？！…😀") == []


def test_a_hit_tells_why(retriever):
    first, *_ = retriever.hits("发票怎么下载啊", "request_invoice", k=5)
    assert (first.passage.id, first.words_rank, first.meaning_rank, first.same_intent) == ("invoice", 1, 1, True)
    assert first.score > first.cosine > 0
    assert [(h.passage, h.score) for h in retriever.hits("发票怎么下载啊", "request_invoice")] == retriever.search(
        "发票怎么下载啊", "request_invoice"
    )


def test_each_ranking_can_be_asked_alone(retriever):
    assert retriever.search_by("words", "电子发票")[0][0].id == "invoice"
    assert retriever.search_by("words", "ABC") == []
    assert len(retriever.search_by("meaning", "电子发票", k=9)) == len(PASSAGES)
    assert retriever.search_by("meaning", "坏了怎么报修")[0][0].id == "repair"


@pytest.mark.models
def test_the_real_encoder_finds_real_passages():
    made = Retriever.load()
    for query, intent, expected in [
        ("退到信用卡大概几天能看到", "ask_refund_status", "refund_arrival_bank"),
        ("专票要什么材料", "request_invoice", "invoice"),
        ("空气炸锅第一次用要不要先空烧", "ask_usage", "空气炸锅"),
    ]:
        ids = [p.id + p.title for p, _ in made.search(query, intent)]
        assert any(expected in i for i in ids), (query, ids)


@pytest.mark.models
def test_the_floor_keeps_questions_and_drops_remarks():
    from kefu.dataset.nlu import read_nlu

    made = Retriever.load()
    share = {}
    for intent in ("out_of_scope", "chitchat", "thank", "ask_refund_status", "ask_usage", "ask_return_policy"):
        texts = [e.text for e in read_nlu([Path(f"data/nlu/{intent}.yml")])][:60]
        share[intent] = sum(bool(made.search(text, intent)) for text in texts) / len(texts)
    assert all(share[i] <= 0.15 for i in ("out_of_scope", "chitchat", "thank")), share
    assert all(share[i] >= 0.85 for i in ("ask_refund_status", "ask_usage", "ask_return_policy")), share


def test_the_shops_passages_have_no_two_alike():
    passages = read_passages(Path("data"))
    texts = [p.text for p in passages]
    assert len(texts) == len(set(texts))


@pytest.mark.models
def test_what_carries_a_matter_on_has_to_be_about_the_passage_itself():
    retriever = Retriever.load()
    assert retriever.carried_on("尾号0816", "provide_info", "ask_refund_status") == []
    assert retriever.carried_on("对的", "affirm", "request_invoice") == []
    found = retriever.carried_on("我是用信用卡付的，退款几天到账", "provide_info", "ask_refund_status")
    assert found and all("ask_refund_status" in passage.intents or not passage.intents for passage, _ in found)
