"""The process that trains the model and draws the clips: `python -m study.muse.worker DIR`.

It is apart from the server, so that the page stays quick and a reload of it ends nothing. It sees from the
folder alone what is missing, so it goes on where an earlier one was killed: a training at its last
checkpoint, a round at the clip that was not made. Its standard input is its tie to the server: a line wakes
it, and the end of the input, as when the server was killed, ends it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterable

from caw import audio
from caw.compose import plan as plans
from caw.compose import transcription
from caw.compose.plan import Plan
from caw.files import atomic
from caw.measures import copying
from caw.measures.spectra import MeasureError
from study.muse import kinds, rounds
from study.muse.folder import MadeClip, MuseError, MuseFolder, PlannedClip, Progress, Settings
from study.muse.keeper import PATIENCE, PROBLEM

EARLY = 40  # epochs after which the first sketches are drawn
_REPORT_EVERY = 1.0  # s
_NICE = 5  # below the page's own priority


class Worker:
    """What is missing in one folder, and the making of it."""

    def __init__(self, folder: MuseFolder) -> None:
        self.folder = folder
        self.settings: Settings = folder.settings()
        self.passage, self.rate = audio.read(folder.passage)
        self.reported = 0.0

    def work(self) -> None:
        """Make all that is missing now."""
        heard = self._heard()
        possible = kinds.possible(heard)
        sketches = self.settings.epochs > 2 * EARLY
        if not self.folder.rounds():
            self.folder.add_round(
                rounds.first(possible, self.settings.clips, self.settings.seed, sketches=sketches)
            )
        if early := self._missing(rounds.EARLY):
            self._draw(early, EARLY, heard)
        while missing := self._missing():
            self._draw(missing, self.settings.epochs, heard)
        self.folder.note_progress(Progress("waiting"))

    def _missing(self, why: str = "") -> list[PlannedClip]:
        """The clips that are not made of the first round with any; only those that are there for `why`."""
        for each in self.folder.rounds():
            missing = [
                clip for clip in each.clips if why in ("", clip.why) and not self.folder.clip(clip.name)
            ]
            if missing:
                return missing
        return []

    def _heard(self) -> Plan:
        """What the passage plays, as the file says; the user may have corrected it."""
        if not self.folder.plan.is_file():
            self.folder.note_progress(Progress("listening"))
            heard = transcription.transcribe(self.passage, self.rate, source=self.settings.song)
            plans.write(self.folder.plan, heard)
        return plans.read(self.folder.plan)

    def _draw(self, missing: Iterable[PlannedClip], epochs: int, heard: Plan) -> None:
        run = self._trained(epochs)
        for planned in missing:
            self.folder.note_progress(Progress("drawing", clip=planned.name))
            drawn = kinds.draw(planned.kind, run, self.passage, self.rate, heard, planned.seed)
            self._keep(planned, drawn, epochs, heard)

    def _keep(self, planned: PlannedClip, drawn: kinds.Drawn, epochs: int, heard: Plan) -> None:
        """Write a clip's sound, then what it plays, then what it is."""
        file = self.folder.sound(planned.name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", audio.AudioWarning)  # a clip above full scale is lowered to fit
            samples = audio.within_full_scale(drawn.samples, file.name)
        audio.write(file, samples, drawn.rate)
        plays = what_plays(drawn, heard, file.name)
        plans.write(self.folder.plan_of(planned.name), plays)
        self.folder.add_clip(
            MadeClip(
                planned.name,
                drawn.rate,
                len(samples) / drawn.rate,
                epochs,
                drawn.first,
                drawn.last,
                plays.bpm if plays.sections else None,
                plays.metre if plays.sections else None,
                " ".join(",".join(bar.chords) or "?" for bar in plays.bars()),
                drawn.asked,
                drawn.asked_bpm,
                self._copied(drawn),
                atomic.sha256(file),
            )
        )

    def _copied(self, drawn: kinds.Drawn) -> float | None:
        """The share of a clip that is pasted from the passage; None where it is too short to say."""
        own = self.passage
        if drawn.rate != self.rate:
            own = audio.resample(own, self.rate, drawn.rate)
        try:
            return round(copying.copying(own, drawn.new, drawn.rate)["share"], 3)
        except MeasureError:
            return None

    def _trained(self, epochs: int):
        """The run of so many epochs: loaded, gone on with, or trained from where the sketches' run ended."""
        from caw import runs
        from caw.config import preset
        from caw.training import TrainingProgress, train

        place = self.folder.model / str(epochs)
        if (place / runs.FINISHED).is_file():
            return runs.load(place)
        early = epochs < self.settings.epochs

        def show(now: TrainingProgress) -> None:
            if time.monotonic() - self.reported >= _REPORT_EVERY:
                self.reported = time.monotonic()
                self.folder.note_progress(Progress("training", early, now.fraction, now.remaining))

        self.folder.note_progress(Progress("training", early))
        changes = dict(self.settings.model)
        name = changes.pop("preset", "fast")
        settings = preset(name, **(changes | {"epochs": epochs, "seed": self.settings.seed}))
        if not getattr(settings, "guide", False):
            raise MuseError(f"{self.folder.toml}: a [model] without a guide", "use preset fast or standard")
        return train(
            self.passage, self.rate, place, settings=settings, resume=True, progress=show,
            shared_checkpoint=self.folder.model / "trunk.pt",
            source={"file": self.settings.song, "start": self.settings.start},
        )  # fmt: skip


def what_plays(drawn: kinds.Drawn, heard: Plan, source: str) -> Plan:
    """What is heard in a clip. Where its own beat is not clear, it is followed at the tempo it was made at.

    heard: what the song plays.
    """
    plays = transcription.transcribe(drawn.new, drawn.rate, source=source)
    bpm = drawn.asked_bpm or heard.bpm
    if plays.sections or bpm is None:
        return plays
    return transcription.transcribe(drawn.new, drawn.rate, bpm=bpm, source=source)


def main(path: str) -> int:
    """Make what is missing, then wait to be woken. Returns `PROBLEM` where the user has to do something."""
    wake = threading.Event()
    for number in (signal.SIGINT, signal.SIGHUP):  # Ctrl-C reaches the whole group; the server ends this one
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_listen, args=(wake,), daemon=True).start()
    os.nice(_NICE)
    folder = MuseFolder(path)
    try:
        with folder.worked_on():
            folder.remove_leftovers()
            worker = Worker(folder)
            while True:
                wake.clear()
                worker.work()
                wake.wait()
    except KeyboardInterrupt:
        return 0
    except (ValueError, OSError) as error:
        if isinstance(error, OSError):
            error = (
                f"{error.filename or 'a file'}: {error.strerror or error}; check path, rights and free space"
            )
        with contextlib.suppress(OSError):
            folder.note_progress(Progress(problem=" ".join(str(error).split())))
        print(error, file=sys.stderr, flush=True)
        return PROBLEM


def _listen(wake: threading.Event) -> None:
    """Wake the worker at each line; end it at the end of the input."""
    while os.read(sys.stdin.fileno(), 1):  # sys.stdin itself would be locked while it waits, also at the end
        wake.set()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os.kill(os.getpid(), signal.SIGKILL)


def _interrupt(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
