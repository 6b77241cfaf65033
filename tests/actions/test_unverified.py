"""A form that ends because the order was never found says which of the reasons it was."""

from __future__ import annotations

import pytest

from actions.after_sales import ActionSubmitService
from kefu.shop import terms


@pytest.mark.parametrize(
    ("said", "order_id", "policy"),
    [
        ("好的", None, "no_order_number"),
        ("单号202611180000000000", None, "no_such_order"),
        ("尾号0000", "202611187427910944", "mismatch"),
    ],
)
def test_what_was_missing_is_named(run, tracker, said, order_id, policy):
    earlier = {"event": "user", "text": said, "parse_data": {"intent": {"name": "provide_info"}}}
    slots = {"service": "return", "form_end": "unverified", "order_id": order_id}
    found, _, _ = run(ActionSubmitService.action_name, tracker("嗯", "affirm", slots=slots, events=[earlier]))
    assert found["outcome"] == "not_found" and found["facts"]["policy"] == terms().policy(policy)
