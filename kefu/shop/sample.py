"""Sample orders: one order in a given situation, with its parcel, refund and invoice, dated relative to now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from kefu.shop import models as m
from kefu.shop.fitting import APPLIANCES
from kefu.shop.words import end_of_day

# Situations, each an order state or a finer one of the parcel.
SITUATIONS = (
    "unpaid",
    "paid",
    "moving",
    "delivering",
    "stalled",
    "signed",
    "station",
    "refunding",
    "refunded",
    "cancelled",
)
CHANNELS = ("微信零钱", "支付宝", "余额", "尾号3041储蓄卡", "尾号7718信用卡")
FREE_SHIPPING_FEN, SHIPPING_FEN, REMOTE_FEN, FAST_FEN = 5900, 600, 1500, 19900
REMOTE = ("新疆", "西藏", "内蒙古", "青海")


@dataclass(frozen=True)
class Place:
    """Where a customer lives, over which hub her parcels come and how many days they take."""

    province: str
    city: str
    hub: str
    days: int


PLACES = (
    Place("江苏", "苏州市", "苏州转运中心", 1),
    Place("江苏", "无锡市", "无锡转运中心", 1),
    Place("浙江", "杭州市", "杭州转运中心", 1),
    Place("上海", "上海市", "上海转运中心", 1),
    Place("安徽", "合肥市", "合肥转运中心", 2),
    Place("湖北", "武汉市", "武汉转运中心", 3),
    Place("河南", "郑州市", "郑州转运中心", 3),
    Place("四川", "成都市", "成都转运中心", 3),
    Place("广东", "广州市", "广州转运中心", 3),
    Place("福建", "厦门市", "厦门转运中心", 3),
    Place("陕西", "西安市", "西安转运中心", 3),
    Place("辽宁", "沈阳市", "沈阳转运中心", 4),
    Place("重庆", "重庆市", "重庆转运中心", 3),
    Place("新疆", "乌鲁木齐市", "乌鲁木齐转运中心", 6),
)
_COURTS = ("桂语里", "湖畔花园", "枫林苑", "锦绣家园", "梧桐里", "云栖小区", "春晓苑", "南苑新村")


def place_of(customer: m.Customer) -> Place:
    """The place of her province; the first of the list for a province without one."""
    return next((place for place in PLACES if customer.address.startswith(place.city)), PLACES[0])


def address_in(place: Place, rng: Random) -> str:
    """A made-up address."""
    return f"{place.city}{rng.choice(_COURTS)}{rng.randint(1, 28)}栋{rng.randint(1, 18)}0{rng.randint(1, 4)}"


@dataclass
class Maker:
    """Makes orders that have come into their situations by ``now``; the same random numbers make the same orders."""

    rng: Random
    now: datetime

    def order(
        self,
        customer: m.Customer,
        lines: list[tuple[m.Product, int]],
        situation: str,
        age: timedelta,
        paid_more: bool = False,
        channel: str = "",
    ) -> m.Order:
        """One order, placed ``age`` ago; ``paid_more`` takes the list price, so that today's price lies below it."""
        created = self.now - age
        order = m.Order(id=self._number(created), created_at=created, address=customer.address)
        order.channel = channel or self.rng.choice(CHANNELS)
        for product, quantity in lines:
            order.items.append(self._line(product, quantity, paid_more))
        self._amount(order, customer)
        customer.orders.append(order)
        order.state = m.UNPAID
        if situation != "unpaid":
            order.paid_at = created + timedelta(minutes=self.rng.randint(1, 9))
            order.state, order.ship_by = m.PAID, self._ship_by(order.paid_at)
        _STEPS[situation](self, order, place_of(customer))
        if order.paid_at:
            order.invoice = self._invoice(order)
        return order

    def _number(self, created: datetime) -> str:
        return f"{created:%Y%m%d}{self.rng.randrange(10**10):010d}"

    def _line(self, product: m.Product, quantity: int, paid_more: bool) -> m.OrderItem:
        chosen = [self.rng.choice(product.details[key]) for key in ("colors", "sizes") if product.details.get(key)]
        price = product.list_price_fen if paid_more and product.list_price_fen else product.price_fen
        return m.OrderItem(product=product, option=" ".join(chosen), quantity=quantity, price_fen=price)

    def _amount(self, order: m.Order, customer: m.Customer) -> None:
        goods = sum(item.price_fen * item.quantity for item in order.items)
        remote = REMOTE_FEN if customer.province in REMOTE else 0
        order.shipping_fen = remote or (0 if goods >= FREE_SHIPPING_FEN else SHIPPING_FEN)
        order.amount_fen = goods + order.shipping_fen

    def _ship_by(self, paid: datetime) -> datetime:
        """Paid before 16:00 goes out the same day, later the next."""
        return end_of_day(paid if paid.hour < 16 else paid + timedelta(days=1))

    def _invoice(self, order: m.Order) -> m.Invoice | None:
        if order.state in (m.CANCELLED, m.REFUNDED):
            return None
        issued = order.signed_at + timedelta(hours=20) if order.signed_at else None
        done = issued is not None and issued <= self.now
        return m.Invoice(state="done" if done else "waiting", issued_at=issued if done else None)

    def parcel(self, order: m.Order, place: Place, shipped: datetime, scans: int) -> m.Shipment:
        """Ships the order; the first ``scans`` scans of its way are known."""
        heavy = any(item.product.category == APPLIANCES or item.sku.startswith("QH-SX") for item in order.items)
        fast = heavy or order.amount_fen >= FAST_FEN
        number = f"SF{self.rng.randrange(10**13):013d}" if fast else f"78{self.rng.randrange(10**12):012d}"
        made = m.Shipment(carrier="顺丰" if fast else "中通", tracking_no=number, shipped_at=shipped)
        made.eta = end_of_day(shipped + timedelta(days=place.days))
        made.station = f"{place.city.removesuffix('市')}{self.rng.choice(('城南', '城东', '滨湖', '新区'))}网点"
        way = (
            ("包裹已从苏州仓发出", "苏州仓", timedelta()),
            ("到达苏州转运中心", "苏州转运中心", timedelta(hours=5)),
            (f"到达{place.hub}", place.hub, timedelta(hours=5 + 14 * place.days)),
            (f"到达{made.station}", made.station, timedelta(hours=9 + 15 * place.days)),
        )
        for text, location, after in way[:scans]:
            made.events.append(m.ShipmentEvent(at=shipped + after, text=text, location=location))
        order.shipment, order.state = made, m.SHIPPED
        return made

    def sign(self, order: m.Order, at: datetime, by: str) -> None:
        """The parcel is handed over."""
        assert order.shipment is not None
        order.state, order.shipment.state = m.SIGNED, m.DELIVERED
        order.shipment.signed_at, order.shipment.signed_by = at, by
        order.shipment.events.append(
            m.ShipmentEvent(at=at, text=f"已签收，签收人{by}", location=order.shipment.station)
        )

    def refund(self, order: m.Order, kind: str, state: str, at: datetime) -> m.Refund:
        """Money on its way back."""
        made = m.Refund(kind=kind, state=state, amount_fen=order.amount_fen, channel=order.channel, requested_at=at)
        order.refunds.append(made)
        return made


def _paid(maker: Maker, order: m.Order, place: Place) -> None:
    """Nothing further has happened."""


def _moving(maker: Maker, order: m.Order, place: Place) -> None:
    assert order.paid_at is not None
    parcel = maker.parcel(order, place, order.paid_at + timedelta(hours=6), scans=4)
    parcel.events[:] = [event for event in parcel.events if event.at < maker.now - timedelta(minutes=20)]
    if parcel.eta and parcel.eta < maker.now + timedelta(hours=6):
        parcel.eta = end_of_day(maker.now + timedelta(days=1))


def _delivering(maker: Maker, order: m.Order, place: Place) -> None:
    _moving(maker, order, place)
    parcel = order.shipment
    assert parcel is not None
    started = max(
        maker.now - timedelta(hours=maker.rng.randint(1, 3), minutes=maker.rng.randint(0, 50)), parcel.shipped_at
    )
    parcel.events[:] = [event for event in parcel.events if event.at < started]
    parcel.events.append(m.ShipmentEvent(at=started, text="快递员正在派送", location=parcel.station))
    parcel.state, parcel.eta = m.DELIVERING, end_of_day(maker.now)
    if maker.now.hour < 17:
        parcel.eta = maker.now.replace(hour=20, minute=0, second=0)
    parcel.courier_phone = f"1370000{maker.rng.randrange(10**4):04d}"


def _stalled(maker: Maker, order: m.Order, place: Place) -> None:
    assert order.paid_at is not None
    parcel = maker.parcel(order, place, order.paid_at + timedelta(hours=6), scans=3)
    last = parcel.events[-1]
    last.at = min(last.at, maker.now - timedelta(hours=60 + maker.rng.randint(0, 20)))


def _signed(maker: Maker, order: m.Order, place: Place, by: str = "") -> None:
    assert order.paid_at is not None
    maker.parcel(order, place, order.paid_at + timedelta(hours=6), scans=4)
    at = order.paid_at + timedelta(
        hours=6 + 24 * place.days - maker.rng.randint(0, 4), minutes=maker.rng.randint(0, 59)
    )
    at = min(at.replace(hour=min(max(at.hour, 9), 20)), maker.now - timedelta(minutes=30))
    parcel = order.shipment
    assert parcel is not None
    parcel.events[:] = [event for event in parcel.events if event.at < at]
    maker.sign(order, at, by or maker.rng.choice(("本人", "本人", "家人", "物业代收")))
    if any(item.product.category == APPLIANCES for item in order.items):
        order.install_at = (at + timedelta(days=1)).replace(hour=10, minute=0, second=0)


def _station(maker: Maker, order: m.Order, place: Place) -> None:
    name = f"{maker.rng.choice(('小区东门', '小区南门', '枫林路'))}驿站"
    _signed(maker, order, place, by=name)
    assert order.shipment is not None
    order.shipment.state, order.shipment.station = m.STATION, name


def _refunding(maker: Maker, order: m.Order, place: Place) -> None:
    _signed(maker, order, place)
    made = maker.refund(order, "return", "inspecting", maker.now - timedelta(days=3))
    made.due_at = maker.now + timedelta(hours=30)
    order.state = m.REFUNDING
    reason = maker.rng.choice(("不想要了", "尺寸不合适", "用着有异响"))
    order.requests.append(m.ServiceRequest(kind="return", reason=reason, created_at=made.requested_at))


def _refunded(maker: Maker, order: m.Order, place: Place) -> None:
    _refunding(maker, order, place)
    made = order.refunds[-1]
    made.state, made.refunded_at = "done", maker.now - timedelta(days=maker.rng.randint(1, 4), hours=2)
    made.requested_at = made.refunded_at - timedelta(days=2)
    order.state = m.REFUNDED
    for request in order.requests:
        request.state = m.CLOSED


def _cancelled(maker: Maker, order: m.Order, place: Place) -> None:
    """Paid, cancelled before it was shipped, the money sent back."""
    assert order.paid_at is not None
    order.state, order.cancelled_at = m.CANCELLED, order.paid_at + timedelta(hours=2)
    made = maker.refund(order, "cancel", "done", order.cancelled_at)
    made.refunded_at = min(order.cancelled_at + timedelta(hours=8), maker.now - timedelta(minutes=20))


_STEPS = {
    "unpaid": _paid,
    "paid": _paid,
    "moving": _moving,
    "delivering": _delivering,
    "stalled": _stalled,
    "signed": _signed,
    "station": _station,
    "refunding": _refunding,
    "refunded": _refunded,
    "cancelled": _cancelled,
}
