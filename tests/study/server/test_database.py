"""Databases are made once, and older ones are brought to the present tables and lose nothing on the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from next_release import NextRelease
from postgres import both
from scripted_listener import answer_all, ready

from study.store import database, schema
from study.store.store import Store, StoreError

DATA = Path(__file__).parent / "data"
_REVISIONS = tuple(f"{number:04d}" for number in range(database.FIRST_VERSION, database.VERSION + 2))
_NEWER = f"has schema {database.VERSION + 1}, this version reads {database.VERSION}; use the version that"
OPEN = """
import sys
from study.store.store import Store
store = Store(sys.argv[1])
print(len(store.answers()))
"""


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> NextRelease:
    return NextRelease(tmp_path_factory.mktemp("release") / "copy")


@pytest.fixture
def old(database_url) -> str:
    """A database as this release leaves it, with a listener's answers."""
    store = Store(database_url)
    ready(store)
    answer_all(store, "Ann")
    store.close()
    return database_url


def rows(url: str) -> dict[str, list[tuple[str, ...]]]:
    """Every row of every table as text, in the columns of this release, but for the version itself."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    contents = {}
    with engine.connect() as connection:
        for table in schema.metadata.sorted_tables:
            # As text: neither the driver nor SQLAlchemy may make a difference disappear.
            as_text = [sa.type_coerce(sa.cast(column, sa.Text), sa.Text) for column in table.columns]
            selected = connection.execute(sa.select(*as_text).order_by(*as_text)).all()
            contents[table.name] = [tuple(row) for row in selected if row[0] not in ("schema", *_REVISIONS)]
    engine.dispose()
    return contents


def shape(url: str) -> dict[str, list[str]]:
    """The tables of a database and their columns."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    inspector = sa.inspect(engine)
    columns = {
        name: [column["name"] for column in inspector.get_columns(name)]
        for name in inspector.get_table_names()
    }
    engine.dispose()
    return columns


@both
def test_processes_that_open_an_old_database_at_once_bring_it_up_once(old, release, tmp_path):
    before = rows(old)
    assert len(before["answer"]) == 7
    processes = [release.start(OPEN, old) for _ in range(3)]
    ended = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, ended
    assert {out for out, _ in ended} == {b"6\n"}
    assert rows(old) == before
    assert "novelty" in shape(old)["answer"]
    lines = b"".join(errors for _, errors in ended).decode().splitlines()
    copy = tmp_path / f"responses.version-{database.VERSION}.sqlite"
    if old.startswith("sqlite"):
        assert len(lines) == 1
        assert str(copy) in lines[0]
        assert rows(f"sqlite:///{copy}") == before
        assert "novelty" not in shape(f"sqlite:///{copy}")["answer"]
        assert copy.stat().st_mode & 0o077 == 0
    else:
        assert not lines
    with pytest.raises(StoreError, match=_NEWER):
        Store(old)


@both
def test_an_upgrade_that_fails_changes_nothing(old, tmp_path):
    release = NextRelease(tmp_path / "release")
    before, tables = rows(old), shape(old)
    whole = release.migration.read_text()
    broken = "    op.execute('UPDATE answer SET musicality = 1')\n"
    broken += "    raise sa.exc.OperationalError('', None, OSError('full'))\n"
    release.migration.write_text(whole + broken)
    failed = release.run(OPEN, old)
    assert failed.returncode == 1
    assert b"full" in failed.stderr
    assert (rows(old), shape(old)) == (before, tables)
    release.migration.write_text(whole)
    assert release.run(OPEN, old).stdout == b"6\n"
    assert rows(old) == before


def details(url: str) -> dict[str, object]:
    """Everything of the tables that SQLAlchemy reads back from a database."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    inspector = sa.inspect(engine)
    tables = {}
    for table in inspector.get_table_names():
        columns = {column["name"]: str(column) for column in inspector.get_columns(table)}
        keys = [inspector.get_pk_constraint(table)["constrained_columns"]]
        for read in (inspector.get_unique_constraints, inspector.get_foreign_keys, inspector.get_indexes):
            keys.append(sorted(map(str, read(table))))
        checks = inspector.get_check_constraints(table)
        tables[table] = (columns, keys, sorted(map(str, checks)))
    engine.dispose()
    return tables


@both
def test_the_tables_of_the_first_release_become_those_of_this_one(database_url, tmp_path):
    engine = sa.create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    first = (DATA / f"first_tables.{engine.dialect.name}.sql").read_text("utf-8")
    with engine.begin() as connection:
        for statement in filter(str.strip, first.split(";\n")):
            connection.exec_driver_sql(statement)
        connection.execute(schema.about.insert().values(name="schema", value="2"))
        connection.execute(schema.alembic_version.insert().values(version_num="0002"))
    engine.dispose()
    Store(database_url).close()
    upgraded = details(database_url)
    engine = sa.create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    schema.metadata.drop_all(engine)
    engine.dispose()
    Store(database_url).close()
    assert upgraded == details(database_url)


@both
def test_processes_that_make_a_database_at_once_make_it_once(database_url):
    command = [sys.executable, "-c", OPEN, database_url]
    opened = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    ended = [process.communicate(timeout=120) for process in opened]
    assert [process.returncode for process in opened] == [0] * 4, ended


@both
@pytest.mark.parametrize("what", ["revision", "schema", "before the first release"])
def test_a_database_of_another_version_is_refused_in_one_line_and_left_alone(database_url, what):
    store = Store(database_url)
    with store.engine.begin() as connection:
        if what == "revision":
            connection.execute(schema.alembic_version.update().values(version_num="0099"))
        elif what == "schema":
            connection.execute(
                schema.about.update().where(schema.about.c.name == "schema").values(value="99")
            )
        else:
            schema.alembic_version.drop(connection)
    store.close()
    tables = shape(database_url)
    with pytest.raises(StoreError, match="use the version that wrote it") as caught:
        Store(database_url)
    assert "\n" not in str(caught.value)
    assert shape(database_url) == tables


def test_the_newest_migration_is_the_one_that_fresh_databases_get(store):
    from alembic.script import ScriptDirectory

    head = ScriptDirectory(str(database.MIGRATIONS)).get_current_head()
    with database.reading(store.engine) as connection:
        assert connection.execute(sa.select(schema.alembic_version.c.version_num)).scalar() == head


def test_alembic_is_loaded_only_where_there_is_something_to_upgrade(tmp_path):
    code = OPEN + "assert not [name for name in sys.modules if name.startswith('alembic')]"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code, f"sqlite:///{tmp_path / 'x.sqlite'}"], check=True)
