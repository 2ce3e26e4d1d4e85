"""The packages of the champions that a candidate is compared with, and what they read of a holdout."""

from __future__ import annotations

from capstan_packages.models import ModelPackage
from capstan_registry.gates.evidence.case import Case, Contender
from capstan_registry.jobs.scoring import Unusable, open_package


class Champions:
    """The champion, then those before it; each package is opened when it is first asked for, and once."""

    def __init__(self, case: Case) -> None:
        self._event_time = case.event_time
        self.champion, self.former = case.champion, case.former
        self._packages: dict[int, ModelPackage] = {}

    @property
    def contenders(self) -> list[Contender]:
        """All of them; none while there is no champion."""
        return [] if self.champion is None else [self.champion, *self.former]

    def package(self, contender: Contender) -> ModelPackage:
        """Unusable where it is gone, or cannot be read."""
        if contender.version not in self._packages:
            self._packages[contender.version] = open_package(contender.package, self.who(contender))
        return self._packages[contender.version]

    def who(self, contender: Contender) -> str:
        """How sentences call it."""
        return "champion" if contender is self.champion else "former champion"

    def columns(self) -> frozenset[str]:
        """What comparing with them reads of a holdout: the rows' time, and the inputs of those that can be opened."""
        columns: set[str] = set()
        for contender in self.contenders:
            columns.add(self._event_time)
            try:
                columns |= {field.name for field in self.package(contender).header.signature.inputs}
            except Unusable:
                continue  # said when it is asked for
        return frozenset(columns)
