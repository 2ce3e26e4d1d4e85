"""A loop as it was stored, read back: its gates may be of a distribution that is not installed any more."""

from __future__ import annotations

from pydantic import ValidationError

from capstan_contracts.errors import FieldError, place_of
from capstan_contracts.loop import ResolvedLoop
from capstan_registry.tables import LoopRow
from capstan_servicekit.errors import Conflict


def stored_loop(row: LoopRow) -> ResolvedLoop:
    """The loop. Conflict with place and rule when this release, with what is installed, cannot read it."""
    try:
        return ResolvedLoop.model_validate(row.resolved)
    except ValidationError as error:
        broken = [FieldError(place=place_of(item["loc"]), rule=item["msg"]) for item in error.errors()]
        raise Conflict(
            f"The stored loop {row.name!r} cannot be read any more: {broken[0].place}: {broken[0].rule}",
            hint="Install what its kinds came from, or apply the loop again without them.",
            errors=broken,
        ) from error
