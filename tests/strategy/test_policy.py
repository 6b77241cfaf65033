from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from rasa.core.policies.ensemble import DefaultPolicyPredictionEnsemble
from rasa.core.policies.policy import PolicyPrediction
from rasa.core.policies.rule_policy import RulePolicy
from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import (
    ActionExecuted,
    ActionExecutionRejected,
    ActiveLoop,
    BotUttered,
    Event,
    SessionStarted,
    SlotSet,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import InvalidConfigException

from components.strategy_policy import StrategyPolicy, messages_of, to_history
from kefu.dialogues import Dialogue
from kefu.feedback import Masker
from kefu.feedback.choices import choices_of
from kefu.strategy import History, StrategyModel
from kefu.strategy.decisions import decision_of, write_decisions
from kefu.strategy.features import plain
from tests.strategy.conftest import RULES

DOMAIN = """
version: "3.1"
intents: [greet, complain_delivery, give_feedback]
actions: [action_reply, action_check]
forms: {after_sales_form: {required_slots: []}}
slots:
"""
for _name, _kind in {
    "facts": "any",
    "new_facts": "any",
    "strategy_scores": "any",
    "outcome": "text",
    "order_id": "text",
    "phone_tail": "text",
    "strategy": "text",
    "stage": "text",
    "strategy_probability": "float",
    "handed_over": "bool",
}.items():
    DOMAIN += f"  {_name}: {{type: {_kind}, influence_conversation: false, mappings: [{{type: custom}}]}}\n"


@pytest.fixture(scope="module")
def domain() -> Domain:
    return Domain.from_yaml(DOMAIN)


@pytest.fixture()
def config(tmp_path: Path, dialogues: list[Dialogue]) -> dict[str, Any]:
    folder = tmp_path / "dialogues"
    folder.mkdir()
    raw = [
        {
            "id": d.id,
            "scene": d.scene,
            "turns": [
                {"user": t.text, "intent": t.intent, "emotion": t.emotion}
                if t.speaker == "user"
                else {"agent": t.text, "strategy": t.strategy, "facts": t.facts}
                for t in d.turns
            ],
        }
        for d in dialogues
    ]
    (folder / "all.yml").write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES.read_text(encoding="utf-8"), encoding="utf-8")
    chosen = {"dialogues": [str(folder), str(tmp_path / "absent")], "rules": str(rules)}
    chosen["decisions"] = str(tmp_path / "decisions.jsonl")
    return {**StrategyPolicy.get_default_config(), **chosen}


@pytest.fixture()
def storage(tmp_path: Path) -> LocalModelStorage:
    folder = tmp_path / "storage"
    folder.mkdir()
    return LocalModelStorage.create(folder)


CONTEXT = ExecutionContext(GraphSchema({}))
ROOM = Resource("strategy")


@pytest.fixture()
def policy(config: dict[str, Any], storage: LocalModelStorage, model: StrategyModel) -> StrategyPolicy:
    return StrategyPolicy(config, storage, ROOM, CONTEXT, model)


def heard(text: str = "都3天了还没到", intent: str = "complain_delivery", emotion: str = "angry") -> list[Event]:
    ranked = {"intent": {"name": intent, "confidence": 0.9}, "emotion": {"name": emotion, "confidence": 0.9}}
    data = {
        "text": text,
        "entities": [],
        **ranked,
        "intent_ranking": [ranked["intent"]],
        "emotion_ranking": [ranked["emotion"]],
    }
    return [ActionExecuted("action_listen"), UserUttered(text, ranked["intent"], [], data)]


def replied(text: str, strategy: str) -> list[Event]:
    return [ActionExecuted("action_reply"), BotUttered(text, metadata={"strategy": strategy})]


def predict(policy: StrategyPolicy, domain: Domain, events: list[Event]) -> tuple[str, PolicyPrediction]:
    tracker = DialogueStateTracker.from_events("t", [], slots=domain.slots, domain=domain)
    for event in events:
        tracker.update(event, domain)
    prediction = policy.predict_action_probabilities(tracker, domain)
    return domain.action_names_or_texts[prediction.max_confidence_index], prediction


def slots(prediction: PolicyPrediction) -> dict[str, Any]:
    return {e.key: e.value for e in prediction.optional_events if isinstance(e, SlotSet)}


def test_it_is_registered_as_a_trainable_policy() -> None:
    found = DefaultV1Recipe._from_registry("components.strategy_policy.StrategyPolicy")
    assert found.is_trainable
    assert found.types == {DefaultV1Recipe.ComponentType.POLICY_WITHOUT_END_TO_END_SUPPORT}


def test_a_reply_is_due_after_the_customers_message(policy: StrategyPolicy, domain: Domain) -> None:
    action, prediction = predict(policy, domain, heard())
    assert action == "action_reply"
    told = slots(prediction)
    assert told["strategy"] == "manage_emotion" and told["stage"] == "identify"
    assert 0 < told["strategy_probability"] <= 1
    assert len(told["strategy_scores"]["scores"]) == 5
    assert told["strategy_scores"]["mattered"], "what of the conversation spoke for it"
    assert 0.3 < prediction.max_confidence < 1.0
    assert sum(p > 0 for p in prediction.probabilities) == 1


def asked() -> list[Event]:
    return heard("这款锅3能用电磁炉吗", "greet", "neutral")


@pytest.fixture()
def doubtful(model: StrategyModel) -> StrategyModel:
    """The model with its doubt made large, so that several strategies are open."""
    trained = replace(model._trained, temperatures={**model._trained.temperatures, "strategy": 5.0})
    return StrategyModel(trained, model.rules)


def trying(config: dict[str, Any], storage: LocalModelStorage, model: StrategyModel, chance: float) -> StrategyPolicy:
    return StrategyPolicy({**config, "exploration": chance}, storage, ROOM, CONTEXT, model)


def told_by(policy: StrategyPolicy, domain: Domain, events: list[Event], senders: int = 60) -> list[dict[str, Any]]:
    """The slots of the same moment in so many conversations."""
    found = []
    for i in range(senders):
        tracker = DialogueStateTracker.from_events(f"c{i}", events, slots=domain.slots, domain=domain)
        found.append(slots(policy.predict_action_probabilities(tracker, domain)))
    return found


def test_by_default_nothing_is_tried(
    config: dict[str, Any], storage: LocalModelStorage, doubtful: StrategyModel, domain: Domain
) -> None:
    assert config["exploration"] == 0.0
    told = told_by(StrategyPolicy(config, storage, ROOM, CONTEXT, doubtful), domain, asked())
    assert len({t["strategy"] for t in told}) == 1
    assert all(t["strategy_scores"]["propensity"] == 1.0 for t in told)
    assert all(not t["strategy_scores"]["explored"] and not t["strategy_scores"]["among"] for t in told)


def test_exploration_tells_score_and_propensity_apart(
    config: dict[str, Any], storage: LocalModelStorage, doubtful: StrategyModel, domain: Domain
) -> None:
    policy = trying(config, storage, doubtful, 0.5)
    told = told_by(policy, domain, asked())
    assert told == told_by(policy, domain, asked())
    by_strategy = {t["strategy"]: t for t in told}
    assert len(by_strategy) > 2
    best = next(t for t in told if not t["strategy_scores"]["explored"])
    among = best["strategy_scores"]["among"]
    assert best["strategy"] == among[0] and best["strategy_scores"]["propensity"] > 0.5
    assert best["strategy_scores"]["replies_left"] == 2
    for t in told:
        assert t["strategy"] in among
        if t["strategy_scores"]["explored"]:
            assert t["strategy_scores"]["propensity"] < min(0.5, t["strategy_probability"])


def test_what_is_harvested_is_what_the_policy_saw(
    config: dict[str, Any], storage: LocalModelStorage, doubtful: StrategyModel, domain: Domain
) -> None:
    """The moment rebuilt from stored events has the features of the one that the policy chose in."""
    policy = trying(config, storage, doubtful, 0.5)
    tracker = DialogueStateTracker.from_events("c", [], slots=domain.slots, domain=domain)
    seen: dict[str, tuple[History, float]] = {}
    facts = {"facts": {"eta": "11月25日"}, "new_facts": ["eta", "gone"], "outcome": "found", "phone_tail": "0816"}
    turns = [
        [ActionExecuted("action_session_start"), SessionStarted(), *asked()],
        [*heard("就是这款", "greet", "neutral"), ActionExecuted("action_check")],
        [*heard("/give_feedback{}", "give_feedback", "neutral"), *heard("好的", "greet", "happy")],
        [
            SlotSet("new_facts", []),
            SlotSet("outcome", None),
            BotUttered("人工来了"),
            *heard("在吗", "greet", "neutral"),
        ],
    ]
    turns[1] += [SlotSet(k, v) for k, v in facts.items()]
    for number, events in enumerate(turns):
        tracker.update_with_events(events, domain)
        history = to_history(tracker)
        prediction = policy.predict_action_probabilities(tracker, domain)
        tracker.update_with_events(prediction.optional_events, domain)
        told = slots(prediction)
        scores = told["strategy_scores"]
        meta = {"message_id": str(number), "strategy": told["strategy"], "propensity": scores["propensity"]}
        tracker.update_with_events([ActionExecuted("action_reply"), BotUttered("嗯", metadata=meta)], domain)
        if scores["among"]:
            seen[told["strategy"] + str(scores["propensity"])] = (history, scores["propensity"])
    rows = choices_of("c", [e.as_dict() for e in tracker.events], {}, Masker(b"salt"))
    made = [decision_of({**row["choice"], "reward": 0.0}) for row in rows]
    assert len(made) >= 3
    for decision in made:
        history, propensity = seen[decision.strategy + str(decision.propensity)]
        assert propensity == decision.propensity
        assert plain(decision.history).tolist() == pytest.approx(plain(history).tolist(), abs=1e-4)
        scored, again = (doubtful.score(h, decision.replies_left) for h in (history, decision.history))
        assert again.strategies == pytest.approx(scored.strategies, abs=1e-3)
        assert again.open == decision.among


def test_an_angry_customer_and_a_rule_are_not_experimented_with(
    config: dict[str, Any], storage: LocalModelStorage, doubtful: StrategyModel, domain: Domain
) -> None:
    policy = trying(config, storage, doubtful, 0.5)
    required = [*asked(), SlotSet("outcome", "needs_phone"), *replied("嗯，我在看", "other")]
    for events in (heard(), required):
        told = told_by(policy, domain, events)
        assert len({t["strategy"] for t in told}) == 1
        assert all(t["strategy_scores"]["propensity"] == 1.0 for t in told)


def test_a_business_action_does_not_end_the_turn(policy: StrategyPolicy, domain: Domain) -> None:
    events = [*heard(), ActionExecuted("action_check"), SlotSet("outcome", "needs_order_id"), SlotSet("facts", {})]
    action, prediction = predict(policy, domain, events)
    assert action == "action_reply" and slots(prediction)["strategy"] in ("manage_emotion", "verify_identity")


def test_a_second_reply_then_listening(policy: StrategyPolicy, domain: Domain) -> None:
    once = [*heard(), *replied("等了3天，换谁都急", "manage_emotion")]
    action, prediction = predict(policy, domain, once)
    assert action == "action_reply" and slots(prediction)["strategy"] == "verify_identity"
    action, prediction = predict(policy, domain, [*once, *replied("麻烦报一下手机尾号", "verify_identity")])
    assert action == "action_listen" and not prediction.optional_events


def test_max_replies_is_kept(policy: StrategyPolicy, domain: Domain) -> None:
    policy.config["max_replies"] = 1
    events = [*heard(), *replied("等了3天，换谁都急", "manage_emotion")]
    assert predict(policy, domain, events)[0] == "action_listen"


def test_an_order_still_to_be_asked_for_keeps_the_turn_open(
    policy: StrategyPolicy, domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [*heard(), SlotSet("outcome", "needs_phone"), *replied("嗯，我在看", "other")]
    action, prediction = predict(policy, domain, events)
    assert action == "action_reply" and slots(prediction)["strategy"] == "verify_identity"
    assert "must_ask_for_order" in slots(prediction)["strategy_scores"]["rules"]


def test_clicked_feedback_is_not_answered(policy: StrategyPolicy, domain: Domain) -> None:
    clicked = heard('/give_feedback{"thumb": "up"}', "give_feedback", "neutral")
    events = [*heard(), *replied("在", "other"), *clicked, ActionExecuted("action_record_feedback")]
    assert predict(policy, domain, events)[0] == "action_listen"
    assert predict(policy, domain, heard("做得不错", "give_feedback", "happy"))[0] == "action_reply"


def test_a_reply_that_did_not_come_is_not_asked_for_again(policy: StrategyPolicy, domain: Domain) -> None:
    assert predict(policy, domain, [*heard(), ActionExecuted("action_reply")])[0] == "action_listen"
    rejected = [*heard(), ActionExecutionRejected("action_reply")]
    assert predict(policy, domain, rejected)[0] == "action_listen"


def test_a_form_that_asked_is_waited_for(policy: StrategyPolicy, domain: Domain) -> None:
    asked = [*heard(), ActionExecuted("after_sales_form"), ActiveLoop("after_sales_form"), BotUttered("哪一单？")]
    assert predict(policy, domain, asked)[0] == "action_listen"


def test_a_form_that_gave_up_is_answered_once(policy: StrategyPolicy, domain: Domain) -> None:
    asked = [*heard(), ActionExecuted("after_sales_form"), ActiveLoop("after_sales_form"), BotUttered("哪一单？")]
    off = [*asked, *heard("你们真慢"), ActionExecutionRejected("after_sales_form")]
    assert predict(policy, domain, off)[0] == "action_reply"
    assert predict(policy, domain, [*off, *replied("久等了", "manage_emotion")])[0] == "action_listen"


def test_before_the_first_message_it_listens(policy: StrategyPolicy, domain: Domain) -> None:
    assert predict(policy, domain, [ActionExecuted("action_session_start"), SessionStarted()])[0] == "action_listen"


def test_rules_win_and_silent_rules_do_not(policy: StrategyPolicy, domain: Domain, storage: LocalModelStorage) -> None:
    tracker = DialogueStateTracker.from_events("t", heard(), slots=domain.slots, domain=domain)
    ours = policy.predict_action_probabilities(tracker, domain)
    for confidence, winner in ((1.0, "RulePolicy"), (0.0, "StrategyPolicy")):
        theirs = PolicyPrediction.for_action_name(domain, "action_check", RulePolicy.__name__, confidence)
        theirs.policy_priority = 6
        combined = DefaultPolicyPredictionEnsemble().combine_predictions([theirs, ours], tracker, domain)
        assert combined.policy_name == winner


def test_messages_of_the_session_without_feedback(domain: Domain) -> None:
    events = [
        *heard("旧的"),
        SessionStarted(),
        *heard(),
        BotUttered("人工来了"),
        *heard("/give_feedback{}", "give_feedback"),
        *replied("好", "other"),
    ]
    tracker = DialogueStateTracker.from_events("t", events, slots=domain.slots, domain=domain)
    messages = messages_of(tracker)
    assert [m.text for m in messages] == ["都3天了还没到", "人工来了", "好"]
    assert messages[0].intent == "complain_delivery" and messages[0].emotion == "angry"
    assert messages[1].strategies == {} and messages[2].strategies == {"other": 1.0}


def test_what_was_said_in_a_form_counts(domain: Domain) -> None:
    form = [ActionExecuted("after_sales_form"), ActiveLoop("after_sales_form")]
    events = [*heard("要退货"), *form, BotUttered("哪一单？"), *heard("这单"), *form, BotUttered("为什么？")]
    tracker = DialogueStateTracker.from_events("t", events, slots=domain.slots, domain=domain)
    assert [m.text for m in messages_of(tracker)] == ["要退货", "哪一单？", "这单", "为什么？"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"max_reply": 3}, "max_reply"),
        ({"max_replies": 0}, "max_replies"),
        ({"max_replies": "two"}, "two"),
        ({"seed": -1}, "seed"),
        ({"dialogues": "data/dialogues"}, "dialogues"),
        ({"dialogues": ["nowhere"]}, "nowhere"),
        ({"rules": "no_rules.yml"}, "no_rules"),
        ({"encoder": 5}, "encoder"),
        ({"decisions": None}, "decisions"),
        ({"exploration": "often"}, "often"),
        ({"exploration": 0.7}, "exploration.*0.7"),
        ({"exploration_temperature": 0}, "temperature.*0"),
    ],
)
def test_wrong_options_are_named(
    config: dict[str, Any], storage: LocalModelStorage, change: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidConfigException, match=named):
        StrategyPolicy.create({**config, **change}, storage, ROOM, CONTEXT)


def test_changed_dialogues_and_rules_change_the_fingerprint(config: dict[str, Any]) -> None:
    def touch(path: Path, edit: Callable[[str], str]) -> None:
        path.write_text(edit(path.read_text(encoding="utf-8")), encoding="utf-8")

    marks = [StrategyPolicy.fingerprint_addon(config)]
    assert StrategyPolicy.fingerprint_addon(config) == marks[0]
    touch(Path(config["dialogues"][0]) / "all.yml", lambda text: text.replace("苏州1", "杭州1"))
    marks.append(StrategyPolicy.fingerprint_addon(config))
    touch(Path(config["rules"]), lambda text: text + "\n# 改\n")
    marks.append(StrategyPolicy.fingerprint_addon(config))
    more = Path(config["dialogues"][1])
    more.mkdir()
    (more / "feedback.yml").write_text("[]", encoding="utf-8")
    marks.append(StrategyPolicy.fingerprint_addon(config))
    Path(config["decisions"]).write_text("", encoding="utf-8")
    marks.append(StrategyPolicy.fingerprint_addon(config))
    assert len(set(marks)) == 5


def test_what_it_trains_it_loads(
    config: dict[str, Any],
    storage: LocalModelStorage,
    domain: Domain,
    encoder: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kefu.strategy.model.load_encoder", lambda name: encoder)
    StrategyPolicy.create(config, storage, ROOM, CONTEXT).train([], domain)
    loaded = StrategyPolicy.load(config, storage, ROOM, CONTEXT)
    assert predict(loaded, domain, heard())[0] == "action_reply"


def test_it_learns_from_decisions_where_there_are_some(
    config: dict[str, Any],
    storage: LocalModelStorage,
    domain: Domain,
    encoder: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kefu.strategy.model.load_encoder", lambda name: encoder)
    write_decisions([], Path(config["decisions"]))
    StrategyPolicy.create(config, storage, ROOM, CONTEXT).train([], domain)
    learned = StrategyPolicy.load(config, storage, ROOM, CONTEXT).model.learned
    assert learned is not None and learned["why"].startswith("nothing learned: there are 0 choices")
    Path(config["decisions"]).write_text("{}", encoding="utf-8")
    with pytest.raises(InvalidConfigException, match="no decision"):
        StrategyPolicy.create(config, storage, ROOM, CONTEXT).train([], domain)


def test_a_broken_dialogue_is_named_at_training(
    config: dict[str, Any], storage: LocalModelStorage, domain: Domain
) -> None:
    bad = "- {id: bad, scene: x, turns: [{user: a, intent: nope, emotion: angry}]}"
    (Path(config["dialogues"][0]) / "bad.yml").write_text(bad, encoding="utf-8")
    with pytest.raises(InvalidConfigException, match="nope"):
        StrategyPolicy.create(config, storage, ROOM, CONTEXT).train([], domain)


def test_a_domain_without_action_reply_is_refused(config: dict[str, Any], storage: LocalModelStorage) -> None:
    with pytest.raises(InvalidConfigException, match="action_reply"):
        StrategyPolicy.create(config, storage, ROOM, CONTEXT).train([], Domain.empty())
