"""Every executor under one suite: on this machine, on a fake cluster, on a real one."""

from __future__ import annotations

import pytest

from capstan_testkit.suites.executors import ExecutorBehaviour

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


class TestExecutors(ExecutorBehaviour):
    pass
