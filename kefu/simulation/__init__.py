"""Simulated customers, to play strategies against. A model of customers, not customers: see docs/simulation.md.

>>> world = make_world(read_behaviour(), dialogues, examples, model)
>>> compare(world, model, Plan(dialogues=2000, seed=1))["policies"]["learned"]["resolved"]
"""

from kefu.simulation.behaviour import Behaviour, read_behaviour
from kefu.simulation.compare import Plan, compare, make_world
from kefu.simulation.loading import load_strategy
from kefu.simulation.play import Decision, Played, World
from kefu.simulation.policies import Always, Each, Exploring, Learned, Offer, Policy, Prior

__all__ = [
    "Always",
    "Behaviour",
    "Decision",
    "Each",
    "Exploring",
    "Learned",
    "Offer",
    "Plan",
    "Played",
    "Policy",
    "Prior",
    "World",
    "compare",
    "load_strategy",
    "make_world",
    "read_behaviour",
]
