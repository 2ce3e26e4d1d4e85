"""Typed REST clients, the Python SDK, the capstan command and the laptop platform."""
