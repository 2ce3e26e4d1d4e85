"""Parts that a test needs from the machine: a container engine, a cluster, a program."""

from __future__ import annotations

from typing import NoReturn

import pytest

from capstan_testkit.settings import in_ci, without

CLUSTER = "cluster"
"""A cluster with the container engine and the programs that come with it."""


def missing(reason: str, part: str = CLUSTER) -> NoReturn:
    """The part is not there: in CI that is a failure, on a developer's machine the test is skipped with the reason.

    A CI machine that is meant to be without a part says so: `CAPSTAN_TEST_WITHOUT=cluster`.
    """
    if in_ci() and part not in without():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
