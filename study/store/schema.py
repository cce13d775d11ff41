"""The tables of a study's database, and the moments in them.

Truth is never in this database: no clip name, backend, epoch count or real/fake label. What it knows of a
clip is the set it belongs to and its opaque id; only the sealed key, a file the server does not send, says
what an id stands for.
"""

from __future__ import annotations

import datetime as dt
import math

import sqlalchemy as sa

from analysis.questionnaire import BY_NAME, FIELDS, PHASES, Field, asked_in

metadata = sa.MetaData()


UNREADABLE = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)  # a moment that was changed by hand into none
TICK = dt.timedelta(microseconds=1)  # between two stamps where the clock gave none later than the first
MOST_TICKS = 100 * TICK  # no two requests of a person are so close


class UtcTime(sa.types.TypeDecorator):
    """A moment in UTC. SQLite has no time zones, so they are taken off going in and put back coming out.

    SQLite also takes any text for a moment; what is none comes out as `UNREADABLE`.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        if value is None:
            return None
        value = value.astimezone(dt.UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        return None if value is None else value.astimezone(dt.UTC)

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> object:
        return utc_moment if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def utc_moment(text: object) -> dt.datetime | None:
    """A moment from its text, in UTC where that names no zone; UNREADABLE for a text that is none."""
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(str(text))
        return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return UNREADABLE


def now() -> dt.datetime:
    """The moment by this machine's clock, for what no other machine's stamps are compared with."""
    return dt.datetime.now(dt.UTC)


def clock(connection: sa.Connection) -> dt.datetime:
    """The moment by the database's clock, which all servers of a study share: to 1 ms in SQLite."""
    if connection.dialect.name == "sqlite":
        moment = connection.exec_driver_sql("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')").scalar_one()
        return dt.datetime.fromisoformat(moment).replace(tzinfo=dt.UTC)
    return connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one().astimezone(dt.UTC)


def in_order(moment: dt.datetime, *earlier: dt.datetime | None) -> dt.datetime:
    """The moment, or one tick after the latest of the earlier ones where the clock has stepped back."""
    latest = max((other for other in earlier if other is not None), default=moment)
    return moment if moment >= latest else latest + TICK


def elapsed(
    start: dt.datetime | None, end: dt.datetime | None, latest: dt.datetime = UNREADABLE - TICK
) -> float | None:
    """Seconds between two stamps; None where they are no measurement: a stamp that is missing or later than
    `latest`, an end before its start, or one that `in_order` has put after it.
    """
    if start is None or end is None or max(start, end) > latest or end < start:
        return None
    return None if dt.timedelta(0) < end - start < MOST_TICKS else (end - start).total_seconds()


def _column(field: Field) -> sa.Column:
    """The column of a field of the questionnaire."""
    if field.kind == "yes-no":
        return sa.Column(field.name, sa.Boolean, nullable=False, server_default=sa.false())
    if field.kind == "choice":
        return sa.Column(field.name, sa.String(8 * math.ceil(max(map(len, field.levels)) / 8)))
    return sa.Column(field.name, sa.Text if field.kind == "text" else sa.Integer)


def _fields(*, first: bool) -> list[Field]:
    """The fields of the first tables, or those added later, which stand behind all other columns."""
    return [field for field in FIELDS if (field.version == 1) == first]


def _known(field: Field) -> sa.CheckConstraint:
    listed = ", ".join(f"'{level}'" for level in field.levels)
    return sa.CheckConstraint(
        f"{field.name} IS NULL OR {field.name} IN ({listed})", name=f"{field.name}_known"
    )


def _on_scale(field: Field) -> sa.CheckConstraint:
    low, high = field.levels[0], field.levels[-1]
    rule = f"{field.name} IS NULL OR {field.name} BETWEEN {low} AND {high}"
    return sa.CheckConstraint(rule, name=f"{field.name}_on_scale")


def _conditional(field: Field) -> sa.CheckConstraint:
    other, level = field.condition
    names = {"difficulty": "difficulty_of_fakes_only", "inspiring_text": "text_of_other_only"}
    rule = f"{field.name} IS NULL OR {other} = '{level}'"
    return sa.CheckConstraint(rule, name=names.get(field.name, f"{field.name}_of_{level}_only"))


def _complete(phase: str) -> str:
    """What a final answer of a phase must hold; not fields that came later, as older answers lack them."""
    rules = []
    for field in asked_in(phase):
        if field.version > 1 or field.optional or field.kind == "text":
            continue
        rule = f"{field.name} IS NOT NULL"
        if field.condition:
            name, asked = field.condition
            others = [f"{name} = '{level}'" for level in BY_NAME[name].levels if level != asked]
            rule = f"({' OR '.join([*others, rule])})"
        rules.append(rule)
    return " AND ".join(rules)


def _empty(phase: str) -> str:
    return " AND ".join(f"{field.name} IS NULL" for field in asked_in(phase) if field.kind != "yes-no")


def _of_questionnaire() -> list[sa.CheckConstraint]:
    """What an answer must be, by the questionnaire. The order is that of the tables that exist."""
    first, later = _fields(first=True), _fields(first=False)
    return [
        *(_known(field) for field in first if field.kind == "choice"),
        *(_on_scale(field) for field in first if field.kind == "scale"),
        *(_conditional(field) for field in first if field.condition),
        sa.CheckConstraint(
            f"answered_at IS NULL OR ((phase = 'rating' OR ({_complete('verdict')})) "
            f"AND (phase = 'verdict' OR ({_complete('rating')})))",
            name="final_answers_are_complete",
        ),
        sa.CheckConstraint(
            f"(phase <> 'rating' OR ({_empty('verdict')})) AND (phase <> 'verdict' OR ({_empty('rating')}))",
            name="answers_of_their_phase_only",
        ),
        *(_known(field) for field in later if field.kind == "choice"),
        *(_on_scale(field) for field in later if field.kind == "scale"),
        *(_conditional(field) for field in later if field.condition),
    ]


def _phase(table: str) -> tuple[sa.Column, sa.CheckConstraint]:
    """Which questions a trial asks, one of questionnaire.PHASES."""
    listed = ", ".join(f"'{phase}'" for phase in PHASES)
    column = sa.Column("phase", sa.String(8), nullable=False, server_default="all")
    return column, sa.CheckConstraint(f"phase IN ({listed})", name=f"{table}_phase_known")


about = sa.Table(
    "about",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.String(200), nullable=False),
)

# Alembic's own: the revision of these tables. See study.store.database.
alembic_version = sa.Table(
    "alembic_version",
    metadata,
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)

# One row per registered build; the newest one counts.
build = sa.Table(
    "build",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("registered_at", UtcTime, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),  # of everything below and the stimuli
    sa.Column("key_sha256", sa.String(64), nullable=False),
    sa.Column("design_digest", sa.String(64), nullable=False),
    sa.Column("file_format", sa.String(8), nullable=False),
    sa.Column("stimuli", sa.JSON, nullable=False),  # [[set, [stimulus_id, ...]], ...] in the design's order
    sa.Column("practice", sa.JSON, nullable=False),  # [stimulus_id, ...]
    sa.Column("ordering", sa.String(20), nullable=False),  # counterbalanced | fixed
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("repeats", sa.Integer, nullable=False),
    sa.Column("passes", sa.Integer, nullable=False, server_default="1"),
    sa.Column("groups", sa.JSON(none_as_null=True)),  # [[name, share, [[set, ...], ...]], ...]
    sa.Column("pairs", sa.JSON(none_as_null=True)),  # of the paired task: [{set, question, hands}, ...]
    sa.CheckConstraint("ordering IN ('counterbalanced', 'fixed')", name="ordering_known"),
    sa.CheckConstraint("repeats >= 0", name="repeats_positive"),
    sa.CheckConstraint("passes IN (1, 2)", name="passes_known"),
)

listener = sa.Table(
    "listener",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # Picks the order of clips: 0, 1, 2, ..., taken over from whoever was revoked before they began; pilots
    # have negative ones.
    sa.Column("number", sa.Integer, nullable=False, index=True),
    sa.Column("name", sa.String(200), nullable=False, unique=True),
    sa.Column("token", sa.String(64), nullable=False, unique=True),  # the secret of the personal link
    sa.Column("invited_at", UtcTime, nullable=False),
    sa.Column("revoked_at", UtcTime),
    sa.Column("last_seen_at", UtcTime),
    sa.Column("tab", sa.String(32)),  # the browser tab that may write
    sa.Column("consent_at", UtcTime),
    sa.Column("consent_version", sa.String(64)),
    sa.Column("sound_check_at", UtcTime),
    sa.Column("playback", sa.String(20)),  # headphones | loudspeakers | built_in
    sa.Column("part_begun", sa.Integer, nullable=False, default=0),
    sa.Column("finished_at", UtcTime),
    sa.Column("pilot", sa.Boolean, nullable=False, server_default=sa.false()),  # their answers never count
    sa.Column("before_at", UtcTime),  # the study's own questions before the first clip are answered
    sa.Column("group_name", sa.String(80)),  # of [[group]], in a study that compares groups of listeners
    sa.CheckConstraint("pilot = (number < 0)", name="pilots_are_negative"),
)

# What a listener hears and when: slot counts through the whole study, practice (part 0) included.
trial = sa.Table(
    "trial",
    metadata,
    sa.Column("listener_id", sa.ForeignKey("listener.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("slot", sa.Integer, primary_key=True),
    sa.Column("part", sa.Integer, nullable=False),  # 0 practice, then 1, 2, ... as this listener meets them
    sa.Column("set_name", sa.String(80), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),  # within the part, from 1
    sa.Column("stimulus_id", sa.String(32), nullable=False),
    sa.Column("repetition", sa.Integer, nullable=False, default=0),  # 1: a hidden repeat
    sa.Column("play_key", sa.String(64), nullable=False, unique=True),  # all the browser sees of a clip
    *_phase("trial"),
    sa.Column("round", sa.Integer, nullable=False, server_default="1"),  # 2, 3, ...: see the table of rounds
    sa.UniqueConstraint("listener_id", "part", "position", name="one_clip_per_position"),
    sa.UniqueConstraint(
        "listener_id", "set_name", "stimulus_id", "repetition", "phase", name="one_trial_per_repetition"
    ),
)

_TRIAL = ("trial.listener_id", "trial.slot")

# The current state of each answer. Its history is in `revision`, written in the same transaction.
answer = sa.Table(
    "answer",
    metadata,
    sa.Column("listener_id", sa.Integer, primary_key=True),
    sa.Column("slot", sa.Integer, primary_key=True),
    *map(_column, _fields(first=True)),
    sa.Column("plays", sa.Integer, nullable=False, default=0),
    sa.Column("seconds_heard", sa.Float, nullable=False, default=0.0),  # of the clip, each second once
    sa.Column("seconds_played", sa.Float, nullable=False, default=0.0),  # replays included
    sa.Column("spans", sa.JSON, nullable=False, default=list),  # [[from, to], ...] heard, in seconds
    sa.Column("shown_at", UtcTime, nullable=False),
    sa.Column("first_play_at", UtcTime),
    sa.Column("unlocked_at", UtcTime),  # heard to the end, so that the questions opened
    sa.Column("answered_at", UtcTime),  # final: from here on nothing changes
    sa.Column("revision", sa.Integer, nullable=False, default=0),
    sa.Column("press", sa.String(64)),  # the last press of Next that was dealt with
    sa.Column("app_version", sa.String(40)),
    sa.Column("design_digest", sa.String(64)),
    *_phase("answer"),  # of its trial
    *map(_column, _fields(first=False)),
    sa.Column("further", sa.JSON(none_as_null=True)),  # the study's own questions: {name: value}
    sa.ForeignKeyConstraint(["listener_id", "slot"], _TRIAL),
    *_of_questionnaire(),
    sa.CheckConstraint("plays >= 0 AND seconds_heard >= 0 AND seconds_played >= 0", name="heard_positive"),
)

# Append-only: every change of an answer, with the fields it set.
revision = sa.Table(
    "revision",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("listener_id", sa.Integer, nullable=False),
    sa.Column("slot", sa.Integer, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("final", sa.Boolean, nullable=False),
    sa.Column("changes", sa.JSON, nullable=False),
    sa.ForeignKeyConstraint(["listener_id", "slot"], ["answer.listener_id", "answer.slot"]),
    sa.UniqueConstraint("listener_id", "slot", "revision", name="revisions_count_up"),
)

final_answer = sa.Table(
    "final_answer",
    metadata,
    sa.Column("listener_id", sa.ForeignKey("listener.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),  # of the open question, from 1
    sa.Column("question", sa.Text, nullable=False),  # as it was worded when asked
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("saved_at", UtcTime, nullable=False),
)

# What the player reports by itself (play, pause, seek, ended, error, ...): quality data, not proof.
play_event = sa.Table(
    "play_event",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("listener_id", sa.ForeignKey("listener.id"), nullable=False, index=True),
    sa.Column("slot", sa.Integer, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("seconds_heard", sa.Float),
    sa.Column("position_seconds", sa.Float),
)

unblinding = sa.Table(
    "unblinding",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("who", sa.String(200), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("key_sha256", sa.String(64), nullable=False),
)

# Append-only: what the researcher did with the study (closed, revoked, exported, logged in, ...).
study_event = sa.Table(
    "study_event",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("who", sa.String(200), nullable=False),
    sa.Column("what", sa.String(40), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)

# Answers to the study's own questions before the first clip and after the last one.
own_answer = sa.Table(
    "own_answer",
    metadata,
    sa.Column("listener_id", sa.ForeignKey("listener.id"), primary_key=True),
    sa.Column("place", sa.String(8), primary_key=True),
    sa.Column("name", sa.String(80), primary_key=True),
    sa.Column("question", sa.Text, nullable=False),  # as it was worded when asked
    sa.Column("value", sa.JSON(none_as_null=True)),
    sa.Column("saved_at", UtcTime, nullable=False),
    sa.CheckConstraint("place IN ('before', 'end')", name="place_known"),
)

# How a listener did in a check of their headphones or of their attention.
check_result = sa.Table(
    "check_result",
    metadata,
    sa.Column("listener_id", sa.ForeignKey("listener.id"), primary_key=True),
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),  # from 1
    sa.Column("trials", sa.JSON, nullable=False),  # what was right and what was chosen, trial by trial
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
)

# Who came by the open link, and how it ended. The listener has a neutral name everywhere else.
recruit = sa.Table(
    "recruit",
    metadata,
    sa.Column("listener_id", sa.ForeignKey("listener.id"), primary_key=True),
    sa.Column("identity", sa.String(64), nullable=False, unique=True),  # one listener for each person's id
    sa.Column("came_at", UtcTime, nullable=False),
    sa.Column("outcome", sa.String(16)),
    sa.Column("outcome_at", UtcTime),
    sa.CheckConstraint(
        "outcome IS NULL OR outcome IN ('completed', 'screened out', 'timed out', 'over quota')",
        name="outcome_known",
    ),
)

# The ids of a recruiting platform, apart from everything else, for paying people.
recruit_id = sa.Table(
    "recruit_id",
    metadata,
    sa.Column("listener_id", sa.ForeignKey("recruit.listener_id"), primary_key=True),
    sa.Column("name", sa.String(80), primary_key=True),
    sa.Column("value", sa.String(200), nullable=False),
)

# What came of the clips that a listener kept, asked days after the study.
follow_up = sa.Table(
    "follow_up",
    metadata,
    sa.Column("listener_id", sa.ForeignKey("listener.id"), primary_key=True),
    sa.Column("opened_at", UtcTime, nullable=False),
    sa.Column("finished_at", UtcTime),
)

follow_up_clip = sa.Table(
    "follow_up_clip",
    metadata,
    sa.Column("listener_id", sa.Integer, primary_key=True),
    sa.Column("slot", sa.Integer, primary_key=True),
    sa.Column("outcome", sa.String(8)),
    sa.Column("song", sa.Text),
    sa.Column("words", sa.Text),
    sa.Column("saved_at", UtcTime, nullable=False),
    sa.Column("recording", sa.String(40)),  # its file in the study's folder
    sa.Column("recording_name", sa.Text),  # as the listener called it
    sa.Column("recording_bytes", sa.Integer),
    sa.Column("recording_sha256", sa.String(64)),
    sa.Column("days", sa.Integer),  # from hearing the clip until something came of it, as the listener says
    sa.Column("answered_at", UtcTime),  # the listener went on from it
    sa.Column("press", sa.String(64)),  # the last press of Next that was dealt with
    sa.ForeignKeyConstraint(["listener_id", "slot"], _TRIAL),
    sa.CheckConstraint(
        "outcome IS NULL OR outcome IN ('nothing', 'idea', 'part', 'song')", name="outcome_of_clip_known"
    ),
    sa.CheckConstraint("days IS NULL OR days >= 0", name="days_positive"),
    sa.CheckConstraint("answered_at IS NULL OR outcome IS NOT NULL", name="final_outcomes_are_made"),
)

# Further rounds of one listener, each with sets and a sealed key of its own.
listening_round = sa.Table(
    "listening_round",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("listener_id", sa.ForeignKey("listener.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),  # 2 for the first further one
    sa.Column("registered_at", UtcTime, nullable=False),
    sa.Column("key_sha256", sa.String(64), nullable=False),
    sa.Column("stimuli", sa.JSON, nullable=False),  # as in the table of builds
    sa.Column("folder", sa.String(200), nullable=False),  # within the study's folder
    sa.Column("begun_at", UtcTime),
    sa.Column("finished_at", UtcTime),
    sa.Column("words", sa.Text),  # the listener's own at its end
    sa.UniqueConstraint("listener_id", "number", name="rounds_count_up"),
    sa.CheckConstraint("number > 1", name="rounds_follow_the_first"),
)

# In a study of the paired task: what a listener hears side by side and when; slot counts as in `trial`.
pair_trial = sa.Table(
    "pair_trial",
    metadata,
    sa.Column("listener_id", sa.ForeignKey("listener.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("slot", sa.Integer, primary_key=True),
    sa.Column("part", sa.Integer, nullable=False),  # 0 practice
    sa.Column("position", sa.Integer, nullable=False),  # within the part, from 1
    sa.Column("question", sa.String(16), nullable=False),
    sa.Column("set_name", sa.String(80), nullable=False),
    sa.Column("first_id", sa.String(32), nullable=False),
    sa.Column("second_id", sa.String(32), nullable=False),
    sa.Column("first_key", sa.String(64), nullable=False, unique=True),
    sa.Column("second_key", sa.String(64), nullable=False, unique=True),
    sa.Column("repetition", sa.Integer, nullable=False, server_default="0"),
    sa.UniqueConstraint("listener_id", "part", "position", name="one_pair_per_position"),
    sa.CheckConstraint("question IN ('real', 'inspiring')", name="question_known"),
    sa.CheckConstraint("first_id <> second_id", name="two_clips_in_a_pair"),
)

pair_answer = sa.Table(
    "pair_answer",
    metadata,
    sa.Column("listener_id", sa.Integer, primary_key=True),
    sa.Column("slot", sa.Integer, primary_key=True),
    sa.Column("choice", sa.String(8)),
    sa.Column("comment", sa.Text),
    sa.Column("first_heard", sa.JSON(none_as_null=True)),  # measures of listening, as the player reports
    sa.Column("second_heard", sa.JSON(none_as_null=True)),
    sa.Column("shown_at", UtcTime, nullable=False),
    sa.Column("unlocked_at", UtcTime),  # both heard to the end, so that the question opened
    sa.Column("answered_at", UtcTime),
    sa.Column("revision", sa.Integer, nullable=False, server_default="0"),
    sa.Column("press", sa.String(64)),
    sa.Column("app_version", sa.String(40)),
    sa.Column("design_digest", sa.String(64)),
    sa.ForeignKeyConstraint(["listener_id", "slot"], ["pair_trial.listener_id", "pair_trial.slot"]),
    sa.CheckConstraint("choice IS NULL OR choice IN ('first', 'second')", name="choice_known"),
    sa.CheckConstraint("answered_at IS NULL OR choice IS NOT NULL", name="final_choices_are_made"),
)
