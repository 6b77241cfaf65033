"""Summary reports of a period: what customers asked, how they felt, what they thought of the replies."""

from kefu.report.render import markdown, page
from kefu.report.summary import Period, moment_of, summarise

__all__ = ["Period", "markdown", "moment_of", "page", "summarise"]
