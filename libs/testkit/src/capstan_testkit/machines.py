"""Walks a state machine's table, and holds it against the actions that it names."""

from __future__ import annotations

import importlib
import inspect
from enum import StrEnum
from typing import TypeVar

from capstan_contracts.states import Machine

S = TypeVar("S", bound=StrEnum)


def assert_whole(machine: Machine[S], *, finals: set[S], package: str) -> None:
    """Every state can be reached, the finals and no others end, and each transition is made where the table says.

    `package` is the service's. A module makes a transition when its source names the state that it leads to.
    """
    assert reachable(machine) == set(machine.states)
    assert machine.finals == finals
    for (before, after), modules in machine.transitions.items():
        assert modules, f"nobody moves a {machine.thing} from {before} to {after}"
        for module in modules:
            source = inspect.getsource(importlib.import_module(f"{package}.{module}"))
            named = f"{machine.words.__name__}.{after.name}"
            assert named in source, f"{module} never names {named}, and is said to move a {machine.thing} there"


def reachable(machine: Machine[S]) -> set[S]:
    """The states that a thing can come to from the first one."""
    reached, frontier = {machine.first}, [machine.first]
    while frontier:
        state = frontier.pop()
        following = {after for before, after in machine.transitions if before is state} - reached
        reached |= following
        frontier += following
    return reached
