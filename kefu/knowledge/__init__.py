"""What the shop knows, in passages, and finding the ones that answer a message."""

from kefu.knowledge.passage import Passage
from kefu.knowledge.retriever import Hit, Retriever
from kefu.knowledge.sources import read_passages

__all__ = ["Hit", "Passage", "Retriever", "read_passages"]
