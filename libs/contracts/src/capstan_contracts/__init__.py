"""The one copy of ids, events, REST models, error codes and the Loop spec; pydantic only."""
