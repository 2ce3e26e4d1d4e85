"""Which statistics are installed. Light: the service asks for names only; the worker imports what it uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capstan_contracts.kinds.family import Family

if TYPE_CHECKING:
    from capstan_monitoring.statistics.port import StatisticKind

STATISTICS: Final[Family[StatisticKind]] = Family("capstan.statistics")
