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
from study.store import (
    answering,
    builds,
    database,
    database_record,
    export,
    listeners,
    recruits,
    schema,
    study_log,
)
from study.store import backup as backups
from study.store import pairs as pair_task
from study.store.answering import Draft, Listening, Saved, StoreError
from study.store.backup_recordings import Named
from study.store.builds import Build, has_answers, newest
from study.store.database import UnknownSchemaError, reading
from study.store.database_file import DatabaseFileError
from study.store.listeners import Listener, ListenerProgress
from study.store.protocol import NO_STATIONS, PLAYBACK, Page, Stations, next_step
from study.store.rounds import FurtherRounds
from study.store.schema import clock, final_answer, listener, trial

if TYPE_CHECKING:
    from analysis.plan import AnalysisPlan, SealedPlan
    from study.design.open_link import OpenLink
    from study.design.own_questions import OwnQuestion

__all__ = ["Build", "ServedClip", "Listener", "ListenerProgress", "Store", "StoreError"]


@dataclass(frozen=True)
class ServedClip:
    """The clip behind a play key, for the server's eyes."""

    listener_id: int
    slot: int
    set_name: str
    stimulus_id: str
    file_format: str
    side: str = ""  # "first" or "second" of a pair


class Store(FurtherRounds):
    """The memory of one study, in a database that is made where it is not there yet.

    Parameters
    ----------
    url : str
        The address of the database as SQLAlchemy writes it: `sqlite:///FILE` or `postgresql://...`.

    Raises
    ------
    StoreError
        Where the database cannot be opened, or another version of this program wrote it.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> folder = TemporaryDirectory()
    >>> store = Store(f"sqlite:///{folder.name}/responses.sqlite")
    >>> store.register_build(
    ...     stimuli={"UMG": ["aaaa", "bbbb"]},
    ...     practice=[],
    ...     key_sha256="ab" * 32,
    ...     design_digest="cd" * 32,
    ...     file_format="wav",
    ... )
    >>> token = store.invite("Ann")
    >>> store.find(token).step.stage
    'welcome'
    >>> store.close()
    >>> folder.cleanup()
    """

    served_digest: str | None = None  # of the design that listeners see; a later build does not change it
    served_plan: AnalysisPlan | None = None  # of the design that is served: kept when a listener begins
    open_link: OpenLink | None = None  # of the design that is served
    served_stations: Stations = NO_STATIONS  # what that design adds to a listener's way
    _folder: StudyFolder | None = None

    def __init__(self, url: str) -> None:
        shown = "at the given address"  # which is not shown before its password is known
        try:
            shown = sa.make_url(url).render_as_string(hide_password=True)
            self.engine = database.connect(url)
        except UnknownSchemaError as error:
            raise StoreError(f"the database {shown} {error.problem.what}", error.problem.fix) from error
        except (DatabaseFileError, SQLAlchemyError, ImportError) as error:
            cause = getattr(error, "orig", None) or error
            if isinstance(cause, DatabaseFileError):
                raise StoreError(*cause.args) from error
            reason = str(cause).splitlines()[0]
            fix = "check the study's folder, its disk's room, or STUDY_DATABASE_URL"
            if isinstance(error, ImportError):
                fix = "install its driver: pip install 'eureka-study[postgres]'"
            raise StoreError(f"cannot open the database {shown}: {reason}", fix) from error

    @classmethod
    def for_folder(cls, folder: StudyFolder) -> Store:
        """Open the store of a study folder.

        Parameters
        ----------
        folder : StudyFolder
            The study. Its database is responses.sqlite in it, or what STUDY_DATABASE_URL names.

        Raises
        ------
        StoreError
            As for a store, and where the study's listeners are in another database, as when a file was lost.
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
        """Make sure that an answer could be saved at this moment. It costs one read.

        Raises
        ------
        StoreError
            Where the file is gone or can only be read. Its message is for anybody, so it names no path.
        SQLAlchemyError
            Where the database does not answer.
        """
        try:
            writable = database.require(self.engine)
        except DBAPIError as error:
            if database.file_is_gone(self.engine, error):
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
        groups: list[list[Any]] | None = None,
        pairs: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Record what a build made, and draw for every listener an order of it.

        The same build again changes nothing. After the first answer that counts, only the design's digest
        (the wording of the pages) may change; each answer keeps the digest that it was given under.

        Parameters
        ----------
        stimuli : mapping of str to sequence of str
            The ids of the clips of each set, in the order of the design.
        practice : sequence of str
            The ids of the clips for practice.
        key_sha256 : str
            The digest of the sealed key.
        design_digest : str
            The digest of the design.
        file_format : str
            What the clips are written as, "wav" or "flac".
        order : {"counterbalanced", "fixed"}, optional
            Whether the order of clips is balanced over listeners, or the same for all.
        seed : int, optional
            What the orders are drawn with; it follows from the key where it is None.
        repeats : int, optional
            How many clips of a set each listener hears again.
        passes : {1, 2}, optional
            Whether all is asked at once, or the verdicts first and the rest in a second pass.
        groups : list, optional
            Groups of listeners: of each its name, its share, and the blocks of sets that it hears.
        pairs : sequence of mapping, optional
            Of the paired task: which ids may stand side by side, as `study.build.pairs` makes them.

        Raises
        ------
        StoreError
            Where there are answers and the stimuli, the key, the format or the order would change; for an
            empty set, and for an id that stands in two sets.
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
            groups,
            pairs=None if pairs is None else [dict(one) for one in pairs],
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
        """Record that somebody read the key, and close the study for good, in one transaction.

        Raises StoreError if the key is not the sealed one.
        """
        study_log.unblind(self.engine, who, reason, key_sha256)

    def unblindings(self) -> list[dict[str, Any]]:
        """Every unblinding so far, oldest first: at, who, reason, key_sha256."""
        return study_log.rows(self.engine, schema.unblinding)

    # listeners

    def invite(self, name: str, pilot: bool = False) -> str:
        """Invite a listener, who gets the order of clips that is least filled so far.

        Parameters
        ----------
        name : str
            The listener's name. A name that was invited before gets its link again.
        pilot : bool, optional
            Whether they only try the study: a pilot's answers count nowhere.

        Returns
        -------
        str
            The secret of the listener's personal link.

        Raises
        ------
        StoreError
            For an empty name, before the first build, after closing, and for a name that was invited as the
            other kind.
        """
        name = _normalised(name)
        if not name or len(name) > 200:
            raise StoreError(f"listener name {name[:40]!r}", "give each listener a name of 1 to 200 letters")
        with self.engine.begin() as connection:
            token = listeners.invite(connection, name, pilot=pilot)
        if self._folder is not None:
            database_record.note(self._folder, self.engine)
        return token

    def screen_out(self, listener_id: int) -> None:
        """Let a listener go whom the study does not look for. What was answered stays."""
        with self.engine.begin() as connection:
            answering.admit(connection, listener_id)
            recruits.screen_out(connection, listener_id)

    def revoke(self, name: str) -> bool:
        """Withdraw a listener's link. It shows the closing page and saves nothing; what was saved stays.

        Returns whether the link was open until now. Raises StoreError for a name that was not invited.
        """
        with self.engine.begin() as connection:
            return listeners.revoke(connection, _normalised(name))

    def restore(self, name: str) -> bool:
        """Make a revoked link work again. Returns whether it was revoked. Raises StoreError as `revoke`."""
        with self.engine.begin() as connection:
            return listeners.restore(connection, _normalised(name))

    def find(self, token: str | None) -> Listener | None:
        """The listener of a personal link, with the step they are at; None for an unknown secret."""
        if not token:
            return None
        with reading(self.engine) as connection:
            row = connection.execute(sa.select(listener).where(listener.c.token == token)).mappings().first()
            if row is None:
                return None
            state = recruits.state_of(self.engine, connection, row, self.open_link, self.served_stations)
            step = next_step(state)
        copied = ("id", "name", "tab", "playback", "pilot", "group_name")
        return Listener(**{name: row[name] for name in copied}, step=step)

    def listeners(self, pilot: bool | None = None) -> list[ListenerProgress]:
        """All listeners in the order of their invitation; True: only the pilots, False: only the others."""
        return listeners.progress(self.engine, pilot, self.served_stations)

    def claim(self, listener_id: int, tab: str) -> None:
        """From now on this browser tab writes for the listener, and no other one."""
        self._mark(listener_id, tab=tab)

    def consent(self, listener_id: int, version: str) -> None:
        """Record when the listener agreed, and to which version of the text; the first time counts.

        With the first listener who is no pilot the analysis plan that is served is fixed.
        """
        self._mark(listener_id, once="consent_at", consent_version=version)

    def sound_check(self, listener_id: int, playback: str) -> None:
        """The listener hears the tone; `playback` is what they listen on, one of protocol.PLAYBACK."""
        if playback not in PLAYBACK:
            raise StoreError(f"playback = {playback!r}", f"it must be one of {', '.join(PLAYBACK)}")
        self._mark(listener_id, once="sound_check_at", playback=playback)

    def _mark(self, listener_id: int, *, once: str | None = None, **values: Any) -> None:
        change = listener.update().where(listener.c.id == listener_id)
        with self.engine.begin() as connection:
            if once:
                recruits.one_at_a_time(connection)
            moment = clock(connection)
            if once:
                answering.admit(connection, listener_id)
                if not recruits.take_place(connection, self.open_link, listener_id):
                    return
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
        further: Mapping[str, Any] | None = None,
        questions: Sequence[OwnQuestion] = (),
    ) -> Saved:
        """Save changed fields and, when Next was pressed, make the answer final, in one transaction.

        Saving twice is saving once: equal values add no revision, and a final answer stays as it is.

        Parameters
        ----------
        listener_id, slot : int
            The trial, which must be the next one of this listener.
        tab : str
            The browser tab that the changes come from; it must be the one that may write.
        changes : mapping of str to object, optional
            New values by the names of their fields, see `analysis.questionnaire`.
        listening : Listening, optional
            What the player has reported since the page was loaded.
        press : str, optional
            The id of the last press of Next. The browser sends it with every message, so each id counts
            once, over restarts too: a press that came too early does not close an answer later on.
        require_heard, require_confidence : bool, optional
            What the design asks for besides the trial's phase.
        further : mapping of str to object, optional
            New answers to the study's own questions, by their names.
        questions : sequence of OwnQuestion, optional
            The study's own questions on a clip.

        Returns
        -------
        Saved
            Whether the answer is final, and what is still missing.

        Raises
        ------
        OtherTab
            Where another tab has taken over.
        AnswerError
            For a value that no page offers.
        StoreError
            For a trial that is not the next one.
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
            further=further or {},
            questions=questions,
        )

    def clip(self, play_key: str, token: str | None) -> ServedClip | None:
        """The clip behind a play key, for the listener it belongs to and nobody else."""
        with reading(self.engine) as connection:
            row = connection.execute(
                sa.select(
                    trial.c.listener_id,
                    trial.c.slot,
                    trial.c.set_name,
                    trial.c.stimulus_id,
                    sa.literal("").label("side"),
                )
                .join(listener, listener.c.id == trial.c.listener_id)
                .where(
                    trial.c.play_key == play_key,
                    listener.c.token == (token or ""),
                    listener.c.revoked_at.is_(None),
                )
            ).first()
            row = row or pair_task.clip(connection, play_key, token or "")
            if row is None:
                return None
            finished = listeners.states(connection, row.listener_id)[row.listener_id].finished
            if not finished and answering.closed_at(connection) is not None:
                return None
            build = newest(connection)
            if build is None:
                return None
            listener_id, slot, set_name, stimulus_id = row[:4]
            return ServedClip(listener_id, slot, set_name, stimulus_id, build.file_format, row.side)

    def log_play(
        self, clip: ServedClip, kind: str, *, listening: Listening, position_seconds: float | None
    ) -> bool:
        """Record what the player reports by itself; False where one clip's reports are too many."""
        if clip.side:
            where = self.engine, clip.listener_id, clip.slot, clip.side, kind
            return pair_task.log_play(*where, listening=listening, position_seconds=position_seconds)
        return answering.log_play(
            self.engine,
            clip.listener_id,
            clip.slot,
            kind,
            listening=listening,
            position_seconds=position_seconds,
        )

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
        """Save answers to the open questions and, with `finish`, end the study for this listener.

        What is finished stays as it is, and clips that are still to answer keep it open.

        Parameters
        ----------
        listener_id : int
            The listener.
        tab : str
            The browser tab that the texts come from; it must be the one that may write.
        questions : sequence of str
            The open questions as they were asked.
        texts : mapping of int to str or None
            The answers by the number of their question, from 1.
        finish : bool
            Whether the listener sends the form for good.

        Returns
        -------
        bool
            Whether the listener has finished.

        Raises
        ------
        OtherTab
            Where another tab has taken over.
        """
        with self.engine.begin() as connection:
            row = answering.owner(connection, listener_id, tab)
            step = next_step(listeners.states(connection, listener_id, self.served_stations)[listener_id])
            if step.page is not Page.FINAL or step.round > 1:
                return row["finished_at"] is not None
            moment = clock(connection)
            for number, question in enumerate(questions, start=1):
                if number in texts or finish:
                    answering.put_final(connection, listener_id, number, question, texts.get(number), moment)
            changes = {"last_seen_at": moment} | ({"finished_at": moment} if finish else {})
            connection.execute(listener.update().where(listener.c.id == listener_id).values(**changes))
            if finish and not recruits.end(connection, listener_id, recruits.COMPLETED, moment):
                raise StoreError("this listener was let go", "reload the page")
            return finish

    # the study as a whole

    def close_study(self, who: str) -> dt.datetime:
        """Close the study: from now on no listener can answer, and who has finished keeps the last page.

        Returns since when it is closed.

        Returns only after every answer on its way is either saved or refused.
        """
        return study_log.close(self.engine, who)

    def reopen_study(self, who: str) -> bool:
        """Let listeners answer again. Returns whether the study was closed.

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

    def backup(self, file: Path) -> list[Named]:
        """Copy the whole database as it is now into a new SQLite file, while others go on writing.

        The follow-up's recordings go into a folder beside it. Returns those that are not there, or not as
        they were taken. Raises StoreError where the file is there already or cannot be written.
        """
        return backups.backup(self.engine, file, None if self._folder is None else self._folder.recordings)

    def log_event(self, who: str, what: str, detail: str = "") -> None:
        """Record what the researcher did with the study: at most 200, 40 and any number of letters."""
        with self.engine.begin() as connection:
            study_log.log(connection, who, what, detail)

    def events(self) -> list[dict[str, Any]]:
        """All that was recorded, oldest first: at (UTC), who, what, detail."""
        return study_log.rows(self.engine, schema.study_event)

    # what goes to the analysis

    def answers(self, *, practice: bool = False, pilot: bool = False) -> list[dict[str, Any]]:
        """Every final answer, without truth, of listeners or else of pilots; see `study.store.export`."""
        return export.answers(self.engine, practice=practice, pilot=pilot)

    def final_forms(self, *, pilot: bool = False) -> list[dict[str, Any]]:
        """Every open answer, of listeners or else of pilots: listener, number, question, text, saved_at."""
        return export.final_forms(self.engine, pilot=pilot)


def _normalised(name: str) -> str:
    """A listener's name as it is kept: without spaces around it or doubled."""
    return " ".join(name.split())
