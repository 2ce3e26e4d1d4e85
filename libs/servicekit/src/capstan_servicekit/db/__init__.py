"""Database sessions, and the tables that every service has: outbox, inbox, work, dead letters, idempotency keys."""
