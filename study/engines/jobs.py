"""One job: doing it, as a worker of any engine does, and the record of what became of it."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from caw import audio
from caw.cli.command_line import NO_ROOM
from caw.files import atomic
from study import backends
from study.backends import Task
from study.engines import ClipReady, Ended, Event, Failed, Job, Progress, Report, Started, Warned, WorkerLost

ATTEMPTS = 3  # at a task whose worker is lost
_REPORT_EVERY = 0.3  # seconds: a training reports every step


@dataclass
class JobRecord:
    """A job, and what has become of it so far, for an engine whose workers may be lost."""

    job: Job
    ready: set[str] = field(default_factory=set)  # names of clips
    failed: set[int] = field(default_factory=set)  # places of tasks
    losses: int = 0  # of workers, at the task in the place `lost_at`
    lost_at: int = -1

    def remaining(self) -> tuple[Job, list[int]]:
        """The tasks with the clips that are still to be made, and the place of each in the whole job."""
        return remaining(self.job, self.ready, self.failed)

    def note(self, event: Event) -> None:
        """Remember what the event says."""
        if isinstance(event, ClipReady):
            self.ready.add(event.clip.name)
        if isinstance(event, Failed):
            self.failed.add(event.place)

    def lose(self, why: str, advice: str) -> list[Event]:
        """Count the loss of the job's worker. Returns the events that follow from it.

        The last of them is `WorkerLost` where the job is to be given to another worker, and `Ended` where it
        is not, because nothing is left of it.
        """
        events: list[Event] = []
        places = self.remaining()[1]
        if places and places[0] != self.lost_at:
            self.lost_at, self.losses = places[0], 0
        self.losses += 1
        if places and self.losses >= ATTEMPTS:
            self.failed.add(places.pop(0))
            events.append(Failed(self.job.number, self.lost_at, f"{why}, {ATTEMPTS} times{advice}"))
        last = WorkerLost(self.job.number, why=why) if places else Ended(self.job.number)
        return [*events, last]


def remaining(job: Job, ready: set[str], failed: set[int]) -> tuple[Job, list[int]]:
    """What is left of a job: its tasks without the clips that are ready, and the place of each in the job."""
    left, places = [], []
    for place, (backend, task) in enumerate(job.tasks):
        names = tuple(name for name in task.names if name not in ready)
        if names and place not in failed:
            left.append((backend, replace(task, names=names)))
            places.append(place)
    return replace(job, tasks=tuple(left), costs=()), places  # the costs were those of all of it


def perform(job: Job, report: Report, places: Sequence[int] | None = None) -> None:
    """Do all tasks of a job in this process.

    places: of the tasks in the whole job, where this is a part of it. KeyboardInterrupt and what `report`
    raises leave this function, and no other exception does.
    """
    places = range(len(job.tasks)) if places is None else places
    report(Started(job.number, places[0] if places else 0))
    for place, (backend, task) in zip(places, job.tasks, strict=True):
        if failure := _attempt(job.number, place, backend, task, report):
            report(failure)
    report(Ended(job.number))


def _attempt(number: int, place: int, backend: str, task: Task, report: Report) -> Failed | None:
    progress = _ThinnedProgress(number, place, report)
    warned: set[str] = set()

    def show_warning(message, category, *_) -> None:
        if str(message) not in warned:
            warned.add(str(message))
            report(Warned(number, place, str(message)))

    clips = None
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.simplefilter("always", audio.AudioWarning)
                warnings.showwarning = show_warning
                if clips is None:
                    _require_unchanged(task)
                    clips = iter(backends.get(backend).make(task, progress))
                clip = next(clips, None)
                if clip is not None:
                    _require_unchanged(task)
        except ValueError as error:
            return Failed(number, place, " ".join(str(error).split()))
        except OSError as error:
            file = str(error.filename or "a file")
            why = f"{file}: {error.strerror or error}; check path and rights"
            return Failed(number, place, why, no_room=file if error.errno in NO_ROOM else "")
        except Exception as error:  # a fault of the backend: its traceback is for whoever corrects it
            return Failed(number, place, _logged(task, error))
        if clip is None:
            return None
        report(ClipReady(number, place, clip))


def _require_unchanged(task: Task) -> None:
    for file, sha256 in task.cell.files.items():
        backends.require_unchanged(file, sha256)


def _logged(task: Task, error: Exception) -> str:
    """One line on an unexpected error, whose traceback is written to the task's log."""
    log = task.models / f"{task.cell.name}.log"
    kind = type(error).__name__
    try:
        atomic.write(log, "".join(traceback.format_exception(error)))
    except OSError as fault:
        return f"{kind}: {error} (and no log could be written: {fault}); this is a fault of the backend"
    return f"{kind}: {str(error).splitlines()[0] if str(error) else 'no message'}; see the traceback in {log}"


class _ThinnedProgress:
    """Passes on a backend's progress, not too often.

    A new activity, as drawing after training, is passed on at once, as it may be the last report for long.
    """

    def __init__(self, number: int, place: int, report: Report):
        self.number, self.place, self.report = number, place, report
        self.last, self.activity = 0.0, ""

    def __call__(self, share: float, text: str) -> None:
        now, activity = time.monotonic(), text.partition(":")[0]
        if activity != self.activity or now - self.last >= _REPORT_EVERY:
            self.last, self.activity = now, activity
            self.report(Progress(self.number, self.place, share, text))
