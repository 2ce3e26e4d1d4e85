"""The HTTP door: parse, authorize, call one action, map."""
