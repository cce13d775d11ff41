"""Studies that older code made, kept as archives, and what tests do with them."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

from typer.testing import CliRunner

from study.cli.commands import app


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an archive into a folder, and return the folder."""
    with tarfile.open(archive) as packed:
        packed.extraction_filter = getattr(tarfile, "tar_filter", None)  # Python 3.11.0 to 3.11.3 have none
        packed.extractall(folder)
    return folder


def run(*arguments: object) -> str:
    """Run a `study` command that must succeed, and return what it printed."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def files_of(folder: Path) -> dict[str, str]:
    """The digest of every file below a folder, by its path."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
