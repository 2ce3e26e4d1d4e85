"""The HTTP API: parse, authorize, call one action, map."""
