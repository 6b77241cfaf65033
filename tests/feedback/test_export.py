"""Reviewed items become training data in the formats of data/: merged, limited, proven, in a fixed order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from kefu.dataset import read_nlu
from kefu.dialogues import read_dialogues
from kefu.errors import SettingsError
from kefu.feedback import Decision, Limits, Masker, ReviewStore, decide, gather, harvest, write
from kefu.feedback.guard import allowance
from tests.tracker_store import TrackerStore

GENEROUS = Limits(most=100, share=1.0)


def accept_all(store: ReviewStore) -> None:
    """Accepts every open item."""
    for item in store.items(["open"]):
        decide(store, item.id, Decision(), "李")


def test_examples_have_the_shape_of_data_nlu(
    project: Path, tracker: TrackerStore, store: ReviewStore, masker: Masker
) -> None:
    tracker.start("c1")
    tracker.bot("c1", '您好，"请讲"。', "greet")
    entity = {"entity": "product", "start": 3, "end": 6}
    tracker.user("c1", "我的 加湿器\n坏了 [x](color)", "request_repair", "anxious", entities=[entity])
    harvest(store, tracker.engine, masker)
    accept_all(store)
    files = write(gather(store, Path("data"), GENEROUS), Path("var/feedback"))
    assert files == [Path("var/feedback/nlu/feedback.yml")], "no reply, no dialogue"
    (example,) = read_nlu(files)
    assert (example.intent, example.emotion, example.context) == ("request_repair", "anxious", '您好，"请讲"。')
    assert example.raw == "我的 [加湿器](product) 坏了 [x] (color)", "only what was recognised is annotated"
    document = yaml.safe_load(files[0].read_text(encoding="utf-8"))
    assert document["version"] == "3.1"
    assert list(document["nlu"][0]["examples"][0]) == ["text", "metadata"]


def test_dialogue_with_a_better_reply(project: Path, tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    tracker.start("c1")
    tracker.user("c1", "钱呢 都五天了", "ask_refund_status", "angry")
    tracker.bot("c1", "您好。", "greet")
    tracker.user("c1", "说话呀", "complain_service", "angry")
    tracker.facts("c1", refund_amount="268.00元")
    bad = tracker.bot("c1", "请稍等。", "other")
    tracker.feedback("c1", message_id=bad, thumb="down")
    tracker.user("c1", "算了", "goodbye", "disappointed")
    tracker.bot("c1", "祝您愉快。", "thank_and_close")
    harvest(store, tracker.engine, masker)
    item = next(i for i in store.items() if i.text == "说话呀")
    decide(store, item.id, Decision(strategy="resolve", reply="让您等了五天，268.00元我这就催。"), "李")
    made = gather(store, Path("data"), GENEROUS)
    write(made, Path("var/feedback"))
    (dialogue,) = read_dialogues([Path("var/feedback/dialogues")])
    assert [(t.speaker, t.text, t.strategy) for t in dialogue.turns] == [
        ("user", "钱呢 都五天了", None),
        ("agent", "您好。", "greet"),
        ("user", "说话呀", None),
        ("agent", "让您等了五天，{refund_amount}我这就催。", "resolve"),
    ], "history before, nothing after the reviewed reply"
    assert dialogue.turns[3].facts == {"refund_amount": "268.00元"}
    nlu, strategy = made.corrections()
    assert nlu[0]["text"] == "说话呀"
    assert strategy == [
        {"context": [["user", "钱呢 都五天了"], ["agent", "您好。"], ["user", "说话呀"]], "strategy": ["resolve"]}
    ]


def test_history_that_would_teach_wrong_is_cut(
    project: Path, tracker: TrackerStore, store: ReviewStore, masker: Masker
) -> None:
    tracker.start("c1")
    tracker.user("c1", "第一句话")
    bad = tracker.bot("c1", "答错了。", "inform")
    tracker.feedback("c1", message_id=bad, thumb="down")
    tracker.user("c1", "第二句话")
    tracker.bot("c1", "补您999元。", "resolve")
    tracker.user("c1", "第三句话")
    tracker.bot("c1", "好的。", "other")
    harvest(store, tracker.engine, masker)
    decide(store, next(i.id for i in store.items() if i.text == "第三句话"), Decision(), "李")
    made = gather(store, Path("data"), GENEROUS)
    assert [t.get("user") or t["agent"] for t in made.dialogues[0]["turns"]] == ["第三句话", "好的。"]
    assert made.refused == [], "nobody reviewed the turns that were left out"


def test_a_corrected_strategy_without_words_gets_its_template(
    project: Path, tracker: TrackerStore, store: ReviewStore, masker: Masker
) -> None:
    tracker.start("c1")
    tracker.user("c1", "气死我了 没人管的吗", "complain_service", "angry")
    tracker.bot("c1", "还有别的问题吗？", "request_feedback")
    harvest(store, tracker.engine, masker)
    decide(store, 1, Decision(strategy="manage_emotion"), "李")
    (dialogue,) = gather(store, Path("data"), GENEROUS).dialogues
    reply = dialogue["turns"][-1]
    assert reply["strategy"] == "manage_emotion"
    assert reply["agent"]
    assert reply["agent"] != "还有别的问题吗？"


def test_unproven_replies_are_refused(project: Path, tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    tracker.start("c1")
    tracker.user("c1", "多久退款呀")
    tracker.bot("c1", "999元明天退。", "inform")
    harvest(store, tracker.engine, masker)
    decide(store, 1, Decision(), "李")
    made = gather(store, Path("data"), GENEROUS)
    assert made.dialogues == []
    (reason,) = made.refused
    assert reason.startswith("item 1:")
    assert "999元" in reason
    assert len(made.examples) == 1, "its labels are still worth learning"


def test_order_is_fixed_and_doubles_are_merged(
    project: Path, tracker: TrackerStore, store: ReviewStore, masker: Masker
) -> None:
    for sender in ("c2", "c1", "c3"):
        tracker.start(sender)
        tracker.user(sender, "我要投诉你们", "complain_service", "angry")
        tracker.bot(sender, "真抱歉。", "manage_emotion")
        tracker.user(sender, f"我是{sender}", "provide_info")
    harvest(store, tracker.engine, masker)
    accept_all(store)
    made = gather(store, Path("data"), GENEROUS)
    assert [e.text for e in made.examples] == ["我要投诉你们", "我是c1", "我是c2", "我是c3"]
    assert made.repeated == 2
    assert len(made.dialogues) == 1
    write(made, Path("var/feedback"))
    first = [p.read_bytes() for p in sorted(Path("var/feedback").rglob("*.yml"))]
    write(gather(store, Path("data"), GENEROUS), Path("var/feedback"))
    assert [p.read_bytes() for p in sorted(Path("var/feedback").rglob("*.yml"))] == first


def test_conflicts_are_told_and_the_review_wins(
    project: Path, tracker: TrackerStore, store: ReviewStore, masker: Masker
) -> None:
    tracker.user("c1", "什么时候能发出来呀", "ask_delivery_time", "neutral")
    tracker.user("c2", "亲，在吗！", "greet", "neutral")
    tracker.user("c3", "给我送上楼行不行", "ask_delivery_options")
    tracker.user("c4", "给我送上楼行不行", "ask_delivery_options")
    harvest(store, tracker.engine, masker)
    ids = {i.sender_id: i.id for i in store.items()}
    decide(store, ids["c1"], Decision(), "李")
    decide(store, ids["c2"], Decision(), "李")
    decide(store, ids["c3"], Decision(), "李")
    decide(store, ids["c4"], Decision(intent="modify_order"), "王")
    made = gather(store, Path("data"), GENEROUS)
    assert {e.text: e.intent for e in made.examples} == {
        "什么时候能发出来呀": "ask_delivery_time",
        "给我送上楼行不行": "modify_order",
    }
    assert made.repeated == 1, "the greeting stands in data/nlu already"
    assert any("greet.yml:11" in c and "urge_delivery, anxious" in c for c in made.conflicts)
    assert any("ask_delivery_options" in c and "later review" in c for c in made.conflicts)


def test_held_out_messages_stay_out(project: Path, tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    tracker.user("c1", "钱退到哪张卡了呀？", "ask_refund_status")
    tracker.bot("c1", "我来看。", "other")
    tracker.user("c2", "包裹卡在半路，不动弹了", "track_delivery")
    harvest(store, tracker.engine, masker)
    accept_all(store)
    made = gather(store, Path("data"), GENEROUS)
    assert (made.examples, made.dialogues) == ([], [])
    assert len(made.held_out) == 2


def test_one_sender_cannot_fill_an_export(
    project: Path, tracker: TrackerStore, store: ReviewStore, masker: Masker
) -> None:
    for n in range(30):
        tracker.user("flood", f"灌水第{n}号消息呀", "greet", confidence=0.5 if n == 7 else 0.9)
    for n in range(8):
        for m in range(3):
            tracker.user(f"c{n}", f"正常的第{n}位客户说{m}", "greet")
    harvest(store, tracker.engine, masker)
    accept_all(store)
    made = gather(store, Path("data"), Limits())
    of_flood = [i for i in made.items if i.sender_id == "flood"]
    assert len(of_flood) == 6, "24 others: 6 of 30 is a fifth"
    assert made.held_back == {"flood": 24}
    assert any("第7号" in i.text for i in of_flood), "the most urgent of hers go first"
    assert len(gather(store, Path("data"), Limits(most=2, share=1.0)).items) == 2 + 16


def test_allowance() -> None:
    assert allowance([100, 100, 100, 100, 100], Limits()) == 20
    assert allowance([10], Limits()) == 1, "alone she cannot be less than all"
    assert allowance([10], Limits(share=1.0)) == 10
    assert allowance([50, 1, 1, 1, 1], Limits()) == 1
    assert allowance([], Limits()) == 1
    with pytest.raises(SettingsError, match="--max-share"):
        Limits(share=0.0)
    with pytest.raises(SettingsError, match="--max-per-sender"):
        Limits(most=0)


def test_nothing_left_removes_old_files(
    project: Path, tracker: TrackerStore, store: ReviewStore, masker: Masker
) -> None:
    tracker.user("c1", "你们几点上班来着", "contact_human")
    harvest(store, tracker.engine, masker)
    accept_all(store)
    (file,) = write(gather(store, Path("data"), GENEROUS), Path("var/feedback"))
    decide(store, 1, Decision(skip=True), "李")
    assert write(gather(store, Path("data"), GENEROUS), Path("var/feedback")) == []
    assert not file.exists()


def test_export_reports_as_json(project: Path, store: ReviewStore) -> None:
    assert json.loads(json.dumps(gather(store, Path("data")).as_dict()))["examples"] == 0
