"""Databases of version 1 are brought to the present tables, and lose nothing on the way."""

from __future__ import annotations

import datetime as dt
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from scripted_listener import answer_all

from study.store import migrating, schema
from study.store.store import Store, StoreError

both = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
DATA = Path(__file__).parent / "data"  # written by version 1 itself: its tables, and three listeners' answers
TABLES = ("about", "build", "listener", "trial", "answer", "revision", "final_answer", "play_event")
TABLES += ("unblinding",)


@pytest.fixture
def old(database_url, tmp_path) -> str:
    """The address of a database as version 1 left it."""
    source = tmp_path / "old.sqlite"
    with sqlite3.connect(source) as raw:
        raw.executescript((DATA / "version_1.sqlite.sql").read_text("utf-8"))
    if database_url.startswith("sqlite"):
        source.rename(database_url.removeprefix("sqlite:///"))
        return database_url
    _into_postgresql(source, database_url)
    return database_url


def _into_postgresql(source: Path, url: str) -> None:
    import psycopg

    with sqlite3.connect(source) as raw, psycopg.connect(url) as target:
        raw.row_factory = sqlite3.Row
        target.execute("SET TIME ZONE 'UTC'")
        target.execute((DATA / "version_1.postgresql.sql").read_text("utf-8"))
        for table in TABLES:
            for row in raw.execute(f"SELECT * FROM {table}").fetchall():
                values = dict(row) | ({"final": bool(row["final"])} if table == "revision" else {})
                places = ", ".join(["%s"] * len(values))
                columns = ", ".join(values)
                target.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", list(values.values()))
            if table not in ("about", "trial", "answer", "final_answer"):
                target.execute(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))")


def _rows(url: str) -> dict[str, list]:
    """Every row of the tables of version 1, as its bytes would be printed, with its columns of version 1."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    frozen = sa.MetaData()
    with engine.connect() as connection:
        found = {}
        for name in TABLES:
            table = sa.Table(name, frozen, autoload_with=connection)
            columns = [column for column in table.columns if column.name not in _NEW.get(name, ())]
            # As text: neither the driver nor SQLAlchemy may make a difference disappear.
            as_text = [sa.type_coerce(sa.cast(column, sa.Text), sa.Text) for column in columns]
            rows = connection.execute(sa.select(*as_text).order_by(*as_text)).all()
            found[name] = [tuple(row) for row in rows]
    engine.dispose()
    found["about"] = [row for row in found["about"] if row[0] not in ("schema", "database")]
    return found


_NEW = {
    "build": {"passes"},
    "listener": {"pilot"},
    "trial": {"phase"},
    "answer": {"phase", "confidence", "kept"},
}


def _shape(url: str) -> dict:
    """All that reflection tells of a database: columns, keys, constraints, indexes."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    inspector = sa.inspect(engine)
    found = {}
    for table in inspector.get_table_names():
        checks = inspector.get_check_constraints(table)
        found[table] = {
            "columns": {
                column["name"]: (str(column["type"]), column["nullable"], str(column["default"]))
                for column in inspector.get_columns(table)
            },
            "key": inspector.get_pk_constraint(table)["constrained_columns"],
            "foreign": _sorted(inspector.get_foreign_keys(table)),
            "unique": sorted(
                (one["column_names"], _own(one["name"])) for one in inspector.get_unique_constraints(table)
            ),
            "checks": sorted((one["name"], re.sub(r"\s+", " ", one["sqltext"])) for one in checks),
            "indexes": _sorted(inspector.get_indexes(table)),
        }
    engine.dispose()
    return found


def _own(name: str | None) -> str:
    return name or ""


def _sorted(things: list) -> list[str]:
    return sorted(str(sorted(thing.items(), key=str)) for thing in things)


@both
def test_an_upgraded_database_has_the_shape_of_a_fresh_one(old, database_url, tmp_path, request):
    Store(old).close()
    if old.startswith("sqlite"):
        fresh = f"sqlite:///{tmp_path / 'fresh.sqlite'}"
    else:
        import psycopg

        with psycopg.connect(old, autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS study_fresh")
            connection.execute("CREATE DATABASE study_fresh")
        fresh = re.sub(r"/study_[0-9a-f]+\?", "/study_fresh?", old)
    Store(fresh).close()
    upgraded, made = _shape(old), _shape(fresh)
    assert set(upgraded) == set(made) == set(schema.metadata.tables)
    for table in made:
        assert upgraded[table] == made[table]
    assert made["answer"]["checks"]
    assert len(made["listener"]["unique"]) == 2


@both
def test_answers_of_version_1_survive_byte_for_byte(old):
    before = _rows(old)
    store = Store(old)
    assert _rows(old) == before
    assert sum(len(rows) for rows in before.values()) > 60
    rows = store.answers()
    assert [row["listener"] for row in rows].count("Ann") == 8
    assert rows[0]["answered_at"].tzinfo is not None
    assert {row["kept"] for row in rows} == {False}
    assert [one.name for one in store.listeners()] == ["Ann", "Bo", "Cy"]
    assert {one.pilot for one in store.listeners()} == {False}
    bo = store.find(store.invite("Bo"))
    assert store.show(bo.id, bo.step.slot).fields["comment"] == "half"
    answer_all(store, "Bo")
    ready_again = store.find(store.invite("Bo"))
    assert ready_again.step.answered == ready_again.step.total == 8
    assert len(store.unblindings()) == 1
    store.close()


@both
def test_an_upgraded_database_refuses_what_a_fresh_one_refuses(old):
    store = Store(old)
    for values in ({"confidence": 6}, {"phase": "third"}, {"musicality": 11}, {"phase": "rating"}):
        with pytest.raises(sa.exc.IntegrityError), store.engine.begin() as connection:
            connection.execute(schema.answer.update().values(**values))
    with pytest.raises(sa.exc.IntegrityError), store.engine.begin() as connection:
        connection.execute(schema.trial.delete())
    store.close()


def test_an_old_file_is_kept_beside_and_named_in_one_line(tmp_path, capsys):
    file = tmp_path / "responses.sqlite"
    for expected in ("responses.version-1.sqlite", "responses.version-1-2.sqlite"):
        file.unlink(missing_ok=True)
        with sqlite3.connect(file) as raw:
            raw.executescript((DATA / "version_1.sqlite.sql").read_text("utf-8"))
        before = _rows(f"sqlite:///{file}")
        Store(f"sqlite:///{file}").close()
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert str(tmp_path / expected) in told
        assert _rows(f"sqlite:///{tmp_path / expected}") == before
        assert (tmp_path / expected).stat().st_mode & 0o077 == 0
    Store(f"sqlite:///{file}").close()
    assert capsys.readouterr().err == ""


_OPEN = """
import sys
from study.store.store import Store
store = Store(sys.argv[1])
print(len(store.answers()))
"""


@both
def test_processes_that_open_an_old_database_at_once_upgrade_it_once(old, tmp_path):
    command = [sys.executable, "-c", _OPEN, old]
    opened = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    told = [process.communicate(timeout=120) for process in opened]
    assert [process.returncode for process in opened] == [0] * 4, told
    assert {out for out, _ in told} == {b"10\n"}
    copies = list(tmp_path.glob("responses.version-1*.sqlite"))
    assert len(copies) == int(old.startswith("sqlite"))


@both
def test_processes_that_make_a_database_at_once_make_it_once(database_url):
    command = [sys.executable, "-c", _OPEN, database_url]
    opened = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    told = [process.communicate(timeout=120) for process in opened]
    assert [process.returncode for process in opened] == [0] * 4, told


@both
def test_an_upgrade_that_fails_changes_nothing(old, monkeypatch):
    before = _rows(old)

    def broken(connection: sa.Connection, found: str) -> None:
        connection.execute(sa.text("ALTER TABLE answer ADD COLUMN phase VARCHAR(8)"))
        connection.execute(sa.text("UPDATE answer SET musicality = 1"))
        raise sa.exc.OperationalError("ALTER", None, OSError("disk full"))

    with monkeypatch.context() as patched:
        patched.setattr(migrating, "_migrate", broken)
        with pytest.raises(StoreError, match="disk full"):
            Store(old)
    assert _rows(old) == before
    Store(old).close()
    assert _rows(old) == before


@both
@pytest.mark.parametrize("what", ["revision", "schema"])
def test_a_newer_database_is_refused_in_one_line_and_left_alone(database_url, what):
    store = Store(database_url)
    with store.engine.begin() as connection:
        if what == "revision":
            connection.execute(schema.alembic_version.update().values(version_num="0099"))
        else:
            connection.execute(
                schema.about.update().where(schema.about.c.name == "schema").values(value="99")
            )
    store.close()
    shape = _shape(database_url)
    with pytest.raises(StoreError, match="use the version that wrote it") as caught:
        Store(database_url)
    assert "\n" not in str(caught.value)
    assert _shape(database_url) == shape


def test_the_newest_migration_is_the_one_that_fresh_databases_get():
    from alembic.script import ScriptDirectory

    place = ScriptDirectory(str(Path(migrating.__file__).with_name("migrations")))
    assert place.get_current_head() == migrating.HEAD
    assert [one.revision for one in place.walk_revisions()][-1] == "0001"


def test_alembic_is_loaded_only_where_there_is_something_to_upgrade(tmp_path):
    code = _OPEN + "assert not [name for name in sys.modules if name.startswith('alembic')]"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code, f"sqlite:///{tmp_path / 'x.sqlite'}"], check=True)


def test_moments_of_version_1_are_still_utc(tmp_path):
    with sqlite3.connect(tmp_path / "responses.sqlite") as raw:
        raw.executescript((DATA / "version_1.sqlite.sql").read_text("utf-8"))
        written = raw.execute("SELECT min(answered_at) FROM answer").fetchone()[0]
    store = Store(f"sqlite:///{tmp_path / 'responses.sqlite'}")
    first = min(row["answered_at"] for row in store.answers(practice=True))
    assert first == dt.datetime.fromisoformat(written).replace(tzinfo=dt.UTC)
    store.close()
