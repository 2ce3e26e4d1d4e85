"""The conformance suite over every metric that is installed."""

from __future__ import annotations

import pytest

from capstan_evaluation.kinds import installed
from capstan_evaluation.metric import Metric
from capstan_testkit.suites.metrics import MetricBehaviour


@pytest.fixture(params=installed().names())
def metric(request: pytest.FixtureRequest) -> Metric:
    return installed().find(request.param)


class TestEveryMetric(MetricBehaviour):
    pass
