"""The steps, run by Alembic, from one version of the database to the next; see study.store.database."""
