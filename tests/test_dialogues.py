"""The reader of data/dialogues."""

from __future__ import annotations

from pathlib import Path

import pytest

from kefu.dialogues import Turn, read_dialogues
from kefu.errors import DataError, NotFound

GOOD = """
- id: refund_1
  scene: 退款
  turns:
  - {user: 钱呢, intent: ask_refund_status, emotion: angry}
  - {agent: "{refund_amount}已退回。", strategy: inform, facts: {refund_amount: 268.00元}}
  - {user: 0816, intent: provide_info, emotion: neutral}
"""


def read(tmp_path: Path, text: str) -> list[object]:
    (tmp_path / "d.yml").write_text(text, encoding="utf-8")
    return list(read_dialogues([tmp_path / "d.yml"]))


def test_turns_carry_labels_and_facts(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text(GOOD.replace("refund_1", "refund_2"), encoding="utf-8")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "a.yml").write_text(GOOD, encoding="utf-8")
    first, second = read_dialogues([tmp_path])
    assert (first.id, second.id) == ("refund_1", "refund_2")
    assert first.source == str(tmp_path / "a" / "a.yml") and first.scene == "退款"
    assert first.turns[0] == Turn("user", "钱呢", intent="ask_refund_status", emotion="angry")
    assert first.turns[1] == Turn(
        "agent", "{refund_amount}已退回。", strategy="inform", facts={"refund_amount": "268.00元"}
    )


def turn(text: str) -> str:
    return f"- id: x\n  scene: s\n  turns:\n  - {text}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (turn("{user: 在吗, intent: hello, emotion: neutral}"), "intent 'hello'"),
        (turn("{user: 在吗, intent: greet, emotion: [neutral]}"), r"emotion \['neutral'\]"),
        (turn("{user: 在吗, intent: greet}"), "emotion None"),
        (turn("{agent: 在的, strategy: shrug}"), "strategy 'shrug'"),
        (turn("{user: 在吗, agent: 在的}"), "either 'user' or 'agent'"),
        (turn("在吗"), "either 'user' or 'agent', not '在吗'"),
        (turn("{user: , intent: greet, emotion: neutral}"), "turn of 'user' is empty"),
        (turn("{user: ' ', intent: greet, emotion: neutral}"), "turn of 'user' is empty"),
        (turn("{user: 在吗, intent: greet, emotion: neutral, mood: bad}"), "key 'mood'"),
        (turn("{user: 在吗, intent: greet, emotion: neutral, facts: {}}"), "key 'facts'"),
        (turn("{agent: 好的, strategy: inform, facts: {wage: 3}}"), "fact 'wage'"),
        (turn("{agent: 好的, strategy: inform, facts: [eta]}"), r"facts \['eta'\]"),
        (turn("{agent: '{eta}到。', strategy: inform}"), r"uses \{eta\} without a fact"),
        (turn("{agent: '{policy}', strategy: inform, facts: {policy: 七天}}"), r"uses \{policy\}"),
        ("- {scene: s, turns: []}", "needs an id and a list of turns"),
        ("- {id: x, scene: s, turns: 在吗}", "needs an id and a list of turns"),
        ("- 在吗", "needs an id"),
        ("id: x", "expected a list"),
        ("- {id: x", "is not YAML"),
        (GOOD + GOOD, "'refund_1': the id stands in"),
    ],
)
def test_a_break_of_the_format_is_named_with_file_and_dialogue(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read(tmp_path, text)
    assert str(tmp_path / "d.yml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_id_in_two_files_is_named_with_both(tmp_path: Path) -> None:
    for name in ("a.yml", "b.yml"):
        (tmp_path / name).write_text(GOOD, encoding="utf-8")
    with pytest.raises(DataError, match=r"b\.yml, dialogue 'refund_1': the id stands in .*a\.yml"):
        list(read_dialogues([tmp_path]))


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        list(read_dialogues([tmp_path / "nowhere"]))


def test_an_empty_file_has_no_dialogues(tmp_path: Path) -> None:
    assert read(tmp_path, "") == []
