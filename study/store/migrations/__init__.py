"""Alembic's way from one version of the database to the next; see study.store.migrating."""
