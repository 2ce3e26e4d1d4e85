"""Gates as data: each has a kind, under which the job finds its function, and a name, under which people read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from capstan_contracts.events import GateFigure
from capstan_contracts.loop import ChampionGate, FormatGate, Gate, MetricGate, SliceGate

METRIC: Final = "metric"
NO_WORSE_THAN_CHAMPION: Final = "no-worse-than-champion"
SLICE: Final = "slice"
FORMAT: Final = "format"


def plan(gates: Sequence[Gate]) -> list[dict[str, Any]]:
    """The gates as the job takes them: kind, name and specification."""
    return [{"kind": _kind(gate), "name": name(gate), "spec": gate.model_dump(mode="json")} for gate in gates]


def name(gate: Gate) -> str:
    """What people call a gate."""
    match gate:
        case MetricGate():
            return f"{gate.metric} {'>=' if gate.min is not None else '<='} {_bound(gate):g}"
        case ChampionGate():
            return f"no worse than the champion: {gate.no_worse_than_champion.metric}"
        case SliceGate():
            return f"slice {gate.slice}: {gate.metric}"
        case FormatGate():
            return f"format: {gate.format}"


def approved(figures: Sequence[GateFigure]) -> bool:
    """Whether nothing failed. A gate that could not be judged (too few rows) does not refuse."""
    return all(figure.passed is not False for figure in figures)


def _kind(gate: Gate) -> str:
    kinds: dict[type[Any], str] = {
        MetricGate: METRIC,
        ChampionGate: NO_WORSE_THAN_CHAMPION,
        SliceGate: SLICE,
        FormatGate: FORMAT,
    }
    return kinds[type(gate)]


def _bound(gate: MetricGate) -> float:
    bound = gate.min if gate.min is not None else gate.max
    assert bound is not None
    return bound
