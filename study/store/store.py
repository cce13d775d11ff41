"""The study's memory: builds, listeners, their orders and their answers, in SQLite or PostgreSQL.

Every method that changes something is one transaction, and returns only after its commit. What the browser
may know of a clip is its play key, a random string per listener and slot; set names and stimulus ids stay
here. No streamlit: pages, routes, the build, the command line and the tests share this class.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from study.folder import StudyFolder
from study.store import answering, builds, database_record, export, listeners, play_log, schema, study_log
from study.store import backup as backups
from study.store.answering import Draft, Listening, Saved, StoreError
from study.store.builds import Build, has_answers, newest
from study.store.database_file import DatabaseFileError
from study.store.listeners import Listener, Progress
from study.store.migrating import UnknownSchemaError
from study.store.protocol import PLAYBACK, Page, next_step
from study.store.schema import clock, final_answer, listener, reading, trial

if TYPE_CHECKING:
    from analysis.plan import AnalysisPlan, SealedPlan

__all__ = ["Build", "Clip", "Listener", "Progress", "Store", "StoreError"]


@dataclass(frozen=True)
class Clip:
    """The clip behind a play key, for the server's eyes."""

    listener_id: int
    slot: int
    set_name: str
    stimulus_id: str
    file_format: str


class Store:
    """Opens (and creates) the database at an SQLAlchemy URL, `sqlite:///...` or `postgresql://...`.

    Raises StoreError where it cannot be opened or was written by another version.
    """

    served_digest: str | None = None  # of the design that listeners see; a later build does not change it
    served_plan: AnalysisPlan | None = None  # of the design that is served: kept when a listener begins
    _folder: StudyFolder | None = None

    def __init__(self, url: str) -> None:
        shown = "at the given address"  # which is not shown before its password is known
        try:
            shown = sa.make_url(url).render_as_string(hide_password=True)
            self.engine = schema.connect(url)
        except UnknownSchemaError as error:
            raise StoreError(f"the database {shown} {error}; use the version that wrote it") from error
        except (DatabaseFileError, SQLAlchemyError, ImportError) as error:
            cause = getattr(error, "orig", None) or error
            if isinstance(cause, DatabaseFileError):
                raise StoreError(str(cause)) from error
            reason = str(cause).splitlines()[0]
            mend = "check the study's folder, its disk's room, or STUDY_DATABASE_URL"
            if isinstance(error, ImportError):
                mend = "install its driver: pip install 'eureka-study[postgres]'"
            raise StoreError(f"cannot open the database {shown}: {reason}; {mend}") from error

    @classmethod
    def for_folder(cls, folder: StudyFolder) -> Store:
        """The store of a study folder.

        Raises StoreError besides where its listeners are in another database, as when a file was lost.
        """
        database_record.require_file(folder)
        store = cls(folder.database_url())
        store._folder = folder
        try:
            database_record.require(folder, store.engine)
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        self.engine.dispose()

    def check(self) -> None:
        """Raises StoreError or SQLAlchemyError where no answer could be saved just now. Cheap: one read.

        The words of a StoreError are for anybody to read, so they name no path.
        """
        try:
            writable = schema.require(self.engine)
        except DBAPIError as error:
            if schema.file_is_gone(self.engine, error):
                raise StoreError("The database file was moved, deleted or replaced.") from error
            raise
        if not writable:
            raise StoreError("The database can only be read, so no answer can be saved.")

    # the build

    def register_build(
        self,
        *,
        stimuli: Mapping[str, Sequence[str]],
        practice: Sequence[str],
        key_sha256: str,
        design_digest: str,
        file_format: str,
        order: str = "counterbalanced",
        seed: int | None = None,
        repeats: int = 0,
        passes: int = 1,
    ) -> None:
        """Records what a build made, and gives every listener an order of it, of one pass or two.

        The same build again changes nothing. After the first answer that counts, only the design's digest
        (the wording of pages) may change; each answer keeps the digest it was given under. `order` and
        `repeats` are the design's; `seed` draws the orders and follows from the key where it is None.

        Raises StoreError if answers exist and stimuli, key, format or order would change, and for an empty
        set or an id that stands in two sets.
        """
        seed = int(key_sha256[:12], 16) if seed is None else int(seed)
        new = Build(
            {name: list(ids) for name, ids in stimuli.items()},
            list(practice),
            key_sha256,
            design_digest,
            file_format,
            order,
            seed,
            repeats,
            passes,
        )
        with self.engine.begin() as connection:
            builds.register(connection, new)

    def build(self) -> Build | None:
        """The newest registered build, None before the first one."""
        with reading(self.engine) as connection:
            return newest(connection)

    def has_answers(self) -> bool:
        """Whether any listener has begun to answer a clip that counts: from then on the sets are fixed."""
        with reading(self.engine) as connection:
            return has_answers(connection)

    def log_unblinding(self, who: str, reason: str, key_sha256: str) -> None:
        """Records that somebody read the key, and closes the study for good, in one transaction.

        Raises StoreError if the key is not the sealed one.
        """
        study_log.unblind(self.engine, who, reason, key_sha256)

    def unblindings(self) -> list[dict[str, Any]]:
        """Every unblinding so far, oldest first: at, who, reason, key_sha256."""
        return study_log.rows(self.engine, schema.unblinding)

    # listeners

    def invite(self, name: str, pilot: bool = False) -> str:
        """The secret of a listener's personal link; a name invited before gets its link again.

        A pilot tries the study: their answers count nowhere. Who is invited gets the order of clips that is
        least filled so far: of those who were revoked before they began first.

        Raises StoreError for an empty name, before the first build, after closing, and for a name that was
        invited as the other kind.
        """
        name = _plain(name)
        if not name or len(name) > 200:
            raise StoreError(f"listener name {name[:40]!r}; give each listener a name of 1 to 200 letters")
        with self.engine.begin() as connection:
            token = listeners.invite(connection, name, pilot=pilot)
        if self._folder is not None:
            database_record.note(self._folder, self.engine)
        return token

    def revoke(self, name: str) -> bool:
        """Withdraws a listener's link: it shows the closing page and saves nothing; what was saved stays.

        Returns whether the link was open until now. Raises StoreError for a name that was not invited.
        """
        with self.engine.begin() as connection:
            return listeners.revoke(connection, _plain(name))

    def restore(self, name: str) -> bool:
        """Makes a revoked link work again. Returns whether it was revoked. Raises StoreError as revoke."""
        with self.engine.begin() as connection:
            return listeners.restore(connection, _plain(name))

    def find(self, token: str | None) -> Listener | None:
        """The listener of a personal link, with the step they are at; None for an unknown secret."""
        if not token:
            return None
        with reading(self.engine) as connection:
            row = connection.execute(sa.select(listener).where(listener.c.token == token)).mappings().first()
            if row is None:
                return None
            step = next_step(listeners.states(connection, row["id"])[row["id"]])
        kept = ("id", "name", "tab", "playback", "pilot")
        return Listener(**{name: row[name] for name in kept}, step=step)

    def listeners(self, pilot: bool | None = None) -> list[Progress]:
        """All listeners in the order of their invitation; True: only the pilots, False: only the others."""
        return listeners.progress(self.engine, pilot)

    def claim(self, listener_id: int, tab: str) -> None:
        """From now on this browser tab writes for the listener, and no other one."""
        self._mark(listener_id, tab=tab)

    def consent(self, listener_id: int, version: str) -> None:
        """Keeps when the listener agreed, and to which version of the text; the first time counts.

        With the first listener who is no pilot the analysis plan that is served is fixed.
        """
        self._mark(listener_id, once="consent_at", consent_version=version)

    def sound_check(self, listener_id: int, playback: str) -> None:
        """The listener hears the tone; `playback` is what they listen on, one of protocol.PLAYBACK."""
        if playback not in PLAYBACK:
            raise StoreError(f"playback = {playback!r}; it must be one of {', '.join(PLAYBACK)}")
        self._mark(listener_id, once="sound_check_at", playback=playback)

    def begin_part(self, listener_id: int, part: int) -> None:
        """The listener leaves the page before a part; never goes back to an earlier one."""
        with self.engine.begin() as connection:
            answering.admit(connection, listener_id)
            connection.execute(
                listener.update()
                .where(listener.c.id == listener_id, listener.c.part_begun < part)
                .values(part_begun=part, last_seen_at=clock(connection))
            )

    def _mark(self, listener_id: int, *, once: str | None = None, **values: Any) -> None:
        change = listener.update().where(listener.c.id == listener_id)
        with self.engine.begin() as connection:
            moment = clock(connection)
            if once:
                answering.admit(connection, listener_id)
                change = change.where(listener.c[once].is_(None))
                values[once] = moment
                if self.served_plan is not None:
                    study_log.keep_plan(connection, listener_id, self.served_plan)
            connection.execute(change.values(**values, last_seen_at=moment))

    # trials and answers

    def show(self, listener_id: int, slot: int) -> Draft:
        """The trial a listener is at: its play key and what is answered so far. Timed at first."""
        return answering.show(self.engine, listener_id, slot)

    def save(
        self,
        listener_id: int,
        slot: int,
        *,
        tab: str,
        changes: Mapping[str, Any] | None = None,
        listening: Listening | None = None,
        press: str | None = None,
        require_heard: bool = True,
        require_confidence: bool = False,
    ) -> Saved:
        """Saves changed fields and, when Next was pressed, makes the answer final, in one transaction.

        `press` is the id of the last press of Next. The browser sends it with every message, so each id
        counts once, over restarts too: a press that came too early does not close an answer later on.
        `require_heard` and `require_confidence` say what the design asks for besides the trial's phase.
        Saving twice is saving once: equal values add no revision, and a final answer stays as it is.

        Raises answering.OtherTab when another tab has taken over, protocol.AnswerError for impossible values,
        StoreError for a slot out of order.
        """
        return answering.save(
            self.engine,
            listener_id,
            slot,
            tab=tab,
            changes=changes or {},
            listening=listening,
            press=press,
            require_heard=require_heard,
            require_confidence=require_confidence,
            digest=self.served_digest,
        )

    def clip(self, play_key: str, token: str | None) -> Clip | None:
        """The clip behind a play key, for the listener it belongs to and nobody else."""
        with reading(self.engine) as connection:
            row = connection.execute(
                sa.select(
                    trial.c.listener_id,
                    trial.c.slot,
                    trial.c.set_name,
                    trial.c.stimulus_id,
                    listener.c.finished_at,
                )
                .join(listener, listener.c.id == trial.c.listener_id)
                .where(
                    trial.c.play_key == play_key,
                    listener.c.token == (token or ""),
                    listener.c.revoked_at.is_(None),
                )
            ).first()
            if row is None:
                return None
            finished = row.finished_at is not None
            if not finished and answering.closed_at(connection) is not None:
                return None
            return Clip(*row[:4], file_format=newest(connection).file_format)

    def log_play(
        self, clip: Clip, kind: str, *, listening: Listening, position_seconds: float | None
    ) -> bool:
        """Records what the player reports by itself; False where one clip's reports are too many."""
        heard = {"listening": listening, "position_seconds": position_seconds}
        return play_log.record(self.engine, clip.listener_id, clip.slot, kind, **heard)

    # the final form

    def final_texts(self, listener_id: int) -> dict[int, str]:
        """The open questions answered so far: number -> text."""
        with reading(self.engine) as connection:
            rows = connection.execute(
                sa.select(final_answer.c.number, final_answer.c.text).where(
                    final_answer.c.listener_id == listener_id
                )
            )
            return {row.number: row.text for row in rows}

    def save_final(
        self,
        listener_id: int,
        *,
        tab: str,
        questions: Sequence[str],
        texts: Mapping[int, str | None],
        finish: bool,
    ) -> bool:
        """Saves the open answers (number from 1 -> text) and, with `finish`, ends the listener's study.

        Returns whether the listener has finished. What is finished stays as it is; clips left to answer keep
        it open. Raises answering.OtherTab when another tab has taken over.
        """
        with self.engine.begin() as connection:
            row = answering.owner(connection, listener_id, tab)
            step = next_step(listeners.states(connection, listener_id)[listener_id])
            if step.page is not Page.FINAL:
                return row["finished_at"] is not None
            moment = clock(connection)
            for number, question in enumerate(questions, start=1):
                if number in texts or finish:
                    answering.put_final(connection, listener_id, number, question, texts.get(number), moment)
            changes = {"last_seen_at": moment} | ({"finished_at": moment} if finish else {})
            connection.execute(listener.update().where(listener.c.id == listener_id).values(**changes))
            return finish

    # the study as a whole

    def close_study(self, who: str) -> dt.datetime:
        """From now on no listener can answer; who has finished keeps the last page. Returns since when.

        Returns only after every answer on its way is either saved or refused.
        """
        return study_log.close(self.engine, who)

    def reopen_study(self, who: str) -> bool:
        """Lets listeners answer again. Returns whether the study was closed.

        Raises StoreError after an unblinding: what is answered then does not count as blind.
        """
        return study_log.reopen(self.engine, who)

    def closed_at(self) -> dt.datetime | None:
        """When the study was closed (UTC); None while it is open."""
        with reading(self.engine) as connection:
            return answering.closed_at(connection)

    def kept_plan(self) -> SealedPlan | None:
        """The analysis plan that was fixed when the first listener began; None where none was."""
        return study_log.kept_plan(self.engine)

    def backup(self, file: Path) -> None:
        """Copies the whole database as it is now into a new SQLite file, while others go on writing.

        Raises StoreError where the file is there already or cannot be written.
        """
        backups.backup(self.engine, file)

    def log_event(self, who: str, what: str, detail: str = "") -> None:
        """Records what the researcher did with the study: at most 200, 40 and any number of letters."""
        with self.engine.begin() as connection:
            study_log.log(connection, who, what, detail)

    def events(self) -> list[dict[str, Any]]:
        """All that was recorded, oldest first: at (UTC), who, what, detail."""
        return study_log.rows(self.engine, schema.study_event)

    # what goes to the analysis

    def answers(self, *, practice: bool = False, pilot: bool = False) -> list[dict[str, Any]]:
        """Every final answer, without truth, of listeners or else of pilots; see export.answers."""
        return export.answers(self.engine, practice=practice, pilot=pilot)

    def final_forms(self, *, pilot: bool = False) -> list[dict[str, Any]]:
        """Every open answer, of listeners or else of pilots: listener, number, question, text, saved_at."""
        return export.final_forms(self.engine, pilot=pilot)


def _plain(name: str) -> str:
    """A listener's name as it is kept: without spaces around it or doubled."""
    return " ".join(name.split())
