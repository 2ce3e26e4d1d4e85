"""What the test kit reads of its surroundings."""

from __future__ import annotations

import os


def in_ci() -> bool:
    """Whether a part that is missing is a failure: where nobody watches, a skipped test is a hole."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


def without() -> set[str]:
    """Parts that this machine is meant not to have: `CAPSTAN_TEST_WITHOUT`, names with commas."""
    return set(os.environ.get("CAPSTAN_TEST_WITHOUT", "").split(",")) - {""}


def without_reaper() -> None:
    """Before testcontainers is imported: its helper container needs one more image, and fixtures clean up anyway."""
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
