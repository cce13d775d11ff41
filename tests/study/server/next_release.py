"""A copy of this program as its next release could be: one question and one migration more."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from study.store import database

ROOT = Path(__file__).parents[3]
NEXT = database.VERSION + 1
FIELD = f"""
NOVELTY = Field(
    name="novelty", kind="scale", levels=(1, 2, 3, 4, 5), phase="rating", block="musicality", version={NEXT}
)
FIELDS = (*FIELDS, NOVELTY)
NAMES = """
CLIP = """[clip]
novelty = "How new is it?"
novelty_low = "old"
novelty_high = "new"
"""
OWED = """
[owed]
novelty = "the novelty"
#"""
MIGRATION = f"""
import sqlalchemy as sa
from alembic import op

revision = "{NEXT:04d}"
down_revision = "{database.VERSION:04d}"


def upgrade() -> None:
    op.add_column("answer", sa.Column("novelty", sa.Integer))
    op.execute("UPDATE about SET value = '{NEXT}' WHERE name = 'schema'")
"""


class NextRelease:
    """The copy in a folder; its only changes are the questionnaire's, the catalogues' and the migration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for package in ("caw", "analysis", "study"):
            left_out = shutil.ignore_patterns("__pycache__", "*.flac")
            shutil.copytree(ROOT / package, folder / package, ignore=left_out)
        self.change("analysis/questionnaire.py", "\nNAMES = ", FIELD)
        for language in ("en", "de"):
            self.change(f"study/languages/{language}.toml", "[clip]\n", CLIP)
            self.change(f"study/languages/{language}.toml", "\n[owed]", OWED)
        self.migration = folder / "study/store/migrations/versions" / f"{NEXT:04d}_novelty.py"
        self.migration.write_text(MIGRATION)

    def change(self, name: str, before: str, after: str) -> None:
        file = self.folder / name
        text = file.read_text("utf-8")
        assert text.count(before) == 1, (name, before)
        file.write_text(text.replace(before, after), "utf-8")

    def start(self, code: str, *arguments: object) -> subprocess.Popen[bytes]:
        """A process of the copy."""
        command = [sys.executable, "-c", code, *map(str, arguments)]
        place = {"cwd": self.folder, "env": os.environ | {"PYTHONPATH": str(self.folder)}}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **place)

    def run(self, code: str, *arguments: object) -> subprocess.CompletedProcess[bytes]:
        """A process of the copy that has ended."""
        process = self.start(code, *arguments)
        out, errors = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, out, errors)
