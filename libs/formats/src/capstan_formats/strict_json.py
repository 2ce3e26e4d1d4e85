"""JSON as an artifact may hold it: finite numbers, unique keys, bounded depth; and one canonical way to write it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

MAX_DEPTH = 64


class JsonRuleError(ValueError):
    """The text breaks a rule; the message says which one."""


def read_json(data: bytes | str) -> Any:
    """Parse UTF-8 JSON; JsonRuleError for NaN, infinity, duplicate keys, bad UTF-8 or nesting beyond MAX_DEPTH."""
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        value = json.loads(
            text, parse_constant=_refuse_constant, parse_float=_finite_float, object_pairs_hook=_unique_keys
        )
    except JsonRuleError:
        raise
    except UnicodeDecodeError as error:
        raise JsonRuleError(f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise JsonRuleError(f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise JsonRuleError(f"not JSON: {error}") from None
    _refuse_depth(value)
    return value


def read_object(data: bytes | str) -> dict[str, Any]:
    """`read_json`, where only an object will do."""
    value = read_json(data)
    if not isinstance(value, dict):
        raise JsonRuleError(f"an object is needed, not {type(value).__name__}")
    return value


def write_json(value: Any) -> bytes:
    """Canonical UTF-8 bytes: keys sorted, no spaces, no NaN. The same value always gives the same bytes."""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8")
    except (ValueError, TypeError) as error:
        raise JsonRuleError(f"cannot be written as JSON: {error}") from None


def need(source: Mapping[str, Any], key: str, kind: type | tuple[type, ...], place: str = "") -> Any:
    """The value at `key`, of the given kind (a bool is never a number), or a JsonRuleError that names the place."""
    where = f"{place}.{key}" if place else key
    if key not in source:
        raise JsonRuleError(f"{where} is missing")
    value = source[key]
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        names = " or ".join("null" if k is type(None) else k.__name__ for k in kinds)
        raise JsonRuleError(f"{where} must be {names}, not {type(value).__name__}")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise JsonRuleError(f"{name} is not a JSON number")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise JsonRuleError(f"number {text[:32]} is out of range")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonRuleError(f"key {key[:64]!r} appears twice")
            seen.add(key)
    return result


def _refuse_depth(value: Any) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise JsonRuleError(f"nested deeper than {MAX_DEPTH} levels")


def _children(item: Any) -> list[Any]:
    children = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return [child for child in children if isinstance(child, (dict, list))]
