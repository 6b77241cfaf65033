"""The vectors in a real PostgreSQL that the test starts: the same answers as from memory."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from kefu.errors import SettingsError
from kefu.knowledge import Passage, Retriever
from kefu.knowledge.pgvector import PgVectors
from kefu.knowledge.vectors import MemoryVectors

PASSAGES = [
    Passage("refund", "退款多久到账", "退款退出后，储蓄卡要等银行入账。", ("ask_refund_status",), ("退款几天能到账",)),
    Passage("invoice", "发票在哪下载", "电子发票在订单详情里下载。", ("request_invoice",), ("发票怎么下载", "票呢")),
    Passage("courier", "默认发什么快递", "默认发中通，大件发顺丰。", ("ask_delivery_options",)),
]


def binaries() -> Path | None:
    """The folder of initdb and pg_ctl: of the PATH, else Debian's newest."""
    found = shutil.which("pg_ctl")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


def as_nobody() -> dict[str, object]:
    """PostgreSQL refuses to run as root."""
    return {"user": "nobody", "group": "nogroup"} if os.getuid() == 0 else {}


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server of its own, stopped at the end."""
    folder = binaries()
    if folder is None:
        pytest.skip("PostgreSQL is not installed")
    home = tmp_path_factory.mktemp("pg")
    if os.getuid() == 0:
        shutil.chown(home, "nobody", "nogroup")
        for parent in home.parents:  # pytest makes them for root alone
            if parent == Path("/tmp"):
                break
            parent.chmod(parent.stat().st_mode | 0o011)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": home, **as_nobody()}
    subprocess.run([folder / "initdb", "-D", home / "db", "-U", "kefu", "-A", "trust", "-N"], **quiet)
    options = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off"
    subprocess.run([folder / "pg_ctl", "-D", home / "db", "-w", "-l", home / "log", "-o", options, "start"], **quiet)
    try:
        yield f"postgresql://kefu@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([folder / "pg_ctl", "-D", home / "db", "-m", "immediate", "stop"], **quiet)


@pytest.fixture
def database(postgres: str) -> str:
    """The same, where it has pgvector."""
    with sa.create_engine(postgres).connect() as connection:
        names = connection.execute(sa.text("SELECT name FROM pg_available_extensions WHERE name = 'vector'")).all()
    if not names:
        pytest.skip("this PostgreSQL has no pgvector")
    return postgres


def test_a_search_finds_what_memory_finds(database, encoder):
    here, there = Retriever(PASSAGES, encoder), Retriever(PASSAGES, encoder, database=database)
    for query, intent in [("退款几天到账", "ask_refund_status"), ("发票下载", None), ("发顺丰吗", "ask_usage")]:
        one, other = here.hits(query, intent), there.hits(query, intent)
        assert [h.passage.id for h in one] == [h.passage.id for h in other]
        assert [h.score for h in one] == pytest.approx([h.score for h in other], abs=1e-5)
    assert here.hits("发票下载", None)


def test_each_state_of_the_knowledge_has_its_own_rows(database):
    generator = np.random.default_rng(1)
    vectors = generator.normal(size=(5, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    owners = np.array([0, 0, 1, 2, 2])
    first = PgVectors(database, "one", vectors, owners, 3)
    second = PgVectors(database, "two", vectors[::-1].copy(), owners, 3)
    PgVectors(database, "one", vectors, owners, 3)  # there already
    for store, kept in ((first, vectors), (second, vectors[::-1])):
        found, wanted = store.cosines(vectors[0]), MemoryVectors(kept, owners, 3).cosines(vectors[0])
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    with sa.create_engine(database).begin() as connection:
        count = sa.text("SELECT count(*) FROM kefu_knowledge_vectors WHERE digest IN ('one', 'two')")
        assert connection.execute(count).scalar() == 10
        connection.execute(sa.text("UPDATE kefu_knowledge_states SET loaded = now() - interval '31 days'"))
    PgVectors(database, "three", vectors, owners, 3)
    with sa.create_engine(database).begin() as connection:
        assert connection.execute(sa.text("SELECT digest FROM kefu_knowledge_states")).scalars().all() == ["three"]


def test_a_postgresql_without_pgvector_says_how_to_mend_it(postgres, encoder):
    with sa.create_engine(postgres).connect() as connection:
        there = connection.execute(sa.text("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")).all()
    if there:
        pytest.skip("this PostgreSQL has pgvector")
    with pytest.raises(SettingsError, match=r"'KEFU_KNOWLEDGE_STORE'.*memory"):
        Retriever(PASSAGES, encoder, database=postgres)


@pytest.mark.parametrize("url", ["sqlite:///a.db", "postgresql://kefu@127.0.0.1:1/none"])
def test_another_database_is_refused(url, encoder):
    with pytest.raises(SettingsError, match="'KEFU_KNOWLEDGE_STORE'"):
        Retriever(PASSAGES, encoder, database=url)
