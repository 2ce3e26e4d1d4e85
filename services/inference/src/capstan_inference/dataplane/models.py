"""The models in memory: one atomic reference per project and name; requests under way finish on the one they took."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from capstan_contracts.first_champion import HINT
from capstan_inference.dataplane.config import Placement
from capstan_inference.dataplane.counters import Counters
from capstan_inference.dataplane.online import open_views
from capstan_inference.dataplane.request_errors import NOT_FOUND, NOT_READY, RequestError
from capstan_inference.dataplane.served import Served

DAMAGED_HINT: Final = "Put its package back, or go back to a former champion with `capstan models rollback`."


class Models:
    """Loads one model at a time, in any thread; reads need no lock."""

    def __init__(self, online: str | Path, counters: Counters) -> None:
        self._views = open_views(online)
        self._counters = counters
        self._served: dict[tuple[str, str], Served] = {}
        self._refused: dict[tuple[str, str], str] = {}
        self._loading = threading.Lock()

    def place(self, placement: Placement) -> None:
        """Load, warm, then swap. RequestError leaves what was there in its place."""
        with self._loading:
            served = Served(placement, self._views, self._counters)
            key = (placement.project, placement.deployment)
            self._counters.swaps += key in self._served
            self._served[key] = served
            self._refused.pop(key, None)

    def refuse(self, project: str, name: str, detail: str) -> None:
        """Say why a model that should be here is not: callers hear it, until one is placed."""
        self._refused[project, name] = detail

    def get(self, project: str, name: str, version: str | None = None) -> Served:
        """The model that answers now. RequestError where the project has none of that name and version."""
        served = self._served.get((project, name))
        if served is None and (why := self._refused.get((project, name))) is not None:
            raise RequestError(NOT_READY, f"model {name!r} cannot be served: {why}", hint=DAMAGED_HINT)
        if served is None:
            raise RequestError(NOT_FOUND, f"no model {name[:64]!r} in project {project[:64]!r}", hint=HINT)
        if version is not None and version != str(served.placement.version):
            raise RequestError(
                NOT_FOUND, f"model {name!r} serves version {served.placement.version}, not {version[:20]!r}"
            )
        return served

    def names(self, project: str) -> list[str]:
        """The models of a project."""
        return sorted(name for owner, name in self._served if owner == project)

    def close(self) -> None:
        """Let go of everything."""
        self._served.clear()
        self._views.close()
