"""Run by Alembic: the migrations, on the connection and in the transaction of study.store.database."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
