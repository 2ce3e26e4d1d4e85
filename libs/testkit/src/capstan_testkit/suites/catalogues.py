"""What every model catalogue must do: one integer per run, and nothing new when it is asked again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from capstan_contracts.ids import uuid7


class Catalogue(Protocol):
    """The port, as the registry's tests give it."""

    async def ensure_version(self, name: str, *, run: str, source: str, tags: Mapping[str, str]) -> int:
        """The version of a run."""
        ...

    async def set_alias(self, name: str, alias: str, version: int) -> None:
        """Point an alias at a version."""
        ...


class CatalogueBehaviour:
    """Inherit, and give the fixture `catalogue`. Names are fresh, so it may hold other models."""

    async def test_a_run_has_one_version_however_often_it_is_asked_for(self, catalogue: Catalogue) -> None:
        name, first, second = f"suite.{uuid7()}", uuid7(), uuid7()
        assert await version_of(catalogue, name, first) == 1
        assert await version_of(catalogue, name, second) == 2
        assert await version_of(catalogue, name, first) == 1
        assert await version_of(catalogue, f"{name}.other", uuid7()) == 1

    async def test_an_alias_may_be_set_again_and_moved_both_ways(self, catalogue: Catalogue) -> None:
        name = f"suite.{uuid7()}"
        for run in (uuid7(), uuid7()):
            await version_of(catalogue, name, run)
        for version in (1, 1, 2, 1):
            await catalogue.set_alias(name, "champion", version)


async def version_of(catalogue: Catalogue, name: str, run: str) -> int:
    """The version of a run, asked for as the registry does."""
    return await catalogue.ensure_version(name, run=run, source=f"capstan:/{run}", tags={"capstan.run": run})
