"""The loop from customers' feedback to a better model.

>>> store = ReviewStore(settings().database)
>>> harvest(store, connect(tracker_url(Path("endpoints.yml")), "tracker_store", create=False), load_masker(folder))
>>> decide(store, item_id, Decision(intent="urge_delivery"), reviewer="李")
>>> write(gather(store, Path("data")), Path("var/feedback"))

kefu.feedback.retrain trains on the exports and promotes what is not worse; kefu.feedback.registry remembers the models.
"""

from kefu.feedback.database import connect, tracker_url
from kefu.feedback.export import Export, gather, write
from kefu.feedback.guard import Limits
from kefu.feedback.harvest import Harvest, harvest
from kefu.feedback.mask import Masked, Masker, load_masker
from kefu.feedback.novelty import trained_texts
from kefu.feedback.passages import read_passages
from kefu.feedback.review import Decision, check_label, decide
from kefu.feedback.store import ACCEPTED, CORRECTED, OPEN, SKIPPED, STATUSES, ReviewItem, ReviewStore
from kefu.feedback.urgency import reasons

__all__ = [
    "ACCEPTED",
    "CORRECTED",
    "OPEN",
    "SKIPPED",
    "STATUSES",
    "Decision",
    "Export",
    "Harvest",
    "Limits",
    "Masked",
    "Masker",
    "ReviewItem",
    "ReviewStore",
    "check_label",
    "connect",
    "decide",
    "gather",
    "harvest",
    "load_masker",
    "read_passages",
    "reasons",
    "tracker_url",
    "trained_texts",
    "write",
]
