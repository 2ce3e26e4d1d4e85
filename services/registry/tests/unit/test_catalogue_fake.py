"""The catalogue that tests use in place of MLflow is held to the same suite (MLflow: integration/test_mlflow.py)."""

from __future__ import annotations

from capstan_testkit.suites.catalogues import CatalogueBehaviour


class TestRemembered(CatalogueBehaviour):
    """The fixture `catalogue` of conftest.py."""
