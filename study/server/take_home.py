"""What a listener takes home: the clips marked "Keep this one", with tempo and key.

Only where the design allows it, and only after the listener has finished: clips side by side tell more than
one, and whoever keeps them could show them to those who are still at it. Before the study is unblinded they
are the files that were heard, and no name, no order and no date in the archive says what a clip is.
Afterwards they are the whole clips at full quality, named after song and model.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import wave
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from caw import audio
from study.languages import Words, wording
from study.server import links
from study.server.full_quality import Truth
from study.server.served import Served, served
from study.store.database import reading
from study.store.protocol import Page
from study.store.schema import answer, trial
from study.store.store import Listener

ADDRESS = "/kept.zip"
_SYMBOLS = {  # as chord symbols, which DAWs write in every language; a German B is an English B flat
    "major": ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"),
    "minor": ("Cm", "C#m", "Dm", "Ebm", "Em", "Fm", "F#m", "Gm", "G#m", "Am", "Bbm", "Bm"),
}
_PIECE = 1 << 20  # bytes of the archive that are sent at once
_WHEN = (2026, 1, 1, 0, 0, 0)  # of every file: when a clip was made tells what it is


@dataclass(frozen=True)
class KeptClip:
    """A clip that a listener keeps; `number` says when it was first heard, from 1, practice not counted."""

    number: int
    set_name: str
    stimulus_id: str

    @property
    def place(self) -> tuple[str, str]:
        return self.set_name, self.stimulus_id

    @property
    def name(self) -> str:
        return f"clip-{self.number:02d}.wav"


@dataclass(frozen=True)
class Facts:
    """What a DAW asks of a clip. tempo in beats per minute, key as (semitones from C, mode)."""

    tempo: float | None
    key: tuple[int, str] | None
    seconds: float
    rate: int
    channels: int
    bits: int = 16


def may_take(study: Served, person: Listener) -> bool:
    return study.design.listening.take_home and person.step.page in (Page.DONE, Page.FOLLOW_UP)


def kept_clips(engine: sa.Engine, listener_id: int) -> list[KeptClip]:
    """The clips that a listener keeps, by the order in which they were first heard.

    A clip counts once, whether it came again as a hidden repeat, in a second round, or both.
    """
    here = sa.and_(answer.c.listener_id == trial.c.listener_id, answer.c.slot == trial.c.slot)
    query = (
        sa.select(trial.c.set_name, trial.c.stimulus_id, answer.c.kept)
        .join(answer, here)
        .where(trial.c.listener_id == listener_id, trial.c.part > 0)
        .order_by(trial.c.slot)
    )
    heard: dict[tuple[str, str], bool] = {}
    with reading(engine) as connection:
        for set_name, stimulus_id, wanted in connection.execute(query):
            heard[set_name, stimulus_id] = heard.get((set_name, stimulus_id), False) or bool(wanted)
    return [KeptClip(number, *clip) for number, (clip, wanted) in enumerate(heard.items(), start=1) if wanted]


async def download(request: Request) -> Response:
    """The archive, for the finished listener whose cookie asks; 404 for everybody else."""
    cookie, mark = request.cookies.get(served().listener_cookie), request.query_params.get(links.MARK)
    tokens = [links.chosen(cookie, mark)] if mark else links.remembered(cookie)[:1]
    archived = await run_in_threadpool(_archive_of, next(iter(tokens), None))
    if archived is None:
        return Response(status_code=404)
    name = archive_name(wording.of(served().design))
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    headers["content-length"] = str(archived.seek(0, io.SEEK_END))
    return StreamingResponse(_pieces(archived), media_type="application/zip", headers=headers)


def _archive_of(token: str | None) -> IO[bytes] | None:
    study = served()
    person = study.store.find(token)
    if person is None or not may_take(study, person):
        return None
    clips = kept_clips(study.store.engine, person.id)
    return archive(study, clips) if clips else None


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece


def archive(study: Served, clips: list[KeptClip]) -> IO[bytes]:
    """A zip of the clips as WAV files, with a text file of their tempo, key, length and form.

    It is a temporary file, gone when it is closed: clips at full quality can be too large for memory.
    """
    say, truth = wording.of(study.design), Truth.of(study)
    lines = [say("take_home.heading", study=study.design.study.title), say("take_home.hint"), ""]
    out = tempfile.TemporaryFile()  # noqa: SIM115, as it is sent and closed after this function has returned
    with zipfile.ZipFile(out, "w") as pack, tempfile.TemporaryDirectory() as folder:

        def put(name: str, content: IO[bytes]) -> None:
            entry = zipfile.ZipInfo(f"{say('take_home.folder')}/{name}", _WHEN)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with pack.open(entry, "w") as file:
                shutil.copyfileobj(content, file)

        for clip in clips:
            heard = study.folder.stimulus(*clip.place)
            name, about, remark = clip.name, facts(heard), ""
            row = truth.key.get(clip.place) if truth else None
            sound = truth.sound(row) if row else None
            if row:
                name = f"{truth.title(say, clip.number, row)}.wav"
                remark = "" if sound else f" ({say('take_home.as_heard')})"
            if sound:
                about = replace(about, **_form(*sound))
                audio.write(Path(folder) / "whole.wav", *sound)
                with (Path(folder) / "whole.wav").open("rb") as file:
                    put(name, file)
            else:
                put(name, io.BytesIO(_wav(heard)))
            lines.append(line(say, name, about) + remark)
        put(say("take_home.file"), io.BytesIO(("\r\n".join(lines) + "\r\n").encode("utf-8-sig")))
    return out


def _form(samples: np.ndarray, rate: int) -> dict[str, Any]:
    """What `Facts` hold of the file that a clip at full quality is written into."""
    channels = samples.shape[0] if samples.ndim > 1 else 1
    return {"seconds": samples.shape[-1] / rate, "rate": rate, "channels": channels, "bits": 24}


def line(say: Words, name: str, facts: Facts) -> str:
    """One clip of the text file: "clip-03.wav: 96.1 BPM, A minor (Am), 10 s, 16000 Hz, 16 bit, mono"."""
    tempo = say("take_home.no_tempo")
    if facts.tempo is not None:
        tempo = say("take_home.tempo", bpm=say.number(facts.tempo, ".1f"))
    key = say("take_home.no_key")
    if facts.key is not None:
        tonic, mode = facts.key
        tonics = say.texts["take_home.minor_tonics" if mode == "minor" else "take_home.tonics"]
        key = f"{say(f'take_home.{mode}', tonic=tonics[tonic])} ({_SYMBOLS[mode][tonic]})"
    return say(
        "take_home.line",
        name=name,
        tempo=tempo,
        key=key,
        seconds=say.number(round(facts.seconds, 2)),
        rate=facts.rate,
        bits=facts.bits,
        channels=say("take_home.mono" if facts.channels == 1 else "take_home.stereo"),
    )


@lru_cache(maxsize=256)
def facts(file: Path) -> Facts:
    """What is known of a stimulus file, estimated from its sound alone."""
    from caw.measures import harmony, rhythm, spectra  # here: the first page need not wait for SciPy

    samples, rate = _samples(file)
    mono = (samples.mean(axis=1) / 32768).astype("float32")

    def estimated(what):
        try:
            return what(mono, rate)
        except spectra.MeasureError:  # too short, or silence
            return None

    return Facts(estimated(rhythm.tempo), estimated(harmony.key), len(samples) / rate, rate, samples.shape[1])


def _samples(file: Path):
    """The file's own 16-bit samples [n, channels] and its rate in Hz."""
    import soundfile

    return soundfile.read(file, dtype="int16", always_2d=True)


def _wav(file: Path) -> bytes:
    samples, rate = _samples(file)
    out = io.BytesIO()
    with wave.open(out, "wb") as pack:
        pack.setnchannels(samples.shape[1])
        pack.setsampwidth(2)
        pack.setframerate(rate)
        pack.writeframes(samples.astype("<i2").tobytes())
    return out.getvalue()


def archive_name(say: Words) -> str:
    return f"{say('take_home.folder')}.zip"
