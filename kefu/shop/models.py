"""The shop's tables. Amounts are in fen (分), times in China time without tzinfo."""

# ruff: noqa: RUF009 -- the field functions make a new column at each call, as dataclasses.field does
from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kefu.shop.tables import KEY, column, many, mapper, moment, number, one, reference, string, whole

# Order states.
UNPAID, PAID, SHIPPED, SIGNED = "unpaid", "paid", "shipped", "signed"
REFUNDING, REFUNDED, CANCELLED = "refunding", "refunded", "cancelled"
ORDER_STATES = (UNPAID, PAID, SHIPPED, SIGNED, REFUNDING, REFUNDED, CANCELLED)
# Shipment states.
MOVING, DELIVERING, STATION, DELIVERED, RETURNING = "moving", "delivering", "station", "delivered", "returning"
OPEN, CLOSED, WITHDRAWN = "open", "closed", "withdrawn"
_LETTERS = {"return": "R", "exchange": "E", "refund": "F", "repair": "W"}


@mapper.mapped
@dataclass(eq=False)
class Product:
    """An article of the catalogue, as data/shop/products.yml describes it; ``details`` holds its texts."""

    __tablename__ = "products"
    __sa_dataclass_metadata_key__ = KEY

    sku: str = string(32, primary_key=True)
    name: str = string(80)
    category: str = string(20)
    price_fen: int = whole()
    list_price_fen: int | None = column(sa.Integer)
    stock: int = whole()
    restock_date: str | None = column(sa.String(20))
    warranty: str = string(60)
    aliases: list[str] = field(default_factory=list, metadata={KEY: sa.Column(sa.JSON, nullable=False)})
    details: dict[str, Any] = field(default_factory=dict, metadata={KEY: sa.Column(sa.JSON, nullable=False)})

    @property
    def spoken(self) -> str:
        """The name without the house brand in front."""
        return self.name.removeprefix("青禾")


@mapper.mapped
@dataclass(eq=False)
class Customer:
    """A customer. ``id`` is what the shop's own login calls her; ``demo`` is the one to try things with."""

    __tablename__ = "customers"
    __sa_dataclass_metadata_key__ = KEY

    id: str = string(40, primary_key=True)
    name: str = string(20)
    phone: str = string(20)
    province: str = string(20)
    address: str = string(120)
    level: str = string(10, "普通")
    points: int = whole()
    balance_fen: int = whole()
    seeded: bool = column(sa.Boolean, default=False, nullable=False)
    orders: list[Order] = many("Order", back_populates="customer")

    @property
    def phone_tail(self) -> str:
        """The last four digits of the phone."""
        return self.phone[-4:]


@mapper.mapped
@dataclass(eq=False)
class Order:
    """An order. ``id`` has 18 digits: the date and ten random ones. ``tail_failures`` counts wrong phone tails."""

    __tablename__ = "orders"
    __sa_dataclass_metadata_key__ = KEY

    id: str = string(18, primary_key=True)
    customer_id: str = reference("customers.id", 40)
    state: str = string(12, UNPAID, index=True)
    created_at: datetime = moment(nullable=False)
    paid_at: datetime | None = moment()
    ship_by: datetime | None = moment()
    cancelled_at: datetime | None = moment()
    amount_fen: int = whole()
    shipping_fen: int = whole()
    channel: str = string(30)
    address: str = string(120)
    install_at: datetime | None = moment()
    price_protected_at: datetime | None = moment()
    tail_failures: int = whole()
    tail_failed_at: datetime | None = moment()
    customer: Customer = one("Customer", back_populates="orders")
    items: list[OrderItem] = many("OrderItem", back_populates="order", lazy="selectin")
    shipment: Shipment | None = one("Shipment", back_populates="order", cascade="all, delete-orphan", lazy="selectin")
    refunds: list[Refund] = many("Refund", back_populates="order", order_by="Refund.id", lazy="selectin")
    requests: list[ServiceRequest] = many("ServiceRequest", back_populates="order", order_by="ServiceRequest.id")
    tickets: list[Ticket] = many("Ticket", back_populates="order", order_by="Ticket.id")
    invoice: Invoice | None = one("Invoice", back_populates="order", cascade="all, delete-orphan")

    @property
    def signed_at(self) -> datetime | None:
        """When the parcel was signed for."""
        return self.shipment.signed_at if self.shipment else None


@mapper.mapped
@dataclass(eq=False)
class OrderItem:
    """One line of an order, at the price paid for it."""

    __tablename__ = "order_items"
    __sa_dataclass_metadata_key__ = KEY

    id: int = number()
    order_id: str = reference("orders.id", 18)
    sku: str = reference("products.sku", 32)
    option: str = string(40)
    quantity: int = whole(1)
    price_fen: int = whole()
    order: Order = one("Order", back_populates="items")
    product: Product = one("Product", lazy="joined")


@mapper.mapped
@dataclass(eq=False)
class Shipment:
    """The parcel of an order."""

    __tablename__ = "shipments"
    __sa_dataclass_metadata_key__ = KEY

    id: int = number()
    order_id: str = reference("orders.id", 18)
    carrier: str = string(20)
    tracking_no: str = string(30)
    state: str = string(12, MOVING)
    shipped_at: datetime = moment(nullable=False)
    eta: datetime | None = moment()
    station: str = string(40)
    courier_phone: str = string(20)
    signed_at: datetime | None = moment()
    signed_by: str = string(40)
    order: Order = one("Order", back_populates="shipment")
    events: list[ShipmentEvent] = many("ShipmentEvent", order_by="ShipmentEvent.at", lazy="selectin")


@mapper.mapped
@dataclass(eq=False)
class ShipmentEvent:
    """One scan of a parcel."""

    __tablename__ = "shipment_events"
    __sa_dataclass_metadata_key__ = KEY

    id: int = number()
    shipment_id: int = column(sa.Integer, sa.ForeignKey("shipments.id"), nullable=False, index=True, init=False)
    at: datetime = moment(nullable=False)
    text: str = string(120)
    location: str = string(40)


@mapper.mapped
@dataclass(eq=False)
class Refund:
    """Money on its way back.

    Kind is cancel, return, refund or price; state is requested, returning, inspecting or done.
    """

    __tablename__ = "refunds"
    __sa_dataclass_metadata_key__ = KEY

    id: int = number()
    order_id: str = reference("orders.id", 18)
    kind: str = string(10)
    state: str = string(12, "requested")
    amount_fen: int = whole()
    channel: str = string(30)
    requested_at: datetime = moment(nullable=False)
    due_at: datetime | None = moment()
    refunded_at: datetime | None = moment()
    order: Order = one("Order", back_populates="refunds")


@mapper.mapped
@dataclass(eq=False)
class ServiceRequest:
    """A request after the sale: kind is return, exchange, refund or repair; state is open, closed or withdrawn."""

    __tablename__ = "service_requests"
    __sa_dataclass_metadata_key__ = KEY

    id: int = number()
    order_id: str = reference("orders.id", 18)
    kind: str = string(10)
    state: str = string(10, OPEN)
    reason: str = string(200)
    fault: bool = column(sa.Boolean, default=False, nullable=False)
    created_at: datetime = moment(nullable=False)
    order: Order = one("Order", back_populates="requests")

    @property
    def code(self) -> str:
        """The number a customer is told: R50012 for a return, E exchange, F refund, W repair."""
        return f"{_LETTERS[self.kind]}{50000 + self.id}"


@mapper.mapped
@dataclass(eq=False)
class Ticket:
    """A matter for a human agent; ``kind`` is the topic (an intent's name), ``notes`` its follow-ups, oldest first."""

    __tablename__ = "tickets"
    __sa_dataclass_metadata_key__ = KEY

    id: int = number()
    kind: str = string(40)
    state: str = string(10, OPEN, index=True)
    sender_id: str = string(255, index=True)
    customer_id: str | None = reference("customers.id", 40, nullable=True)
    order_id: str | None = reference("orders.id", 18, nullable=True)
    summary: str = field(default="", metadata={KEY: sa.Column(sa.Text, nullable=False)})
    notes: list[str] = field(default_factory=list, metadata={KEY: sa.Column(sa.JSON, nullable=False)})
    created_at: datetime = moment(nullable=False)
    updated_at: datetime = moment(nullable=False)
    reply_by: datetime = moment(nullable=False)
    order: Order | None = one("Order", back_populates="tickets")

    @property
    def code(self) -> str:
        """The number a customer is told, such as T30012."""
        return f"T{30000 + self.id}"


@mapper.mapped
@dataclass(eq=False)
class Invoice:
    """The invoice of an order; state is waiting, done or exchanging."""

    __tablename__ = "invoices"
    __sa_dataclass_metadata_key__ = KEY

    id: int = number()
    order_id: str = reference("orders.id", 18)
    kind: str = string(20, "电子普通发票")
    state: str = string(12, "waiting")
    title: str = string(80, "个人")
    issued_at: datetime | None = moment()
    order: Order = one("Order", back_populates="invoice")


@mapper.mapped
@dataclass(eq=False)
class Feedback:
    """What a customer thinks of one reply; kind is thumb, rating, correction or comment, each at most once a reply.

    ``text`` holds a comment, her own words; ``target`` says what a correction is about: meaning or reply.
    """

    __tablename__ = "feedback"
    __table_args__ = (sa.UniqueConstraint("message_id", "sender_id", "kind", name="uq_feedback_once"),)
    __sa_dataclass_metadata_key__ = KEY

    id: int = number()
    message_id: str = string(128)
    sender_id: str = string(255, index=True)
    kind: str = string(12)
    thumb: str | None = column(sa.String(4))
    rating: int | None = column(sa.Integer)
    correction: str | None = column(sa.Text)
    text: str | None = column(sa.Text)
    target: str | None = column(sa.String(10))
    strategy: str | None = column(sa.String(30))
    probability: float | None = column(sa.Float)
    intent: str | None = column(sa.String(40))
    emotion: str | None = column(sa.String(20))
    source: str | None = column(sa.String(20))
    created_at: datetime = moment(nullable=False)


@mapper.mapped
@dataclass(eq=False)
class Note:
    """A value the shop remembers about itself, such as the day it was seeded on."""

    __tablename__ = "shop_notes"
    __sa_dataclass_metadata_key__ = KEY

    name: str = string(40, primary_key=True)
    value: str = string(200)
