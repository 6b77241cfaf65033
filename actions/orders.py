"""Business actions about orders and what has been bought. What each does is in actions/desk.py and kefu/shop."""

from __future__ import annotations

from actions.business import BusinessAction
from actions.desk import COMPLAINTS, PRODUCTS


class ActionCheckOrder(BusinessAction):
    """The order's state and payment."""

    action_name = "action_check_order"
    topics = ("ask_order_status", "payment_issue")


class ActionCheckLogistics(BusinessAction):
    """Where the parcel is, when it comes, the courier's phone."""

    action_name = "action_check_logistics"
    topics = ("track_delivery", "ask_delivery_time", "contact_courier")


class ActionUrgeDelivery(BusinessAction):
    """Urges the warehouse or the carrier."""

    action_name = "action_urge_delivery"
    topics = ("urge_delivery",)


class ActionCancelOrder(BusinessAction):
    """Cancels, intercepts, withdraws a request."""

    action_name = "action_cancel_order"
    topics = ("cancel_order",)


class ActionModifyOrder(BusinessAction):
    """Registers another address, phone or receiver."""

    action_name = "action_modify_order"
    topics = ("modify_order",)


class ActionCheckRefund(BusinessAction):
    """How far a refund is."""

    action_name = "action_check_refund"
    topics = ("ask_refund_status",)


class ActionCheckPriceProtection(BusinessAction):
    """Whether the price fell since, and the difference back."""

    action_name = "action_check_price_protection"
    topics = ("price_protection",)


class ActionCheckInvoice(BusinessAction):
    """The invoice's state, and its exchange."""

    action_name = "action_check_invoice"
    topics = ("request_invoice", "change_invoice")


class ActionCheckInstallation(BusinessAction):
    """When the fitter comes and what it costs."""

    action_name = "action_check_installation"
    topics = ("ask_installation",)


class ActionCheckAccount(BusinessAction):
    """Points and balance of a signed-in customer."""

    action_name = "action_check_account"
    topics = ("account_issue",)


class ActionCheckProduct(BusinessAction):
    """Price, stock and description of an article."""

    action_name = "action_check_product"
    topics = PRODUCTS


class ActionRecommendProduct(BusinessAction):
    """An article that suits."""

    action_name = "action_recommend_product"
    topics = ("ask_recommendation",)


class ActionOpenTicket(BusinessAction):
    """Files a complaint, or follows an open one up."""

    action_name = "action_open_ticket"
    topics = COMPLAINTS


class ActionCheckTicket(BusinessAction):
    """The state of a ticket or a request."""

    action_name = "action_check_ticket"
    topics = ("ask_service_ticket",)
