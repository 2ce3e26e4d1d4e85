"""The conformance suite over every metric that is installed."""

from __future__ import annotations

import pytest

from capstan_evaluation.kinds import METRICS, find
from capstan_evaluation.metric import Metric
from capstan_testkit.suites.metrics import MetricBehaviour


@pytest.fixture(params=METRICS.names)
def metric(request: pytest.FixtureRequest) -> Metric:
    return find(request.param)


class TestEveryMetric(MetricBehaviour):
    pass
