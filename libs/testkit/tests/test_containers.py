"""A machine without a container engine: the reason is said, so that tests can be skipped with it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from capstan_testkit import containers


@pytest.mark.parametrize("part", ["postgres", "redis", "s3", "nats"])
def test_without_an_engine_the_reason_is_said(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'nobody.sock'}")
    parts: dict[str, AbstractContextManager[Any]] = {
        "postgres": containers.postgres_container(),
        "redis": containers.redis_server(),
        "s3": containers.s3_server(),
        "nats": containers.nats_container(tmp_path),
    }
    with pytest.raises(containers.NoContainers, match="there is no container engine for"), parts[part]:
        pass
