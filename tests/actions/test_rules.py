"""Conversations through the trained rules and the real form: what runs, what is said, what ends up in the slots.

A stand-in takes the strategy policy's place: where no rule applies it predicts action_reply once, then listens.
"""

from __future__ import annotations

import asyncio
import json
import re
import warnings
from pathlib import Path
from typing import Any, ClassVar

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from rasa.core.actions.action import ActionExecutionRejection, ActionExtractSlots, action_for_index
    from rasa.core.channels import CollectingOutputChannel
    from rasa.core.nlg import TemplatedNaturalLanguageGenerator
    from rasa.core.policies.rule_policy import RulePolicy
    from rasa.engine.graph import ExecutionContext, GraphSchema
    from rasa.engine.storage.local_model_storage import LocalModelStorage
    from rasa.engine.storage.resource import Resource
    from rasa.shared.core.domain import Domain
    from rasa.shared.core.events import ActionExecuted, ActionExecutionRejected, BotUttered, SlotSet, UserUttered
    from rasa.shared.core.generator import TrainingDataGenerator
    from rasa.shared.core.trackers import DialogueStateTracker
    from rasa.shared.core.training_data.loading import load_data_from_files
    from rasa.shared.core.training_data.structures import StoryGraph

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
TAIL = {"phone_tail": "0816"}


@pytest.fixture(scope="module")
def domain() -> Domain:
    return Domain.load(str(ROOT / "domain.yml"))


@pytest.fixture(scope="module")
def policy(domain, tmp_path_factory) -> RulePolicy:
    steps = load_data_from_files([str(f) for f in sorted((ROOT / "data" / "rules").glob("*.yml"))], domain)
    trackers = TrainingDataGenerator(StoryGraph(steps), domain, augmentation_factor=0).generate()
    storage = LocalModelStorage(tmp_path_factory.mktemp("rules"))
    config = {**RulePolicy.get_default_config(), "enable_fallback_prediction": False}
    made = RulePolicy(config, storage, Resource("rules"), ExecutionContext(GraphSchema({})))
    made.train(trackers, domain)
    return made


class Endpoint:
    """The action server without a network."""

    url = "http://actions"
    kwargs: ClassVar[dict[str, Any]] = {"enable_selective_domain": True}

    def __init__(self, executor: Any) -> None:
        self.executor = executor

    async def request(self, json: dict[str, Any], **_: Any) -> Any:
        return await self.executor.run(_through_json(json))


def _through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


class Talk:
    """One conversation."""

    def __init__(self, domain: Domain, policy: RulePolicy, executor: Any) -> None:
        self.domain, self.policy, self.endpoint = domain, policy, Endpoint(executor)
        self.tracker = DialogueStateTracker("s1", domain.slots)
        self.tracker.update(ActionExecuted("action_listen"))
        self.customer: str | None = None
        self.output, self.nlg = CollectingOutputChannel(), TemplatedNaturalLanguageGenerator({})

    def say(self, text: str, intent: str, **entities: Any) -> list[str]:
        """The assistant's messages to this one."""
        return asyncio.run(self._say(text, intent, entities))

    def slot(self, name: str) -> Any:
        return self.tracker.get_slot(name)

    @property
    def form(self) -> bool:
        return self.tracker.active_loop_name == "after_sales_form"

    @property
    def actions(self) -> list[str]:
        """What was executed since the customer's last message."""
        names: list[str] = []
        for event in reversed(self.tracker.events):
            if isinstance(event, UserUttered):
                break
            if isinstance(event, ActionExecuted):
                names.insert(0, event.action_name)
        return names

    async def _say(self, text: str, intent: str, entities: dict[str, Any]) -> list[str]:
        metadata = {"customer_id": self.customer} if self.customer else {}
        found = [{"entity": kind, "value": value} for kind, value in entities.items()]
        parsed = {"text": text, "intent": {"name": intent, "confidence": 1.0}, "entities": found}
        self.tracker.update(UserUttered(text, parsed["intent"], found, parsed, metadata=metadata), self.domain)
        start = len(self.tracker.events)
        extract = ActionExtractSlots(self.endpoint)
        self.tracker.update_with_events(
            await extract.run(self.output, self.nlg, self.tracker, self.domain), self.domain
        )
        for _ in range(10):
            if await self._step() == "action_listen":
                break
        else:
            raise AssertionError(f"no end after {text!r}: {self.actions}")
        return [e.text for e in list(self.tracker.events)[start:] if isinstance(e, BotUttered)]

    async def _step(self) -> str:
        action, events = self._next()
        try:
            trial = self.tracker.copy()
            trial.update_with_events(events, self.domain)
            result = await action.run(self.output, self.nlg, trial, self.domain)
        except ActionExecutionRejection:
            self.tracker.update(ActionExecutionRejected(action.name(), "RulePolicy", 1.0))
            return ""
        self.tracker.update_with_events(events, self.domain)
        self.tracker.update(ActionExecuted(action.name()))
        self.tracker.update_with_events(result, self.domain)
        return action.name()

    def _next(self) -> tuple[Any, list[Any]]:
        followup = self.tracker.followup_action
        if followup:
            self.tracker.clear_followup_action()
            return action_for_index(self.domain.index_for_action(followup), self.domain, self.endpoint), []
        prediction = self.policy.predict_action_probabilities(self.tracker, self.domain)
        probabilities = list(prediction.probabilities)
        last = list(self.tracker.events)[-1]
        if isinstance(last, ActionExecutionRejected):  # as Rasa's ensemble does
            probabilities[self.domain.index_for_action(last.action_name)] = 0.0
        if max(probabilities) > 0:
            index = probabilities.index(max(probabilities))
            return action_for_index(index, self.domain, self.endpoint), list(prediction.events)
        name = "action_listen" if "action_reply" in self.actions else "action_reply"
        events = [SlotSet("strategy", "inform"), SlotSet("strategy_probability", 0.6)] if name == "action_reply" else []
        return action_for_index(self.domain.index_for_action(name), self.domain, self.endpoint), events


@pytest.fixture
def talk(domain, policy, executor) -> Talk:
    return Talk(domain, policy, executor)


@pytest.fixture
def signed_in(talk) -> Talk:
    talk.customer = "demo"
    return talk


def test_domain_has_the_taxonomys_intents_and_every_action_is_there(domain, executor):
    from kefu.taxonomy import INTENTS

    own = {i for i in domain.intents if i not in ("back", "restart", "session_start", "nlu_fallback")}
    assert own == set(INTENTS)
    assert set(domain.user_actions) | {"action_start_turn"} <= set(executor.actions) | {"after_sales_form"}
    assert set(executor.actions) <= set(domain.action_names_or_texts)


def test_a_business_intent_runs_its_action_then_the_reply(signed_in):
    assert signed_in.say("快递到哪了", "track_delivery") == ["<inform>"]
    assert signed_in.actions == ["action_check_logistics", "action_reply", "action_listen"]
    assert signed_in.slot("outcome") == "found" and "latest_event" in signed_in.slot("new_facts")
    assert signed_in.slot("topic") == "track_delivery"


def test_a_turn_without_business_does_not_see_the_last_ones_news(signed_in):
    signed_in.say("快递到哪了", "track_delivery")
    signed_in.say("谢谢", "thank")
    assert signed_in.actions == ["action_reply", "action_listen"]
    assert signed_in.slot("new_facts") == [] and signed_in.slot("outcome") == "none"
    assert "tracking_no" in signed_in.slot("facts")  # still known


def test_a_guest_is_asked_for_the_number_and_the_topic_goes_on_with_it(talk, orders):
    talk.say("快递到哪了", "track_delivery")
    assert (talk.slot("outcome"), talk.slot("waiting_for")) == ("needs_order_id", "order_id")
    number = orders["静音破壁机"]
    talk.say(number, "provide_info", order_id=number)
    assert talk.actions[0] == "action_continue_topic" and talk.slot("outcome") == "found"
    assert talk.slot("facts")["order_state"] == "派送中" and talk.slot("topic") == "track_delivery"


def test_a_return_from_the_first_word_to_the_number_of_the_request(talk, orders):
    number = orders["加绒连帽卫衣"]
    assert "订单号" in talk.say("我要退货", "request_return")[0] and talk.form
    assert "后四位" in talk.say(number, "provide_info", order_id=number)[0]
    assert "加绒连帽卫衣" in talk.say("0816", "provide_info", **TAIL)[0]
    assert talk.say("穿着有点大", "provide_info") == ["<inform>"]
    assert not talk.form and talk.slot("outcome") == "opened" and talk.slot("topic") == "request_return"
    assert re.fullmatch(r"R5\d{4}", talk.slot("facts")["return_id"])
    assert "return_id" in talk.slot("new_facts") and talk.slot("reason") is None


def test_everything_said_at_once_needs_no_question(talk, orders):
    number = orders["加绒连帽卫衣"]
    said = talk.say(f"{number} 尾号0816 太大了要退", "request_return", order_id=number, **TAIL)
    assert said == ["<inform>"] and talk.slot("outcome") == "opened" and not talk.form


def test_the_signed_in_customer_is_not_asked_who_she_is(signed_in):
    first = signed_in.say("加绒卫衣太大了 我要退", "request_return", product="加绒卫衣")
    assert first == ["<inform>"] and signed_in.slot("outcome") == "opened"


def test_which_order_is_asked_where_several_fit(signed_in, orders):
    first = signed_in.say("我要退货", "request_return")
    assert signed_in.form and "三层蒸锅" in first[0] and "加绒连帽卫衣" in first[0]
    assert "三层蒸锅" in signed_in.say("那个蒸锅", "provide_info")[0]  # although no article was recognised
    signed_in.say("锅底漏水", "complain_product")
    assert signed_in.slot("outcome") == "opened" and signed_in.slot("order_id") == orders["三层蒸锅"]


def test_the_rules_refuse_before_a_reason_is_asked(signed_in, orders):
    number = orders["静音破壁机"]
    assert signed_in.say(f"{number} 我要退货", "request_return", order_id=number) == ["<inform>"]
    assert signed_in.slot("outcome") == "refused" and "还没签收" in signed_in.slot("facts")["policy"]


def test_a_wrong_tail_is_said_and_given_up_after_three(talk, orders):
    number = orders["加绒连帽卫衣"]
    talk.say("我要退货", "request_return")
    talk.say(number, "provide_info", order_id=number)
    said = [talk.say(t, "provide_info", phone_tail=t)[0] for t in ("1111", "2222")]
    assert all("对不上" in text for text in said) and talk.form
    assert talk.say("3333", "provide_info", phone_tail="3333") == ["<inform>"]
    assert not talk.form and talk.slot("outcome") == "not_found" and "hotline" in talk.slot("facts")


@pytest.mark.parametrize(
    ("text", "intent"), [("算了 我自己弄吧", "deny"), ("不退了", "cancel_order"), ("拜拜", "goodbye")]
)
def test_dropping_the_matter_is_met_politely(talk, text, intent):
    talk.say("我要退货", "request_return")
    said = talk.say(text, intent)
    assert not talk.form and len(said) == 1 and "先不办" in said[0]
    assert talk.actions[-2:] == ["action_submit_service", "action_listen"] and talk.slot("topic") is None
    assert talk.say("在吗", "greet") == ["<inform>"]


def test_another_question_is_answered_and_the_form_asks_again_at_most_twice(talk):
    talk.say("我要退货", "request_return")
    answers = [talk.say("运费谁出啊", "ask_return_policy") for _ in range(4)]
    assert [len(a) for a in answers] == [2, 2, 1, 1]
    assert all(a[0] == "<inform>" for a in answers) and talk.form
    assert "订单号" in answers[0][1] and answers[0][1] != answers[1][1]


def test_the_form_takes_the_answer_after_a_digression(talk, orders):
    number = orders["加绒连帽卫衣"]
    talk.say("我要退货", "request_return")
    talk.say("运费谁出啊", "ask_return_policy")
    assert "后四位" in talk.say(number, "provide_info", order_id=number)[0]


def test_a_business_question_inside_the_form_leaves_its_order_alone(signed_in, orders):
    signed_in.say("卫衣 我要退", "request_return", product="卫衣")
    assert signed_in.form and signed_in.slot("requested_slot") == "reason"
    said = signed_in.say("我那个耳机的退款到哪了", "ask_refund_status", product="耳机")
    assert signed_in.actions[0] == "action_check_refund" and len(said) == 2
    signed_in.say("太大了", "provide_info")
    assert signed_in.slot("outcome") == "opened" and signed_in.slot("order_id") == orders["加绒连帽卫衣"]


def test_a_reason_told_before_the_order_is_kept(signed_in, orders):
    signed_in.say("我要退货", "request_return")
    assert "三层蒸锅" in signed_in.say("穿着太大了", "provide_info")[0]
    assert signed_in.say("卫衣", "provide_info", product="卫衣") == ["<inform>"]
    assert signed_in.slot("outcome") == "opened" and signed_in.slot("order_id") == orders["加绒连帽卫衣"]


def test_a_question_about_faults_is_no_reason(signed_in):
    signed_in.say("卫衣 我要退", "request_return", product="卫衣")
    assert len(signed_in.say("质量问题的话运费谁出", "ask_return_policy")) == 2 and signed_in.form


def test_changing_her_mind_from_return_to_exchange(signed_in):
    signed_in.say("卫衣 我要退", "request_return", product="卫衣")
    signed_in.say("还是换大一码吧", "request_exchange")
    assert signed_in.slot("outcome") == "opened" and "exchange_id" in signed_in.slot("facts")


def test_asking_for_a_person_inside_the_form_hands_over(talk):
    talk.say("我要退货", "request_return")
    assert talk.say("转人工", "contact_human") == ["<inform>"]
    assert not talk.form and talk.slot("handed_over") is True and talk.slot("outcome") == "handed_over"
    assert {"hotline", "hours", "ticket_id"} <= set(talk.slot("new_facts"))


def test_an_answer_that_gives_nothing_is_helped_along(talk):
    talk.say("我要退货", "request_return")
    assert "我的订单" in talk.say("找不到在哪看", "provide_info")[0]
    talk.say("好的", "affirm")
    assert talk.say("还是没找到", "provide_info") == ["<inform>"] and not talk.form


def test_feedback_that_is_clicked_is_silent_even_inside_the_form(talk, orders, loaded):
    talk.say("我要退货", "request_return")
    reply = next(e for e in reversed(talk.tracker.events) if isinstance(e, BotUttered)).metadata["message_id"]
    payload = json.dumps({"message_id": reply, "thumb": "up"})
    assert talk.say(f"/give_feedback{payload}", "give_feedback", message_id=reply, thumb="up") == []
    assert talk.form and talk.slot("requested_slot") == "order_id"
    number = orders["加绒连帽卫衣"]
    assert "后四位" in talk.say(number, "provide_info", order_id=number)[0]
    with loaded.shop.session() as session:
        from kefu.shop.models import Feedback

        row = session.get(Feedback, 1)
        assert (row.message_id, row.thumb, row.strategy, row.source) == (reply, "up", "verify_identity", "template")


def test_typed_feedback_is_answered(talk):
    talk.say("在吗", "greet")
    assert talk.say("讲得很清楚", "give_feedback") == ["<inform>"]
    assert talk.slot("outcome") == "recorded"


def test_a_database_that_fails_leaves_the_customer_with_an_answer(talk, loaded, caplog):
    from actions import resources

    class Broken:
        def session(self):
            raise OSError("disk on fire")

    resources.shop.put(Broken())
    assert talk.say("快递到哪了", "track_delivery") == ["<inform>"]
    assert talk.slot("outcome") == "none" and "disk on fire" in caplog.text
    assert talk.say("我要退货", "request_return") == ["<inform>"] and not talk.form
    assert talk.say("转人工", "contact_human") == ["<inform>"]
