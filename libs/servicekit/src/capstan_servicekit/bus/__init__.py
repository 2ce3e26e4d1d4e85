"""The event bus behind a port. It is transport: what was said is in the databases."""
