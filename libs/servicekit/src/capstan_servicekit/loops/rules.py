"""Rules of a loop that every service checks, and checks alike: the same fault has one code, status and place."""

from __future__ import annotations

from collections.abc import Iterable

from capstan_contracts.errors import FieldError
from capstan_contracts.loop import Loop, ResolvedLoop
from capstan_servicekit.errors import InvalidSpec, NotBuiltYet, broken

Rule = tuple[str, str]
"""Place in the loop, and the rule that is broken there."""


def check_name(loop: Loop, project: str, name: str) -> None:
    """The loop is the one that the path names. InvalidSpec at `metadata.project` or `metadata.name`."""
    for field, stated, in_path in (
        ("project", loop.metadata.project, project),
        ("name", loop.metadata.name, name),
    ):
        if stated != in_path:
            raise InvalidSpec(
                f"The loop's {field} is {stated!r}, the path says {in_path!r}",
                errors=broken(f"metadata.{field}", f"must be {in_path!r}, as in the path"),
            )


def check_built(loop: Loop, stations: Iterable[str]) -> None:
    """Nothing is asked of these stations that does not exist yet: NotBuiltYet with every such place."""
    prefixes = tuple(stations)
    missing = [(place, rule) for place, rule in loop.not_built_yet() if place.startswith(prefixes)]
    if missing:
        raise NotBuiltYet(
            "; ".join(f"{place}: {rule}" for place, rule in missing),
            hint="Leave these fields out of the loop and apply again.",
            errors=[FieldError(place=place, rule=rule) for place, rule in missing],
        )


def check_rules(rules: Iterable[Rule]) -> None:
    """InvalidSpec that names every broken rule, the first one in its sentence."""
    places = [FieldError(place=place, rule=rule) for place, rule in rules]
    if places:
        raise InvalidSpec(f"{places[0].place}: {places[0].rule}", errors=places)


def common_rules(resolved: ResolvedLoop) -> list[Rule]:
    """Rules between the loop and its definitions."""
    features, defined = resolved.loop.spec.features, resolved.definitions.service.name
    if features is None or features.service == defined:
        return []
    rule = f"must be {defined!r}, the feature service of the definitions, not {features.service!r}"
    return [("spec.features.service", rule)]
