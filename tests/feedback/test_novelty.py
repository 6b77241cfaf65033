"""Of many turns that say the same one is worth a look; what nobody said before is worth more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from kefu.cli import app
from kefu.feedback import Decision, Masker, ReviewItem, ReviewStore, decide, harvest, reasons, trained_texts
from kefu.feedback.novelty import document, newness
from kefu.feedback.store import ITEMS
from kefu.feedback.urgency import urgency
from tests.tracker_store import TrackerStore

NOVEL = [
    "请问发票抬头能改成公司名吗",
    "儿童座椅适合几岁的宝宝用",
    "把收货地址换到我老家去",
    "会员积分过期了还能补回来吗",
    "空气净化器滤芯在哪里单独买",
    "预售的尾款忘了付怎么办",
    "键盘有一个按键按下去弹不起来",
    "客服电话怎么一直占线啊",
]
SAME = "快递三天没动了帮我催一下"
TRAINED = [document("什么时候能发出来呀"), document("亲在吗")]
ENDINGS = ["", "！", "呀", "吧", "啊", "。", "~", "，谢谢", "嘛", "哈"]


@pytest.fixture
def queue(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> list[ReviewItem]:
    """Fifty turns that say the same, eight that do not, two that are trained on; the model is as unsure of each."""
    texts = [SAME.replace("三", "三五四六七"[n % 5]) + ENDINGS[n % 10] for n in range(50)]
    texts[10:10] = NOVEL[:4]
    texts += ["什么时候能发出来呀", *NOVEL[4:], "亲在吗"]
    for n, text in enumerate(texts):
        tracker.start(f"c{n}")
        tracker.user(f"c{n}", text, confidence=0.5)
        tracker.bot(f"c{n}", "您好，请说。")
    harvest(store, tracker.engine, masker, known=TRAINED)
    return store.items(["open"])


def test_new_turns_come_first_and_repetitions_last(queue: list[ReviewItem]) -> None:
    assert len({item.priority for item in queue}) == 1, "the uncertainty is equal"
    texts = [item.text for item in queue]
    assert {*texts[:9]} == {*NOVEL, SAME}, "one of the fifty stands for all"
    assert {*texts[9:11]} == {"什么时候能发出来呀", "亲在吗"}, "what is trained on comes next"
    first = next(item for item in queue if item.text == SAME)
    assert all(item.repeats is not None for item in queue[11:]) and first.id in {item.repeats for item in queue[11:]}
    assert all(item.novelty and item.novelty > 0.5 and item.repeats is None for item in queue[:9])


def test_a_repetition_of_what_was_reviewed_stays_last(
    queue: list[ReviewItem], tracker: TrackerStore, store: ReviewStore, masker: Masker
) -> None:
    first = next(item for item in queue if item.text == SAME)
    decide(store, first.id, Decision(skip=True), "李")
    tracker.start("later")
    tracker.user("later", "冰箱门关不严一直滴水", confidence=0.5)
    tracker.bot("later", "您好，请说。")
    assert harvest(store, tracker.engine, masker, known=TRAINED).added == 1
    left = store.items(["open"])
    assert {item.text for item in left[:9]} == {*NOVEL, "冰箱门关不严一直滴水"}
    assert all(item.repeats is not None for item in left if item.text.startswith("快递"))


def test_feedback_keeps_its_weight(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    for n in range(3):
        tracker.user(f"c{n}", SAME, confidence=0.9)
        reply = tracker.bot(f"c{n}", "好的。")
        if n == 2:
            tracker.feedback(f"c{n}", message_id=reply, correction="我要催快递")
    tracker.user("new", NOVEL[0], confidence=0.1)
    tracker.bot("new", "好的。")
    harvest(store, tracker.engine, masker)
    ranked = store.items(["open"])
    assert [item.sender_id for item in ranked[:2]] == ["c2", "new"], "the corrected one of the three, then the new one"
    assert list(reasons(ranked[0])) == ["correction", "new"]
    assert {item.repeats for item in ranked[2:]} == {ranked[0].id}


def test_harvesting_again_changes_no_rank(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    for n, text in enumerate([SAME, *NOVEL]):
        tracker.user(f"c{n}", text, confidence=0.5)
    harvest(store, tracker.engine, masker)
    before = [item.as_dict() for item in store.items()]
    again = harvest(store, tracker.engine, masker, everything=True)
    assert (again.added, again.changed) == (0, 0)
    assert [item.as_dict() for item in store.items()] == before


def test_newness_of_texts() -> None:
    documents = [document(t) for t in (SAME, SAME + "！", "三天", "？？", "", NOVEL[0])]
    found = newness(documents, [document(NOVEL[0])])
    assert [new.repeats for new in found] == [None, 0, None, None, None, None]
    assert found[1].novelty == 0.0 == found[5].novelty
    assert found[0].novelty == 1.0 and found[4].novelty == 1.0, "nothing in common with anything"
    assert 0.0 < found[2].novelty < 1.0
    assert newness([]) == []
    many = [document(f"{NOVEL[n % 8]}{chr(0x4E00 + n)}") for n in range(1100)]  # more than one chunk
    repeated = [new.repeats for new in newness(many)]
    assert repeated[:8] == [None] * 8 and all(r is not None and r < n for n, r in enumerate(repeated) if n >= 8)


def test_what_is_compared() -> None:
    assert document("订单202611187734920615，到哪了？") == document("订单 1 到哪了")
    assert document("好的", "要退款吗") != document("好的", "再见") != document("好的")
    assert document(SAME, "您好") == document(SAME)


def test_trained_texts_pass_over_what_cannot_be_read(project: Path) -> None:
    (project / "data" / "nlu" / "broken.yml").write_text("nlu: [", encoding="utf-8")
    assert trained_texts([project / "data" / "nlu", project / "none"]) == ["亲在吗", "什么时候能发出来呀"]


def test_the_list_is_sorted_by_urgency_and_says_why(project: Path, tracker: TrackerStore, store: ReviewStore) -> None:
    Path("endpoints.yml").write_text("tracker_store: {type: SQL, db: var/tracker.db}\n", encoding="utf-8")
    for n, text in enumerate(["亲在吗", SAME, SAME + "！", NOVEL[0]]):
        tracker.user(f"c{n}", text, confidence=0.4)
        tracker.bot(f"c{n}", "好的。")
    tracker.user("c3", "算了", emotion="angry", confidence=1.0)
    assert tracker.engine
    run = CliRunner().invoke
    assert run(app, ["feedback", "harvest"]).exit_code == 0
    items = store.items(["open"])
    scores = [urgency(i.priority, i.novelty, i.repeats is not None) for i in items]
    assert scores == sorted(scores, reverse=True)
    shown = run(app, ["feedback", "list"]).output
    assert "why: upset angry, doubt 0.90, new 0.9" in shown
    assert f"why: doubt 0.90, repeats #{next(i.id for i in items if i.text == SAME)}" in shown
    assert "why: unanswered" in shown
    listed = json.loads(run(app, ["feedback", "list", "--json"]).output)["items"]
    assert listed[0]["why"] == ["upset", "doubt", "new"]
    greeting = next(i for i in listed if i["text"] == "亲在吗")
    assert (greeting["novelty"], greeting["why"]) == (0.0, ["doubt"]), "data/nlu knows it"
    asked = run(app, ["feedback", "review", "--reviewer", "李"], input="q\n").output
    assert "缘由 之后情绪变差 angry，没把握 0.90，说法新 0.9" in asked


def test_a_table_of_an_earlier_version_gets_its_columns(
    tracker: TrackerStore, store: ReviewStore, masker: Masker
) -> None:
    tracker.user("c1", SAME)
    harvest(store, tracker.engine, masker)
    old = ", ".join(column.name for column in ITEMS.columns if column.name not in ("novelty", "repeats"))
    with store.engine.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE old AS SELECT {old} FROM {ITEMS.name}"))
        connection.execute(sa.text(f"DROP TABLE {ITEMS.name}"))
        connection.execute(sa.text(f"ALTER TABLE old RENAME TO {ITEMS.name}"))
    for _ in range(2):
        opened = ReviewStore(str(store.engine.url))
        (item,) = opened.items()
        assert (item.text, item.novelty, item.repeats) == (SAME, None, None)
        opened.close()
    harvest(store, tracker.engine, masker)
    assert store.items()[0].novelty == 1.0
