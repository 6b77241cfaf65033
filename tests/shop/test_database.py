"""Opening databases, transactions, the terms."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.schema import CreateTable

from kefu.errors import DataError, NotFound, SettingsError
from kefu.shop import Shop
from kefu.shop import models as m
from kefu.shop.tables import mapper
from kefu.shop.terms import read_terms

TERMS = Path(__file__).parents[2] / "data" / "shop" / "shop.yml"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("not a url", "not a database URL"),
        ("nosuchthing://host/db", "knows no such database"),
        ("sqlite:////dev/null/kefu.db", "KEFU_DATABASE_URL"),
    ],
)
def test_a_bad_url_names_the_setting(url, says):
    with pytest.raises(SettingsError, match=says):
        Shop(url).create_all()


def test_an_unreachable_server_is_named_without_its_password():
    pytest.importorskip("psycopg2")
    with pytest.raises(SettingsError, match="cannot be used") as raised:
        Shop("postgresql://someone:sesame@127.0.0.1:1/kefu").create_all()
    assert "sesame" not in str(raised.value)


def test_sqlite_is_set_up_for_several_processes(tmp_path):
    shop = Shop(f"sqlite:///{tmp_path}/deep/kefu.db").create_all()
    with shop.session() as session:
        pragmas = {p: session.execute(sa.text(f"PRAGMA {p}")).scalar() for p in ("journal_mode", "foreign_keys")}
        assert pragmas == {"journal_mode": "wal", "foreign_keys": 1}
        assert session.execute(sa.text("PRAGMA busy_timeout")).scalar() > 0
    shop.close()


def test_a_failing_block_is_rolled_back(shop):
    with pytest.raises(RuntimeError), shop.session() as session:
        session.add(m.Note("a", "b"))
        session.flush()
        raise RuntimeError
    with shop.session() as session:
        assert session.get(m.Note, "a") is None


def test_threads_share_a_shop(tmp_path):
    shop = Shop(f"sqlite:///{tmp_path}/kefu.db").create_all()

    def write(number: int) -> None:
        with shop.session() as session:
            session.add(m.Note(str(number), "x"))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with shop.session() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(m.Note)) == 8
    shop.close()


def test_a_database_of_an_earlier_version_gets_the_new_columns(tmp_path):
    shop = Shop(f"sqlite:///{tmp_path}/kefu.db").create_all()
    with shop.session() as session:
        session.add(m.Note("kept", "yes"))
        session.execute(sa.text("ALTER TABLE feedback DROP COLUMN target"))
    shop.create_all()
    with shop.session() as session:
        assert session.scalars(sa.select(m.Feedback)).all() == [] and session.get(m.Note, "kept")
        session.execute(sa.text("ALTER TABLE orders DROP COLUMN amount_fen"))
    with pytest.raises(SettingsError, match="'amount_fen'"):
        shop.create_all()
    shop.close()


@pytest.mark.parametrize("dialect", [postgresql.dialect(), mysql.dialect()], ids=["postgresql", "mysql"])
def test_the_tables_suit_other_databases(dialect):
    for table in mapper.metadata.sorted_tables:
        assert table.name in str(CreateTable(table).compile(dialect=dialect))


def test_the_shops_own_terms():
    terms = read_terms(TERMS)
    assert (terms.return_days, terms.quality_days, terms.hours) == (7, 15, "9:00-22:00")
    assert all("{" not in text for text in terms.policies.values())
    with pytest.raises(DataError, match="'free_lunch'"):
        terms.policy("free_lunch")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("return_days: 7 ", "return_days: seven ", "'return_days' has value 'seven'"),
        ("return_days: 7 ", "", "'return_days' is missing"),
        ("return_days: 7 ", "lunch: 1\n  return_days: 7 ", "'lunch' is not known"),
        ("{return_days}天", "{weeks}周", "weeks"),
        ("policies:", "rules:", "'policies'"),
    ],
)
def test_broken_terms_are_refused(tmp_path, old, new, says):
    file = Path(shutil.copy(TERMS, tmp_path))
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(DataError, match=says):
        read_terms(file)


def test_missing_terms_name_the_setting(tmp_path):
    with pytest.raises(NotFound, match="KEFU_DATA_DIR"):
        read_terms(tmp_path / "shop.yml")
