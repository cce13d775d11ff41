"""Doing a job in this process: what a worker of any engine does."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Sequence

from caw import audio
from caw.cli.command_line import NO_ROOM
from caw.files import atomic
from study import backends
from study.backends import Task
from study.engines import ClipReady, Ended, Failed, Job, Progress, Report, Started, Warned

_BETWEEN_WORDS = 0.3  # s: a training tells of every step


def perform(job: Job, say: Report, places: Sequence[int] | None = None) -> None:
    """Do all tasks of a job. Leaves by KeyboardInterrupt and by what `say` raises, and by nothing else.

    places: of the tasks in the whole job, where this is a part of it.
    """
    say(Started(job.number, places[0] if places else 0))
    for here, (backend, task) in enumerate(job.tasks):
        place = here if places is None else places[here]
        if failed := _attempt(job.number, place, backend, task, say):
            say(failed)
    say(Ended(job.number))


def _attempt(number: int, place: int, backend: str, task: Task, say: Report) -> Failed | None:
    words = _Words(number, place, say)
    told: set[str] = set()

    def warned(message, category, *_) -> None:
        if str(message) not in told:
            told.add(str(message))
            say(Warned(number, place, str(message)))

    clips = None
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.simplefilter("always", audio.AudioWarning)
                warnings.showwarning = warned
                if clips is None:
                    _require_planned(task)
                    clips = iter(backends.get(backend).make(task, words.tell))
                clip = next(clips, None)
                if clip is not None:
                    _require_planned(task)
        except ValueError as error:
            return Failed(number, place, " ".join(str(error).split()))
        except OSError as error:
            file = str(error.filename or "a file")
            why = f"{file}: {error.strerror or error}; check path and rights"
            return Failed(number, place, why, no_room=file if error.errno in NO_ROOM else "")
        except Exception as error:  # a fault of the backend: kept for who can mend it
            return Failed(number, place, _logged(task, error))
        if clip is None:
            return None
        say(ClipReady(number, place, clip))


def _require_planned(task: Task) -> None:
    for file, sha256 in task.cell.files.items():
        backends.require_unchanged(file, sha256)


def _logged(task: Task, error: Exception) -> str:
    log = task.models / f"{task.cell.name}.log"
    kind = type(error).__name__
    try:
        atomic.write(log, "".join(traceback.format_exception(error)))
    except OSError as fault:
        return f"{kind}: {error} (and no log could be written: {fault}); this is a fault of the backend"
    return f"{kind}: {str(error).splitlines()[0] if str(error) else 'no message'}; see the traceback in {log}"


class _Words:
    """Passes on what a backend tells, not too often; what is new, as drawing after training, at once: it may
    be the last word for long."""

    def __init__(self, number: int, place: int, say: Report):
        self.number, self.place, self.say = number, place, say
        self.last, self.what = 0.0, ""

    def tell(self, share: float, text: str) -> None:
        now, what = time.monotonic(), text.partition(":")[0]
        if what != self.what or now - self.last >= _BETWEEN_WORDS:
            self.last, self.what = now, what
            self.say(Progress(self.number, self.place, share, text))
