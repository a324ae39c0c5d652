"""What Alembic runs to make the steps, on the connection and in the transaction it is handed."""

from alembic import context

from jobs.adapters.ledger_tables import META

context.configure(connection=context.config.attributes["connection"], target_metadata=META)
context.run_migrations()
