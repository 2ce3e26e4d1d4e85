"""Every source under one suite."""

from __future__ import annotations

from typing import Any

import pytest

from capstan_contracts.kinds.sources import SOURCE_SPECS
from capstan_ingestion.sources.port import SOURCES
from capstan_testkit.suites.sources import SourceBehaviour

EXAMPLES: dict[str, tuple[Any, Any]] = {"upload": ("upload", {"kind": "upload", "url": "https://x"})}


def test_the_schema_and_the_implementations_name_the_same_sources() -> None:
    assert SOURCES.names == SOURCE_SPECS.names == tuple(sorted(EXAMPLES))
    assert SOURCES.broken() == SOURCE_SPECS.broken() == []


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
class TestSources(SourceBehaviour):
    @pytest.fixture
    def source(self, kind: str) -> Any:
        return SOURCES.get(kind)

    @pytest.fixture
    def example(self, kind: str) -> Any:
        return EXAMPLES[kind][0]

    @pytest.fixture
    def mistyped(self, kind: str) -> Any:
        return EXAMPLES[kind][1]
