"""Songs, own questions, the open link, follow-ups, further rounds and the paired task.

New tables are made as study.store.schema has them; older tables get the columns listed here.
"""

from alembic import op

from study.store.schema import metadata

revision = "0003"
down_revision = "0002"

COLUMNS = (("build", "groups"), ("build", "pairs"), ("listener", "group_name"), ("listener", "before_at"))
COLUMNS += (("trial", "round"), ("answer", "further"))
TABLES = ("own_answer", "check_result", "recruit", "recruit_id", "follow_up", "follow_up_clip")
TABLES += ("listening_round", "pair_trial", "pair_answer")


def upgrade() -> None:
    """Adds columns and tables; what is there stays as it is."""
    for table, column in COLUMNS:
        op.add_column(table, metadata.tables[table].c[column]._copy())
    for table in TABLES:
        metadata.tables[table].create(op.get_bind())
    op.execute("UPDATE about SET value = '3' WHERE name = 'schema'")
