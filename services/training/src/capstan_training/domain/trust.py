"""Whose recipes may run on a machine that cannot keep them in a box: those of one person, in one project."""

from __future__ import annotations

from collections.abc import Iterable


def too_many(project: str, others: Iterable[str], persons: Iterable[str]) -> str:
    """Why a recipe of `project` is refused there; empty when it is not. `others` are projects that have recipes."""
    strangers, people = sorted(set(others) - {project}), sorted(set(persons))
    if strangers:
        return f"the project {strangers[0]!r} has recipes here already"
    if len(people) > 1:
        return f"{len(people)} people have tokens here: {', '.join(people)}"
    return ""
