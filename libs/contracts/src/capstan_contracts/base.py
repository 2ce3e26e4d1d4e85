"""The pydantic bases of everything on the wire: strict for what we write, lenient for what we read, and for YAML."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AliasGenerator, AwareDatetime, BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


def _to_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""A point in time with a zone, kept as UTC with microseconds."""


class Wire(BaseModel):
    """A REST or event body: frozen; unknown keys are refused so that a typo is an error and not a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, ser_json_inf_nan="null")


class Lenient(Wire):
    """A body read from another part, which may be newer: unknown keys are ignored (within a version only additions)."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, ser_json_inf_nan="null")


class Spec(Wire):
    """Base of what users write in YAML: camelCase there, and by the field's own name as well.

    Numbers are finite: YAML has `.inf` and `.nan`, JSON has not, and a bound that became null would bind nothing.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        allow_inf_nan=False,
        alias_generator=AliasGenerator(alias=to_camel),
    )
