"""The room's benchmarks bite: each finds what is planted for it; and small versions of them."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import sqlalchemy as sa

from study.store.schema import answer, revision
from tests.benchmarks import kills, promises, two_processes
from tests.benchmarks.served_study import ROOT, study_with
from tests.benchmarks.traffic_correlation import ALPHA, correlations
from tests.free_ports import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
]  # servers, databases and listeners share what there is of a machine


def clips(seed: int, **planted: float) -> list[dict[str, float]]:
    """Rows of forty clips of four listeners; `planted` adds a share of the truth to a feature."""
    dice = np.random.default_rng(seed)
    rows = []
    for at in range(40):
        truth = float(at % 2)
        row = {f"feature {number}": dice.normal() for number in range(20)} | {"always": 3.0}
        row |= {name: share * truth + dice.normal() for name, share in planted.items()}
        rows.append(row | {"truth": truth, "block": at // 10})
    return rows


def test_the_benchmarks_run_from_the_root_by_themselves():
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = "from tests.benchmarks import served_study, first_page; import tiny_study, postgres, driving"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True)
    assert told.returncode == 0, told.stderr[-500:]


def test_a_planted_correlation_is_found():
    tested = correlations(clips(1, leak=3.0), seed=1, permutations=999)
    assert tested["leak"][2] < ALPHA
    assert "always" not in tested
    assert [name for name, (_, _, holm) in tested.items() if holm < ALPHA] == ["leak"]


def test_where_nothing_leaks_the_alarm_is_as_rare_as_it_says():
    """Holm's correction keeps the chance of any false alarm at 5 %: 0 to 5 in 40 draws, but for 1 in 70."""
    alarms = 0
    for seed in range(40):
        tested = correlations(clips(seed), seed=seed, permutations=499)
        alarms += any(holm < ALPHA for _, _, holm in tested.values())
    assert alarms <= 5


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    """A study that two listeners have taken through the store: its database and what they were told."""
    from scripted_listener import ANSWER, WHOLE

    from study.store.protocol import Page
    from study.store.store import Store

    _, tokens, url = study_with(tmp_path_factory.mktemp("taken") / "study", 2, None)
    store, told, finals = Store(url), {}, set()
    for token in tokens:
        person = store.find(token)
        store.claim(person.id, "T")
        store.consent(person.id, "v1")
        store.sound_check(person.id, "headphones")
        while (person := store.find(token)).step.page not in (Page.FINAL, Page.DONE):
            if person.step.page is Page.PAUSE:
                store.begin_part(person.id, person.step.part)
                continue
            slot = person.step.slot
            store.show(person.id, slot)
            store.save(person.id, slot, tab="T", changes=ANSWER, listening=WHOLE, press=f"p{slot}")
            told |= {(token, slot, name): value for name, value in ANSWER.items()}
            finals.add((token, slot))
        store.save_final(person.id, tab="T", questions=["Why?"], texts={1: "so"}, finish=True)
    store.close()
    return url, set(tokens), told, finals


def test_a_whole_database_keeps_its_promises(taken):
    found = promises.look(*taken)
    assert found.kept, str(found)
    assert found.answers == len(taken[3]) == 10


def test_an_answer_that_is_gone_or_written_twice_is_found(taken, tmp_path):
    url, tokens, told, finals = taken
    source = sa.make_url(url).database
    copy = tmp_path / "copy.sqlite"
    with sa.create_engine(url).connect() as connection:
        connection.exec_driver_sql(f"VACUUM INTO '{copy}'")
    assert source != str(copy)
    engine = sa.create_engine(f"sqlite:///{copy}")
    with engine.begin() as connection:
        here = sa.and_(answer.c.listener_id == 1, answer.c.slot == 1)
        connection.execute(answer.update().where(here).values(musicality=9, revision=2))
        row = (
            connection.execute(sa.select(revision).where(revision.c.listener_id == 1, revision.c.slot == 2))
            .mappings()
            .one()
        )
        again = {name: row[name] for name in row if name != "id"} | {"revision": 2}
        connection.execute(revision.insert().values(**again))
    engine.dispose()
    found = promises.look(f"sqlite:///{copy}", tokens, told, finals)
    assert not found.kept
    assert len(found.lost) == 1
    assert "musicality: 3 became 9" in found.lost[0]
    assert any("made final 2 times" in line for line in found.doubled)


def test_three_kills_while_four_listeners_answer():
    outcome = kills.attempt(kills=3, listeners=4, port=free_port(), think=0.2, every=2.5)
    assert outcome.found.kept, str(outcome)
    assert outcome.answering[0] == 4
    assert len(outcome.notes.finished) == 4
    assert outcome.found.acknowledged > 80


def test_kills_of_postgres_and_of_the_server(postgres_is_there):
    outcome = kills.attempt(
        kills=1, database_kills=2, listeners=3, port=free_port(), postgres=True, think=0.2, every=2.5
    )
    assert outcome.found.kept, str(outcome)
    assert len(outcome.notes.finished) == 3


@pytest.mark.parametrize("sticky", [False, True], ids=["round robin", "sticky"])
def test_two_processes_on_one_database(sticky, postgres_is_there):
    found, notes, proxy = two_processes.attempt(
        listeners=3, port=free_port(3), sticky=sticky, think=0.1, cut=0 if sticky else 3.0
    )
    assert found.kept, str(found)
    assert len(notes.finished) == 3
    assert len(proxy.handed) == 2 or sticky
    assert all(len(ports) == 1 for ports in proxy.visited.values()) == sticky


@pytest.fixture
def postgres_is_there():
    import postgres

    if postgres.find("initdb") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no PostgreSQL server on this machine; install the package `postgresql`")
        pytest.skip("no PostgreSQL server on this machine; install the package `postgresql` to run this")
