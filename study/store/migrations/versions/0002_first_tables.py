"""The tables that the first release had, from which every later migration starts.

A fresh database gets the newest tables at once (study.store.database), so there is nothing to do here. The
statements that made these tables are in tests/study/server/data.
"""

revision = "0002"
down_revision = None


def upgrade() -> None:
    """Nothing: a database stands at this revision or at a later one."""
