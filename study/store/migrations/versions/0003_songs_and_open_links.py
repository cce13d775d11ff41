"""Songs, own questions, the open link, follow-ups, further rounds and the paired task."""

import sqlalchemy as sa
from alembic import op

from study.store.schema import UtcTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds tables and columns; what is there stays as it is."""
    op.create_table(
        "check_result",
        sa.Column("listener_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("trials", sa.JSON(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["listener_id"], ["listener.id"]),
        sa.PrimaryKeyConstraint("listener_id", "name", "attempt"),
    )
    op.create_table(
        "follow_up",
        sa.Column("listener_id", sa.Integer(), nullable=False),
        sa.Column("opened_at", UtcTime(), nullable=False),
        sa.Column("finished_at", UtcTime()),
        sa.ForeignKeyConstraint(["listener_id"], ["listener.id"]),
        sa.PrimaryKeyConstraint("listener_id"),
    )
    op.create_table(
        "listening_round",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("listener_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("registered_at", UtcTime(), nullable=False),
        sa.Column("key_sha256", sa.String(length=64), nullable=False),
        sa.Column("stimuli", sa.JSON(), nullable=False),
        sa.Column("folder", sa.String(length=200), nullable=False),
        sa.Column("begun_at", UtcTime()),
        sa.Column("finished_at", UtcTime()),
        sa.Column("words", sa.Text()),
        sa.CheckConstraint("number > 1", name="rounds_follow_the_first"),
        sa.ForeignKeyConstraint(["listener_id"], ["listener.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("listener_id", "number", name="rounds_count_up"),
    )
    op.create_table(
        "own_answer",
        sa.Column("listener_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(none_as_null=True)),
        sa.Column("saved_at", UtcTime(), nullable=False),
        sa.CheckConstraint("place IN ('before', 'end')", name="place_known"),
        sa.ForeignKeyConstraint(["listener_id"], ["listener.id"]),
        sa.PrimaryKeyConstraint("listener_id", "place", "name"),
    )
    op.create_table(
        "pair_trial",
        sa.Column("listener_id", sa.Integer(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("question", sa.String(length=16), nullable=False),
        sa.Column("set_name", sa.String(length=80), nullable=False),
        sa.Column("first_id", sa.String(length=32), nullable=False),
        sa.Column("second_id", sa.String(length=32), nullable=False),
        sa.Column("first_key", sa.String(length=64), nullable=False),
        sa.Column("second_key", sa.String(length=64), nullable=False),
        sa.Column("repetition", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("question IN ('real', 'inspiring')", name="question_known"),
        sa.CheckConstraint("first_id <> second_id", name="two_clips_in_a_pair"),
        sa.ForeignKeyConstraint(["listener_id"], ["listener.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("listener_id", "slot"),
        sa.UniqueConstraint("first_key"),
        sa.UniqueConstraint("listener_id", "part", "position", name="one_pair_per_position"),
        sa.UniqueConstraint("second_key"),
    )
    op.create_table(
        "recruit",
        sa.Column("listener_id", sa.Integer(), nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("came_at", UtcTime(), nullable=False),
        sa.Column("outcome", sa.String(length=16)),
        sa.Column("outcome_at", UtcTime()),
        sa.CheckConstraint(
            "outcome IS NULL OR outcome IN ('completed', 'screened out', 'timed out', 'over quota')",
            name="outcome_known",
        ),
        sa.ForeignKeyConstraint(["listener_id"], ["listener.id"]),
        sa.PrimaryKeyConstraint("listener_id"),
        sa.UniqueConstraint("identity"),
    )
    op.create_table(
        "follow_up_clip",
        sa.Column("listener_id", sa.Integer(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=8)),
        sa.Column("song", sa.Text()),
        sa.Column("words", sa.Text()),
        sa.Column("saved_at", UtcTime(), nullable=False),
        sa.Column("recording", sa.String(length=40)),
        sa.Column("recording_name", sa.Text()),
        sa.Column("recording_bytes", sa.Integer()),
        sa.Column("recording_sha256", sa.String(length=64)),
        sa.Column("days", sa.Integer()),
        sa.Column("answered_at", UtcTime()),
        sa.Column("press", sa.String(length=64)),
        sa.CheckConstraint(
            "outcome IS NULL OR outcome IN ('nothing', 'idea', 'part', 'song')", name="outcome_of_clip_known"
        ),
        sa.CheckConstraint("answered_at IS NULL OR outcome IS NOT NULL", name="final_outcomes_are_made"),
        sa.CheckConstraint("days IS NULL OR days >= 0", name="days_positive"),
        sa.ForeignKeyConstraint(["listener_id", "slot"], ["trial.listener_id", "trial.slot"]),
        sa.PrimaryKeyConstraint("listener_id", "slot"),
    )
    op.create_table(
        "pair_answer",
        sa.Column("listener_id", sa.Integer(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("choice", sa.String(length=8)),
        sa.Column("comment", sa.Text()),
        sa.Column("first_heard", sa.JSON(none_as_null=True)),
        sa.Column("second_heard", sa.JSON(none_as_null=True)),
        sa.Column("shown_at", UtcTime(), nullable=False),
        sa.Column("unlocked_at", UtcTime()),
        sa.Column("answered_at", UtcTime()),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.Column("press", sa.String(length=64)),
        sa.Column("app_version", sa.String(length=40)),
        sa.Column("design_digest", sa.String(length=64)),
        sa.CheckConstraint("choice IS NULL OR choice IN ('first', 'second')", name="choice_known"),
        sa.CheckConstraint("answered_at IS NULL OR choice IS NOT NULL", name="final_choices_are_made"),
        sa.ForeignKeyConstraint(["listener_id", "slot"], ["pair_trial.listener_id", "pair_trial.slot"]),
        sa.PrimaryKeyConstraint("listener_id", "slot"),
    )
    op.create_table(
        "recruit_id",
        sa.Column("listener_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["listener_id"], ["recruit.listener_id"]),
        sa.PrimaryKeyConstraint("listener_id", "name"),
    )
    op.add_column("answer", sa.Column("further", sa.JSON(none_as_null=True)))
    op.add_column("build", sa.Column("groups", sa.JSON(none_as_null=True)))
    op.add_column("build", sa.Column("pairs", sa.JSON(none_as_null=True)))
    op.add_column("listener", sa.Column("before_at", UtcTime()))
    op.add_column("listener", sa.Column("group_name", sa.String(length=80)))
    op.add_column("trial", sa.Column("round", sa.Integer(), server_default="1", nullable=False))
    op.execute("UPDATE about SET value = '3' WHERE name = 'schema'")
