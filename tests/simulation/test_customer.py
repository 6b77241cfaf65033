"""What moves a customer which way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from kefu.errors import DataError, NotFound
from kefu.simulation import Behaviour, World, read_behaviour
from kefu.simulation.behaviour import VALENCE, shaken
from kefu.simulation.customer import Customer, Reader
from kefu.simulation.estimates import Estimates, Matter

REPAIR = Matter("request_repair", "neutral", True, 1, True, frozenset(), frozenset({"repair_id"}))
QUESTION = Matter("ask_usage", "neutral", False, 0, False, frozenset(), frozenset())


def customer(matter: Matter = QUESTION, emotion: str = "neutral", **state: object) -> Customer:
    made = Customer(matter, emotion, patience=50.0, details=matter.details)
    for name, value in state.items():
        setattr(made, name, value)
    return made


def after(world: World, strategies: list[str], n: int = 400, **state: object) -> list[Customer]:
    """Customers of one kind after one turn of the agent, each with chances of its own."""
    customers = [customer(**state) for _ in range(n)]  # type: ignore[arg-type]
    for seed, one in enumerate(customers):
        world.reader.react(one, strategies, np.random.default_rng(seed))
    return customers


def mood(customers: list[Customer]) -> float:
    return float(np.mean([VALENCE[c.emotion] for c in customers]))


def moved(world: World, missteps: list[str], settled: bool = False, **state: object) -> float:
    """Mean mood after a turn of ``inform`` with these missteps."""
    customers = [customer(**state) for _ in range(400)]  # type: ignore[arg-type]
    for seed, one in enumerate(customers):
        world.reader.move(one, ["inform"], missteps, settled, np.random.default_rng(seed))
    return mood(customers)


def solved(customers: list[Customer]) -> float:
    """Share that was helped, a further question counted as help with the first."""
    return float(np.mean([c.solved or c.questions > 0 for c in customers]))


def test_each_misstep_lowers_the_mood_and_help_raises_it(world: World, behaviour: Behaviour) -> None:
    plain = moved(world, [])
    for misstep in behaviour.worsens:
        assert moved(world, [misstep]) < plain, misstep
    assert moved(world, ["asked_again", "repeated"]) < moved(world, ["asked_again"])
    assert moved(world, [], settled=True) > plain


def test_anger_that_was_not_answered_stays_longer(world: World) -> None:
    assert moved(world, [], emotion="angry", soothed=True) > moved(world, [], emotion="angry")


def test_soothing_first_lets_an_angry_customer_take_the_answer(world: World) -> None:
    heard = solved(after(world, ["manage_emotion", "inform"], emotion="angry"))
    assert heard > solved(after(world, ["inform"], emotion="angry")) + 0.2
    assert solved(after(world, ["inform"])) > 0.8


def test_a_matter_needs_its_order_then_its_details(world: World) -> None:
    assert solved(after(world, ["resolve"], matter=REPAIR)) == 0
    unclear = solved(after(world, ["resolve"], matter=REPAIR, order_known=True))
    ready = solved(after(world, ["resolve"], matter=REPAIR, order_known=True, details=0))
    assert 0 < unclear < ready
    told = solved(after(world, ["inform"], matter=REPAIR, order_known=True, details=0))
    assert 0 < told < ready  # to be told is less than to have it done


def test_asking_for_the_order_helps_once_and_annoys_twice(world: World) -> None:
    asked = after(world, ["verify_identity"], matter=REPAIR)
    again = after(world, ["verify_identity"], matter=REPAIR, order_known=True)
    assert {c.says for c in asked} == {"order", "deny"}
    assert mood(again) < mood(asked)


def test_a_goodbye_before_the_end_drives_customers_away(world: World) -> None:
    early = after(world, ["thank_and_close"])
    assert any(c.gone for c in early)
    assert solved(early) == 0
    assert mood(early) < mood(after(world, ["manage_emotion"]))
    assert all(c.gone and c.solved for c in after(world, ["thank_and_close"], solved=True))


def test_repeating_what_brought_nothing_annoys(world: World) -> None:
    assert mood(after(world, ["other"], wasted={"other"})) < mood(after(world, ["other"]))


def test_anger_tires(world: World) -> None:
    calm, angry = after(world, ["other"]), after(world, ["other"], emotion="angry")
    assert np.mean([c.patience for c in angry]) < np.mean([c.patience for c in calm])
    assert all(c.gone for c in after(world, ["other"], patience=0.1))


def test_mood_rows_are_distributions_and_prefer_what_was_written(world: World) -> None:
    for rows in world.estimates.mood_after.values():
        assert np.allclose(rows.sum(1), 1.0)
        assert (rows >= 0).all()
    assert world.estimates.order_told > 0.8


def test_numbers_that_cannot_be_are_named(tmp_path: Path, behaviour: Behaviour) -> None:
    raw = yaml.safe_load((Path("kefu") / "simulation" / "customers.yml").read_text(encoding="utf-8"))
    file = tmp_path / "customers.yml"
    for change, told in (
        ({"relief": 1.5}, "'relief' must be a number from 0 to 1. But it was: 1.5"),
        ({"patience": {"least": 3}}, "'more' is missing"),
        ({"luck": 1}, "'luck' is not known"),
    ):
        file.write_text(yaml.safe_dump({**raw, **change}), encoding="utf-8")
        with pytest.raises(DataError, match=told.replace("(", r"\(")):
            read_behaviour(file)
    with pytest.raises(NotFound, match="nowhere"):
        read_behaviour(tmp_path / "nowhere.yml")


def test_shaken_numbers_stay_possible(behaviour: Behaviour) -> None:
    other = shaken(behaviour, 2.0, np.random.default_rng(1))
    assert other != behaviour
    assert all(0 <= v <= 1 for group in (other.helps, other.worsens, other.rating) for v in group.values())
    assert 0 <= other.relief <= 1 and other.most_questions == behaviour.most_questions
    assert shaken(behaviour, 0.0, np.random.default_rng(1)).helps == pytest.approx(behaviour.helps)


def test_stated_numbers_matter(world: World, behaviour: Behaviour) -> None:
    estimates: Estimates = world.estimates
    helpless = replace(behaviour, helps={**behaviour.helps, "inform_ready": 0.0})
    one = customer()
    Reader(helpless, estimates).react(one, ["inform"], np.random.default_rng(1))
    assert not one.solved and one.questions == 0
