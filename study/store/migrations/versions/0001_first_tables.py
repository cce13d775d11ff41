"""The tables of version 1, as they were.

Each is defined apart from study.store.schema, which goes on changing. The unique constraint that version 2
drops has the name that PostgreSQL gave it; in SQLite it has none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

metadata = sa.MetaData()
_TIME = sa.DateTime(timezone=True)


def _one_of(column: str, *values: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IS NULL OR {column} IN ({listed})", name=f"{column}_known")


sa.Table(
    "about",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.String(200), nullable=False),
)

sa.Table(
    "build",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("registered_at", _TIME, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("key_sha256", sa.String(64), nullable=False),
    sa.Column("design_digest", sa.String(64), nullable=False),
    sa.Column("file_format", sa.String(8), nullable=False),
    sa.Column("stimuli", sa.JSON, nullable=False),
    sa.Column("practice", sa.JSON, nullable=False),
    sa.Column("ordering", sa.String(20), nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("repeats", sa.Integer, nullable=False),
    sa.CheckConstraint("ordering IN ('counterbalanced', 'fixed')", name="ordering_known"),
    sa.CheckConstraint("repeats >= 0", name="repeats_positive"),
)

sa.Table(
    "listener",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("name", sa.String(200), nullable=False, unique=True),
    sa.Column("token", sa.String(64), nullable=False, unique=True),
    sa.Column("invited_at", _TIME, nullable=False),
    sa.Column("revoked_at", _TIME),
    sa.Column("last_seen_at", _TIME),
    sa.Column("tab", sa.String(32)),
    sa.Column("consent_at", _TIME),
    sa.Column("consent_version", sa.String(64)),
    sa.Column("sound_check_at", _TIME),
    sa.Column("playback", sa.String(20)),
    sa.Column("part_begun", sa.Integer, nullable=False),
    sa.Column("finished_at", _TIME),
    sa.UniqueConstraint("number", name="listener_number_key"),
)

sa.Table(
    "trial",
    metadata,
    sa.Column("listener_id", sa.ForeignKey("listener.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("slot", sa.Integer, primary_key=True),
    sa.Column("part", sa.Integer, nullable=False),
    sa.Column("set_name", sa.String(80), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("stimulus_id", sa.String(32), nullable=False),
    sa.Column("repetition", sa.Integer, nullable=False),
    sa.Column("play_key", sa.String(64), nullable=False, unique=True),
    sa.UniqueConstraint("listener_id", "part", "position", name="one_clip_per_position"),
    sa.UniqueConstraint(
        "listener_id", "set_name", "stimulus_id", "repetition", name="one_trial_per_repetition"
    ),
)

sa.Table(
    "answer",
    metadata,
    sa.Column("listener_id", sa.Integer, primary_key=True),
    sa.Column("slot", sa.Integer, primary_key=True),
    sa.Column("verdict", sa.String(8)),
    sa.Column("difficulty", sa.String(16)),
    sa.Column("musicality", sa.Integer),
    sa.Column("inspiring", sa.String(8)),
    sa.Column("inspiring_text", sa.Text),
    sa.Column("comment", sa.Text),
    sa.Column("plays", sa.Integer, nullable=False),
    sa.Column("seconds_heard", sa.Float, nullable=False),
    sa.Column("seconds_played", sa.Float, nullable=False),
    sa.Column("spans", sa.JSON, nullable=False),
    sa.Column("shown_at", _TIME, nullable=False),
    sa.Column("first_play_at", _TIME),
    sa.Column("unlocked_at", _TIME),
    sa.Column("answered_at", _TIME),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("press", sa.String(64)),
    sa.Column("app_version", sa.String(40)),
    sa.Column("design_digest", sa.String(64)),
    sa.ForeignKeyConstraint(["listener_id", "slot"], ["trial.listener_id", "trial.slot"]),
    _one_of("verdict", "real", "fake"),
    _one_of("difficulty", "easy", "dont_know", "difficult"),
    _one_of("inspiring", "yes", "no", "maybe", "other"),
    sa.CheckConstraint("musicality IS NULL OR musicality BETWEEN 0 AND 10", name="musicality_on_scale"),
    sa.CheckConstraint("difficulty IS NULL OR verdict = 'fake'", name="difficulty_of_fakes_only"),
    sa.CheckConstraint("inspiring_text IS NULL OR inspiring = 'other'", name="text_of_other_only"),
    sa.CheckConstraint(
        "answered_at IS NULL OR (verdict IS NOT NULL AND musicality IS NOT NULL AND inspiring IS NOT NULL "
        "AND (verdict = 'real' OR difficulty IS NOT NULL))",
        name="final_answers_are_complete",
    ),
    sa.CheckConstraint("plays >= 0 AND seconds_heard >= 0 AND seconds_played >= 0", name="heard_positive"),
)

sa.Table(
    "revision",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("listener_id", sa.Integer, nullable=False),
    sa.Column("slot", sa.Integer, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("at", _TIME, nullable=False),
    sa.Column("final", sa.Boolean, nullable=False),
    sa.Column("changes", sa.JSON, nullable=False),
    sa.ForeignKeyConstraint(["listener_id", "slot"], ["answer.listener_id", "answer.slot"]),
    sa.UniqueConstraint("listener_id", "slot", "revision", name="revisions_count_up"),
)

sa.Table(
    "final_answer",
    metadata,
    sa.Column("listener_id", sa.ForeignKey("listener.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("question", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("saved_at", _TIME, nullable=False),
)

sa.Table(
    "play_event",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("listener_id", sa.ForeignKey("listener.id"), nullable=False, index=True),
    sa.Column("slot", sa.Integer, nullable=False),
    sa.Column("at", _TIME, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("seconds_heard", sa.Float),
    sa.Column("position_seconds", sa.Float),
)

sa.Table(
    "unblinding",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", _TIME, nullable=False),
    sa.Column("who", sa.String(200), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("key_sha256", sa.String(64), nullable=False),
)


def upgrade() -> None:
    metadata.create_all(op.get_bind())
    op.execute("INSERT INTO about (name, value) VALUES ('schema', '1')")
