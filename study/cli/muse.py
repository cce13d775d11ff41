"""The command `study muse`: a songwriter alone with a song."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SONG_HELP = "WAV, FLAC, OGG, AIFF, MP3 or M4A, 2 s or longer."


def muse(
    song: Annotated[Path, typer.Argument(metavar="SONG", help=SONG_HELP, show_default=False)],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir", help="Where all is kept; SONG-muse beside the song if not given.", show_default=False
        ),
    ] = None,
    start: Annotated[
        float | None,
        typer.Option(
            min=0, help="Where the passage begins, in s; at a third if not given.", show_default=False
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=2, help="Length of the passage; 25 if not given.", show_default=False)
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="How long it learns; 600 if not given.", show_default=False)
    ] = None,
    clips: Annotated[
        int | None, typer.Option(min=2, max=24, help="Clips of a round; 6 if not given.", show_default=False)
    ] = None,
    port: Annotated[int, typer.Option(help="Port to listen at.", min=1, max=65535)] = 8501,
    language: Annotated[
        str | None, typer.Option(help="Of the page: en or de; en if not given.", show_default=False)
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the link only.")] = False,
) -> None:
    """New music from your own song: listen, keep, ask for more.

    No study and no researcher: nothing is hidden, and nobody else gets in. The same command goes on where it
    stopped.
    """
    from study.muse import beginning
    from study.server import server

    server.require_free("127.0.0.1", port)
    made, lines = beginning.prepare(
        song, folder, start=start, seconds=seconds, epochs=epochs, clips=clips, language=language
    )
    for line in lines:
        print(line, flush=True)
    server.muse(made, port, browser=not no_browser)
