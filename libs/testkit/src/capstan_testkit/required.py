"""Parts that a test needs from the machine: a container engine, a cluster, a program."""

from __future__ import annotations

from typing import NoReturn

import pytest

from capstan_testkit.settings import in_ci


def missing(reason: str) -> NoReturn:
    """The part is not there: in CI that is a failure, on a developer's machine the test is skipped with the reason."""
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
