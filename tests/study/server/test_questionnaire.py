"""The questionnaire is defined once: what follows from it, and what a new question touches."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from analysis import questionnaire, responses
from study import design
from study.store import schema

ROOT = Path(__file__).parents[3]
DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()], ids=lambda one: one.name)
def test_the_tables_are_those_that_databases_have(dialect):
    statements = []
    for table in schema.metadata.tables.values():
        statements.append(str(CreateTable(table).compile(dialect=dialect)).strip())
        for index in sorted(table.indexes, key=lambda index: index.name):
            statements.append(str(CreateIndex(index).compile(dialect=dialect)).strip())
    text = "\n\n".join(statement.replace("\t", "    ").replace(" \n", "\n") + ";" for statement in statements)
    assert text + "\n" == (DATA / f"tables.{dialect.name}.sql").read_text("utf-8")


def test_fields_stand_in_blocks_of_the_design_and_in_columns_of_the_analysis():
    blocks = {field.block for field in questionnaire.FIELDS if field.block}
    assert blocks == set(get_args(design.Block))
    assert set(questionnaire.NAMES) <= {*responses.REQUIRED, *responses.OPTIONAL}
    assert set(questionnaire.NAMES) <= set(schema.answer.c.keys())
    for field in questionnaire.FIELDS:
        assert field.condition is None or questionnaire.BY_NAME[field.condition[0]].allows(field.condition[1])
        assert set(field.ranked) <= set(field.levels)


NOVELTY = '''
NOVELTY = Field(
    name="novelty", kind="scale", levels=(1, 2, 3, 4, 5), phase="rating", block="musicality", version=3
)
FIELDS = (*FIELDS, NOVELTY)
NAMES = '''
WORDS = {
    "[clip]\n": '[clip]\nnovelty = "How new is it?"\nnovelty_low = "old"\nnovelty_high = "new"\n',
    "[owed] ": 'novelty = "the novelty"\n',
}
MIGRATION = '''
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("answer", sa.Column("novelty", sa.Integer))
    op.execute("UPDATE about SET value = '3' WHERE name = 'schema'")
'''
LISTEN = '''
import sys
from pathlib import Path

import pandas as pd
import streamlit as st
from streamlit.testing.v1 import AppTest

from analysis import responses
from study import blinding, folder
from study.server.served import VARIABLE, served
from study.store.answering import Listening
from study.store.store import Store

study = folder.StudyFolder(Path(sys.argv[1]))
store = Store.for_folder(study)
before = store.answers()
assert len(before) == int(sys.argv[2]) and {row["novelty"] for row in before} == {None}
person = store.find(store.invite("Ann"))
heard = Listening(plays=1, seconds_heard=1.0, seconds_played=1.0, spans=((0.0, 1.0),), unlocked=True)
while store.find(store.invite("Ann")).step.page.value == "practice":
    slot = store.find(store.invite("Ann")).step.slot
    draft = store.show(person.id, slot)
    answer = {"verdict": "real", "musicality": 5, "inspiring": "no"}
    saved = store.save(person.id, slot, tab=person.tab, changes=answer, listening=heard, press=f"{slot}-early")
    assert saved.missing == ("novelty",), saved
    store.save(person.id, slot, tab=person.tab, changes={"novelty": 4}, press=f"{slot}-done")
rows = store.answers(practice=True)
assert {row["novelty"] for row in rows if row["set"] == "practice" and row["listener"] == "Ann"} == {4}
assert responses.WHOLE["novelty"] == (1, 5) and "novelty" in responses.OPTIONAL
try:
    store.save(person.id, slot, tab=person.tab, changes={"novelty": 6})
except ValueError:
    pass
print("all of it works")
'''
