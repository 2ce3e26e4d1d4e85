"""Names of column types, as manifests and datasets write them, and Arrow's types.

`int64 float64 string bool timestamp date time binary decimal(p,s)` are plain; `list<...>`, `struct<...>` and `map<...>`
are nested and named as Arrow prints them; `null` is a column without any value so far.
"""

from __future__ import annotations

import re
from typing import Final

import pyarrow as pa

from capstan_contracts.kinds.columns import MAX_DIGITS

INSTANT: Final = pa.timestamp("us", "UTC")
_PLAIN: Final[dict[str, pa.DataType]] = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
    "timestamp": INSTANT,
    "date": pa.date32(),
    "time": pa.time64("us"),
    "binary": pa.binary(),
    "null": pa.null(),
}
_DECIMAL: Final = re.compile(r"decimal\((\d+),(\d+)\)")


def plain_type(name: str) -> pa.DataType | None:
    """The Arrow type of a plain type's name; None for a nested one, whose name says too little to build it."""
    decimal = _DECIMAL.fullmatch(name)
    return pa.decimal128(int(decimal[1]), int(decimal[2])) if decimal else _PLAIN.get(name)


def is_nested(name: str) -> bool:
    """Whether a type's name is that of a list, struct or map."""
    return plain_type(name) is None


def stored_type(of: pa.DataType) -> pa.DataType | None:
    """The type in which a dataset keeps values of an Arrow type; None where it keeps none.

    Widths and encodings fall away: every integer is int64, every text string; a duration is its microseconds as int64.
    """
    if pa.types.is_dictionary(of):
        return stored_type(of.value_type)
    if isinstance(of, pa.BaseExtensionType):
        return pa.string() if is_uuid(of) else stored_type(of.storage_type)
    if pa.types.is_decimal(of):
        return pa.decimal128(of.precision, of.scale) if of.precision <= MAX_DIGITS and of.scale >= 0 else None
    for plain, test in _TESTS:
        if test(of):
            return plain
    return _nested(of)


def is_uuid(of: pa.DataType) -> bool:
    """Whether values are UUIDs; a dataset keeps them as the text that people write."""
    return isinstance(of, pa.BaseExtensionType) and of.extension_name == "arrow.uuid"


def type_name(stored: pa.DataType) -> str:
    """The name of a stored type."""
    if pa.types.is_decimal(stored):
        return f"decimal({stored.precision},{stored.scale})"
    return next((name for name, plain in _PLAIN.items() if plain == stored), str(stored))


def _nested(of: pa.DataType) -> pa.DataType | None:
    if pa.types.is_struct(of):
        fields = [(of.field(index).name, stored_type(of.field(index).type)) for index in range(of.num_fields)]
        return None if any(inner is None for _, inner in fields) or not fields else pa.struct(fields)
    if pa.types.is_map(of):
        key, item = stored_type(of.key_type), stored_type(of.item_type)
        return None if key is None or item is None else pa.map_(key, item)
    if pa.types.is_list(of) or pa.types.is_large_list(of) or pa.types.is_fixed_size_list(of):
        inner = stored_type(of.value_type)
        return None if inner is None else pa.list_(pa.field("item", inner))
    return None


def _is_text(of: pa.DataType) -> bool:
    return bool(pa.types.is_string(of) or pa.types.is_large_string(of) or pa.types.is_string_view(of))


def _is_bytes(of: pa.DataType) -> bool:
    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(kind(of) for kind in kinds)


_TESTS: Final = (
    (pa.int64(), pa.types.is_integer),
    (pa.int64(), pa.types.is_duration),
    (pa.float64(), pa.types.is_floating),
    (pa.string(), _is_text),
    (pa.bool_(), pa.types.is_boolean),
    (INSTANT, pa.types.is_timestamp),
    (pa.date32(), pa.types.is_date),
    (pa.time64("us"), pa.types.is_time),
    (pa.binary(), _is_bytes),
    (pa.null(), pa.types.is_null),
)
