"""Where the passages' vectors live and how near a query is to them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]


class VectorStore(Protocol):
    """Unit vectors, several to a passage."""

    def cosines(self, query: Vectors) -> tuple[Numbers, Numbers]:
        """Each passage's largest and mean cosine with the unit vector ``query``, (passages,) both."""


class MemoryVectors:
    """An array; for some thousand passages nothing is faster."""

    def __init__(self, vectors: Vectors, owners: npt.NDArray[np.int64], passages: int) -> None:
        """``vectors`` are (vectors, dimension), ``owners`` the passage of each, each passage with one at least."""
        self._vectors, self._owners, self._passages = vectors, owners, passages
        self._counts = np.bincount(owners, minlength=passages)

    def cosines(self, query: Vectors) -> tuple[Numbers, Numbers]:
        """See VectorStore."""
        found = (self._vectors @ query).astype(np.float64)
        nearest = np.full(self._passages, -1.0)
        np.maximum.at(nearest, self._owners, found)
        sums = np.bincount(self._owners, found, self._passages)
        return nearest, sums / np.maximum(self._counts, 1)
