"""What the rows of a log record have in common: which model answered, and which columns the record has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Final, cast

from capstan_formats.record_columns import RecordError
from capstan_formats.strict_json import JsonRuleError, need, read_object

#: Where a column lies in a row: its section, then its name; the keys of a lookup by view and key.
ColumnPath = tuple[str, ...]
#: The model matrix, one column of its own; the names of its columns are `features` of the schema.
FEATURES: Final = "features"
#: Section -> names that lead to one of its columns.
SECTIONS: Final = {
    "inputs": 1,
    "looked_up": 1,
    "feature_times": 1,
    "feature_status": 1,
    "lookup_keys": 2,
    "outputs": 1,
    FEATURES: 0,
}


@dataclass(frozen=True)
class RecordSchema:
    """Shared by the records of one model whose requests have the same columns, and encoded once for all of them.

    `version` is the model version, `package` the digest of its package, `entity` names the inputs that are keys.
    `ext` holds typed extension fields by the name of the extension, each with its own documented shape (a canary's
    arm, tokens of a completion). Readers keep the extensions that they do not know.
    """

    model: str
    version: int
    package: str
    deployment: str
    revision: int
    columns: tuple[ColumnPath, ...]
    features: tuple[str, ...] = ()
    entity: tuple[str, ...] = ()
    view_versions: Mapping[str, str] = field(default_factory=dict)
    ext: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def _encoded(self) -> bytes:
        members = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()

    def to_bytes(self) -> bytes:
        """JSON, made once."""
        return self._encoded

    @staticmethod
    def from_bytes(data: bytes) -> RecordSchema:
        """What `to_bytes` wrote; read once for equal bytes. RecordError names the member."""
        return _parsed(data)


@lru_cache(maxsize=256)
def _parsed(data: bytes) -> RecordSchema:
    try:
        source = read_object(data)
        columns = tuple(_path(column) for column in need(source, "columns", list))
        if len(set(columns)) != len(columns):
            raise JsonRuleError("columns name one place twice")
        return RecordSchema(
            model=need(source, "model", str),
            version=need(source, "version", int),
            package=need(source, "package", str),
            deployment=need(source, "deployment", str),
            revision=need(source, "revision", int),
            columns=columns,
            features=_names(source, "features"),
            entity=_names(source, "entity"),
            view_versions=need(source, "view_versions", dict),
            ext=need(source, "ext", dict),
        )
    except JsonRuleError as error:
        raise RecordError(f"the schema of a record: {error}") from None


def _names(source: Mapping[str, Any], member: str) -> tuple[str, ...]:
    names = need(source, member, list)
    if not all(isinstance(name, str) for name in names):
        raise JsonRuleError(f"{member} must be names")
    return tuple(names)


def _path(source: Any) -> ColumnPath:
    if not isinstance(source, list) or not source or not all(isinstance(name, str) for name in source):
        raise JsonRuleError("a column is a list of its section and names")
    if SECTIONS.get(source[0]) != len(source) - 1:
        raise JsonRuleError(f"no column lies at {source!r:.80}")
    return cast(ColumnPath, tuple(source))
