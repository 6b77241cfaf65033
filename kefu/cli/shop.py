"""The demo shop: fill it, look at an order, list the orders to try things with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kefu.shop import Shop
    from kefu.shop.models import Order

app = typer.Typer(no_args_is_help=True)
# What the demo customer might write about an order in this state, or whose parcel is in this state.
_SAY = {
    "unpaid": "这单怎么还是待付款",
    "paid": "今天能发吗 / 不想要了帮我取消",
    "delivering": "快递到哪了 / 快递员电话给我",
    "moving": "物流三天没动了 帮我催催",
    "station": "显示已签收？我没让放驿站啊",
    "delivered": "拆开有点大想退货 / 刚买就降价了退我差价",
    "refunding": "退款到哪一步了",
    "refunded": "钱退了吗",
    "cancelled": "都五天了钱怎么还没到",
}


def _open() -> Shop:
    from kefu.settings import settings
    from kefu.shop import Shop

    return Shop(settings().database).create_all()


@app.command()
def seed(
    number: Annotated[int, typer.Option("--seed", help="Another number makes other customers and orders.")] = 7,
    fresh: Annotated[
        bool, typer.Option(help="Throw the seeded customers, their orders and tickets away first.")
    ] = False,
) -> None:
    """Creates the tables and fills them: catalogue, customers, orders. Adds nothing to a shop that is filled."""
    from kefu.settings import settings
    from kefu.shop import Shop, now, seeded_on
    from kefu.shop import seed as fill

    shop = Shop(settings().database)
    counts = fill(shop, number, fresh=fresh)
    typer.echo(
        f"{counts['products']} products, {counts['customers']} customers, {counts['orders']} orders in {shop.url}"
    )
    with shop.session() as session:
        day = seeded_on(session)
    if day and day != f"{now():%Y-%m-%d}":
        typer.echo(f"The orders are dated relative to {day}; for dates relative to today: kefu shop seed --fresh")


@app.command()
def show(order_id: Annotated[str, typer.Argument(help="The 18 digits of an order.")]) -> None:
    """Prints all that the shop knows of an order."""
    from kefu.errors import NotFound
    from kefu.shop.models import Order

    with _open().session() as session:
        order = session.get(Order, order_id)
        if order is None:
            raise NotFound(f"There is no order {order_id!r}; the demo customer's orders: kefu shop demo")
        _print(order)


@app.command()
def demo() -> None:
    """Prints the demo customer's orders with what to try on each."""
    from kefu.errors import NotFound
    from kefu.shop import DEMO
    from kefu.shop.models import Customer

    with _open().session() as session:
        customer = session.get(Customer, DEMO)
        if customer is None:
            raise NotFound(f"There is no customer {DEMO!r} yet; fill the shop: kefu shop seed")
        typer.echo(f"{customer.name}，手机尾号 {customer.phone_tail}，已登录时不用报订单号\n")
        for order in customer.orders:
            typer.echo(_line(order))
            parcel = order.shipment.state if order.shipment else ""
            say = _SAY.get(order.state) or _SAY.get(parcel, "这单现在什么情况")
            typer.echo(f"{'':20}试试：{say}")


def _line(order: Order) -> str:
    from kefu.shop import now
    from kefu.shop.lookups import base

    facts = base(order, now())
    return f"{order.id}  {facts['order_state']}  {facts['product']}"


def _print(order: Order) -> None:
    from kefu.facts import names
    from kefu.shop import facts_for, now
    from kefu.shop.lookups import invoice, personal, price, requests

    current = now()
    facts = facts_for("ask_order_status", order, True, current)
    for section in (price, invoice, requests, personal):
        facts = facts | section(order, current)
    for key, text in facts.items():
        typer.echo(f"{names()[key]}：{text}")
