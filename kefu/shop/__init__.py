"""The shop: orders, parcels, refunds, requests and tickets, and what may be said and done about them.

>>> shop = Shop(settings().database).create_all()
>>> with shop.session() as session:
...     check_order(session, Claim(order_id="202611187427910944", topic="track_delivery"), now()).facts
"""

from __future__ import annotations

from kefu.shop.access import Claim, Finding, Located, locate
from kefu.shop.changes import cancel_order, check_account, check_invoice, modify_order, protect_price, urge
from kefu.shop.database import Shop
from kefu.shop.feedback import About, record_feedback
from kefu.shop.lookups import check_order, facts_for, product_words
from kefu.shop.products import check_product, recommend
from kefu.shop.seeding import DEMO, seed, seeded_on
from kefu.shop.service import KINDS, TOPICS, find_open, judge, locate_for, open_request
from kefu.shop.terms import Terms, terms
from kefu.shop.tickets import add_note, check_ticket, complain, file_ticket, hand_over
from kefu.shop.wishes import fault, leaves
from kefu.shop.words import now

__all__ = [
    "DEMO",
    "KINDS",
    "TOPICS",
    "About",
    "Claim",
    "Finding",
    "Located",
    "Shop",
    "Terms",
    "add_note",
    "cancel_order",
    "check_account",
    "check_invoice",
    "check_order",
    "check_product",
    "check_ticket",
    "complain",
    "facts_for",
    "fault",
    "file_ticket",
    "find_open",
    "hand_over",
    "judge",
    "leaves",
    "locate",
    "locate_for",
    "modify_order",
    "now",
    "open_request",
    "product_words",
    "protect_price",
    "recommend",
    "record_feedback",
    "seed",
    "seeded_on",
    "terms",
    "urge",
]
