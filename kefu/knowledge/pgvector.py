"""The passages' vectors in PostgreSQL with the extension pgvector: several servers share what one has embedded."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kefu.errors import SettingsError
from kefu.knowledge.vectors import Numbers, Vectors

_MEND = "Set KEFU_KNOWLEDGE_STORE to memory, or install pgvector there (apt.postgresql.org: postgresql-NN-pgvector)."


class PgVectors:
    """A table of unit vectors, searched exactly: for some thousand passages an approximate index would gain nothing.

    Each state of the knowledge has its own rows, named by the digest of its texts and its encoder, so that a server
    that still runs on an older state keeps its answers; what no server has loaded for a month is deleted.
    """

    def __init__(self, url: str, digest: str, vectors: Vectors, owners: npt.NDArray[np.int64], passages: int) -> None:
        """Writes the vectors, unless the table has them.

        Args:
            vectors: (vectors, dimension), unit length.
            owners: (vectors,), the passage of each, counted from 0 to below ``passages``.

        Raises:
            SettingsError: ``url`` is no PostgreSQL that can be reached, or has no pgvector.
        """
        import sqlalchemy as sa
        from sqlalchemy.exc import SQLAlchemyError

        if not url.startswith("postgresql"):
            kind = url.partition(":")[0]
            raise SettingsError(f"Setting 'KEFU_KNOWLEDGE_STORE' has value 'pgvector': {kind} has none. {_MEND}")
        self._digest, self._passages = digest, passages
        self._engine = sa.create_engine(url, pool_pre_ping=True)
        meta = sa.MetaData()
        self._states = sa.Table(
            "kefu_knowledge_states",
            meta,
            sa.Column("digest", sa.String(64), primary_key=True),
            sa.Column("loaded", sa.DateTime(timezone=True), nullable=False),
        )
        state = sa.ForeignKey("kefu_knowledge_states.digest", ondelete="CASCADE")
        self._table = sa.Table(
            "kefu_knowledge_vectors",
            meta,
            sa.Column("digest", sa.String(64), state, primary_key=True),
            sa.Column("number", sa.Integer, primary_key=True),
            sa.Column("passage", sa.Integer, nullable=False),
            sa.Column("vector", _vector_type(), nullable=False),
        )
        try:
            self._fill(meta, vectors, owners)
        except SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise SettingsError(f"Setting 'KEFU_KNOWLEDGE_STORE' has value 'pgvector': {cause}. {_MEND}") from None

    def _fill(self, meta: Any, vectors: Vectors, owners: npt.NDArray[np.int64]) -> None:
        import sqlalchemy as sa

        with self._engine.begin() as connection:
            # Servers that start together fill one after the other.
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('kefu_knowledge'))"))
            connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS vector"))
            meta.create_all(connection)
            states = self._states
            connection.execute(states.delete().where(states.c.loaded < sa.text("now() - interval '30 days'")))
            known = states.c.digest == self._digest
            if connection.execute(states.update().where(known).values(loaded=sa.func.now())).rowcount:
                return
            connection.execute(states.insert().values(digest=self._digest, loaded=sa.func.now()))
            rows = [
                {"digest": self._digest, "number": number, "passage": int(owner), "vector": vector}
                for number, (owner, vector) in enumerate(zip(owners, vectors))
            ]
            connection.execute(self._table.insert(), rows)

    def cosines(self, query: Vectors) -> tuple[Numbers, Numbers]:
        """See VectorStore."""
        import sqlalchemy as sa

        table = self._table
        cosine = 1 - table.c.vector.op("<=>", return_type=sa.Float())(sa.literal(query, _vector_type()))
        wanted = (
            sa.select(table.c.passage, sa.func.max(cosine), sa.func.avg(cosine))
            .where(table.c.digest == self._digest)
            .group_by(table.c.passage)
        )
        nearest, mean = np.full(self._passages, -1.0), np.full(self._passages, -1.0)
        with self._engine.connect() as connection:
            for passage, largest, average in connection.execute(wanted):
                nearest[passage], mean[passage] = largest, average
        return nearest, mean


def _vector_type() -> Any:
    """pgvector's type as a column; its Python package asks for SQLAlchemy 2."""
    from sqlalchemy.types import UserDefinedType

    class Vector(UserDefinedType):  # type: ignore[misc]
        cache_ok = True

        def get_col_spec(self, **_: Any) -> str:
            return "vector"

        def bind_processor(self, dialect: Any) -> Any:
            return lambda values: "[" + ",".join(f"{value:.7g}" for value in values) + "]"

        def bind_expression(self, bindvalue: Any) -> Any:
            import sqlalchemy as sa

            return sa.cast(bindvalue, self)

    return Vector()
