"""Every model server under one suite: a child process, and Deployments on a small cluster in this process."""

from __future__ import annotations

import pytest

from capstan_testkit.suites.model_servers import ModelServerBehaviour

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


class TestModelServers(ModelServerBehaviour):
    pass
