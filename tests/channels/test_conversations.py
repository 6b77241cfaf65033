from __future__ import annotations

from components.channels.conversations import MAX_IDS, REMEMBER, Conversations


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_repeated_id_is_known_for_ten_minutes_and_per_sender() -> None:
    clock = Clock()
    conversations = Conversations(clock)
    assert not conversations.repeated("anna", "c1")
    assert not conversations.repeated("bea", "c1")
    clock.now += REMEMBER - 1
    assert conversations.repeated("anna", "c1")
    clock.now += 2
    assert not conversations.repeated("anna", "c1")


def test_messages_without_an_id_are_never_repeated() -> None:
    conversations = Conversations()
    assert not conversations.repeated("anna", None)
    assert not conversations.repeated("anna", None)


def test_memory_is_bounded() -> None:
    clock = Clock()
    conversations = Conversations(clock, limit=3)
    for number in range(MAX_IDS + 50):
        conversations.repeated("anna", f"c{number}")
    assert len(conversations.of("anna").seen) == MAX_IDS
    for sender in ("bea", "cleo", "dora"):
        conversations.of(sender)
    assert len(conversations) == 3
    assert not conversations.of("anna").seen
    clock.now += REMEMBER + 1
    conversations.of("emma")
    assert len(conversations) == 1


def test_replies_after_a_known_message_and_all_after_an_unknown_one() -> None:
    clock = Clock()
    conversations = Conversations(clock)
    replies = [{"text": str(n), "metadata": {"message_id": f"m{n}"}} for n in range(3)]
    for reply in replies:
        conversations.replied("anna", reply)
    assert conversations.replies_after("anna", "m0") == replies[1:]
    assert conversations.replies_after("anna", "m2") == []
    assert conversations.replies_after("anna", "elsewhere") == replies
    assert conversations.replies_after("bea", None) == []
    clock.now += REMEMBER + 1
    assert conversations.replies_after("anna", "m0") == []
