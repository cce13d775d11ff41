"""Version 2: pilots, two passes, confidence, kept clips, orders that are taken over, the researcher's log.

SQLite cannot alter a constraint, so Alembic's batch mode copies the rows into new tables there; `first` says
how the old ones were, constraints without a name included.
"""

from importlib import import_module

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_PHASES = "phase IN ('all', 'verdict', 'rating')"


def _batch(table: str):
    first = import_module("study.store.migrations.versions.0001_first_tables")
    return op.batch_alter_table(table, copy_from=first.metadata.tables[table])


def _phase() -> sa.Column:
    return sa.Column("phase", sa.String(8), nullable=False, server_default="all")


def upgrade() -> None:
    with _batch("build") as build:
        build.add_column(sa.Column("passes", sa.Integer, nullable=False, server_default="1"))
        build.create_check_constraint("passes_known", sa.text("passes IN (1, 2)"))
    with _batch("listener") as listener:
        listener.add_column(sa.Column("pilot", sa.Boolean, nullable=False, server_default=sa.false()))
        listener.create_check_constraint("pilots_are_negative", sa.text("pilot = (number < 0)"))
        listener.drop_constraint("listener_number_key", type_="unique")
        listener.create_index("ix_listener_number", ["number"])
    with _batch("trial") as trial:
        trial.add_column(_phase())
        trial.create_check_constraint("trial_phase_known", sa.text(_PHASES))
        trial.drop_constraint("one_trial_per_repetition", type_="unique")
        trial.create_unique_constraint(
            "one_trial_per_repetition", ["listener_id", "set_name", "stimulus_id", "repetition", "phase"]
        )
    with _batch("answer") as answer:
        answer.add_column(_phase())
        answer.add_column(sa.Column("confidence", sa.Integer))
        answer.add_column(sa.Column("kept", sa.Boolean, nullable=False, server_default=sa.false()))
        answer.create_check_constraint("answer_phase_known", sa.text(_PHASES))
        answer.drop_constraint("final_answers_are_complete", type_="check")
        answer.create_check_constraint(
            "final_answers_are_complete",
            sa.text(
                "answered_at IS NULL OR ("
                "(phase = 'rating' OR (verdict IS NOT NULL AND (verdict = 'real' OR difficulty IS NOT NULL)))"
                " AND (phase = 'verdict' OR (musicality IS NOT NULL AND inspiring IS NOT NULL)))"
            ),
        )
        answer.create_check_constraint(
            "answers_of_their_phase_only",
            sa.text(
                "(phase <> 'rating' OR (verdict IS NULL AND difficulty IS NULL AND confidence IS NULL)) "
                "AND (phase <> 'verdict' OR (musicality IS NULL AND inspiring IS NULL "
                "AND inspiring_text IS NULL AND comment IS NULL))"
            ),
        )
        answer.create_check_constraint(
            "confidence_on_scale", sa.text("confidence IS NULL OR confidence BETWEEN 1 AND 5")
        )
    op.create_table(
        "study_event",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("what", sa.String(40), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.execute("UPDATE about SET value = '2' WHERE name = 'schema'")
