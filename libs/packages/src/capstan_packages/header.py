"""The header of a package, common to all kinds: what it is, what it answers, what it was made from, what it needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from capstan_formats.strict_json import JsonRuleError, need, read_object, write_json
from capstan_packages.errors import HeaderError
from capstan_packages.fields import (
    Metrics,
    Pins,
    Requirement,
    read_entries,
    read_metrics,
    read_pins,
    read_requirement,
    read_signature,
    refuse_repeated,
    signature_json,
    text,
)
from capstan_packages.signature import Signature

FORMAT: Final = "capstan.package/1"
#: How packages called themselves before they had kinds and engines.
PREVIOUS: Final = "capstan.model/"
#: The member that holds the header, the first of the archive.
MODEL_JSON: Final = "model.json"
#: The member with the sketches of the data that the model learned from.
BASELINE: Final = "baseline.json"
MAX_MEMBERS: Final = 1000

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_WORD = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")
#: Fits into the name field of a tar header, and is a plain file name on every system.
_MEMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,98}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """model.json of a package of any kind; a kind adds fields of its own.

    `engine` names the kind of `capstan.engines` that loads the package, `task` what is asked of it. `members` are the
    files that the engine reads; header and baseline are not among them. `baseline`: whether the package has one.
    """

    kind: str
    engine: str
    task: str
    name: str
    signature: Signature
    license: str
    pins: Pins
    metrics: Metrics
    members: tuple[str, ...]
    baseline: bool = True
    requires: tuple[Requirement, ...] = ()

    def __post_init__(self) -> None:
        for member in ("kind", "engine", "task"):
            if not _WORD.fullmatch(getattr(self, member)):
                raise HeaderError(f"{member} must be a word of small letters, digits, - and _")
        if not _NAME.fullmatch(self.name):
            raise HeaderError("name must be a DNS label")
        _check_members(self.members)
        refuse_repeated("requires", [requirement.role for requirement in self.requires])

    @property
    def files(self) -> tuple[str, ...]:
        """Every file of the package, in the order of the archive."""
        return (MODEL_JSON, *sorted([*self.members, *([BASELINE] if self.baseline else [])]))

    def to_json(self) -> dict[str, Any]:
        """The JSON object that the kind's `read` reads back."""
        return {
            "format": FORMAT,
            "kind": self.kind,
            "engine": self.engine,
            "task": self.task,
            "name": self.name,
            "signature": signature_json(self.signature),
            "license": self.license,
            "pins": {
                "dataset_version": self.pins.dataset_version,
                "feature_views": self.pins.feature_views,
                "code_digest": self.pins.code_digest,
                "parameters": self.pins.parameters,
                "seed": self.pins.seed,
            },
            "metrics": {"overall": self.metrics.overall, "slices": self.metrics.slices},
            "members": list(self.members),
            "baseline": self.baseline,
            "requires": [
                {"role": requirement.role, "kind": requirement.kind, "package": requirement.package}
                for requirement in self.requires
            ],
        }

    def to_bytes(self) -> bytes:
        """Canonical bytes of model.json. HeaderError for a value that JSON cannot hold."""
        try:
            return write_json(self.to_json())
        except JsonRuleError as error:
            raise HeaderError(str(error)) from None


def parse(data: bytes) -> dict[str, Any]:
    """model.json as an object of today's form. HeaderError says what is wrong, and what to do with an older one."""
    try:
        source = read_object(data)
    except JsonRuleError as error:
        raise HeaderError(str(error)) from None
    form = source.get("format")
    if isinstance(form, str) and form.startswith(PREVIOUS):
        raise HeaderError(f"the package has the earlier form {form!r}, which is no longer read; train the model again")
    if form != FORMAT:
        raise HeaderError(f"format must be {FORMAT!r}, not {form!r}")
    return source


def common_fields(source: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `Header` out of model.json, for a kind's `read` to complete. HeaderError, JsonRuleError."""
    members = need(source, "members", list)
    if not all(isinstance(member, str) for member in members):
        raise HeaderError("members must be names of files")
    return {
        "kind": need(source, "kind", str),
        "engine": need(source, "engine", str),
        "task": need(source, "task", str),
        "name": need(source, "name", str),
        "signature": read_signature(need(source, "signature", dict)),
        "license": text(source, "license"),
        "pins": read_pins(need(source, "pins", dict)),
        "metrics": read_metrics(need(source, "metrics", dict)),
        "members": tuple(members),
        "baseline": need(source, "baseline", bool),
        "requires": read_entries(source, "requires", read_requirement),
    }


def _check_members(members: tuple[str, ...]) -> None:
    if len(members) > MAX_MEMBERS:
        raise HeaderError(f"members has more than {MAX_MEMBERS} entries")
    refuse_repeated("members", list(members))
    for member in members:
        if not _MEMBER.fullmatch(member) or member in (MODEL_JSON, BASELINE):
            raise HeaderError(f"members: {member[:128]!r} is not a plain file name besides {MODEL_JSON} and {BASELINE}")
