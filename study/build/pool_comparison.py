"""Lays a clip of the pool beside the passage it was made from, as one HTML page.

Run by the researcher's page "Pool" as `python -m study.build.pool_comparison DIR CLIP PAGE`, in a process of
its own: the analysis and its plots stay out of the server that listeners use.
"""

from __future__ import annotations

import sys
from pathlib import Path

from caw import audio
from caw.files import atomic
from study import design, pool
from study.build.curation import CurationError
from study.folder import StudyFolder


def write(folder: StudyFolder, clip: str, page: Path) -> Path:
    """Write the comparison of a clip with its source's passage to `page`, for its owner alone.

    Raises: CurationError for a clip without a source in study.toml; AudioError and other ValueErrors for
    files that cannot be read or compared.
    """
    from analysis.sounds import comparison

    settings = design.load(folder.require().path)
    row = next((row for row in pool.rows(folder) if row["name"] == clip), None)
    source = next((one for one in settings.sources if row and one.name == row["source"]), None)
    if source is None:
        raise CurationError(f"{clip}: no clip of the pool with a [[source]] in study.toml; see `study pool`")
    file = folder.path / source.file
    rest = audio.inspect(file).seconds - source.start
    seconds = min(rest, source.seconds or design.LONGEST_DEFAULT_PASSAGE)
    made = folder.pool / f"{clip}.wav"
    text = comparison.page(file, [made], [source.name, clip], start=source.start, seconds=seconds)
    page.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    atomic.write(page, text, mode=0o600)
    return page


def main() -> None:
    """Exit code 2 and one line on stderr for what the researcher can mend."""
    try:
        write(StudyFolder(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
    except (ValueError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
