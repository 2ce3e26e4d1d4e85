"""What pydantic found wrong with a document, as places and rules in the words of that document."""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from capstan_contracts.errors import FieldError
from capstan_contracts.kinds.family import nearest

_UNIONS = (Union, types.UnionType)
Loc = tuple[int | str, ...]


def broken_rules(model: type[BaseModel], error: ValidationError) -> list[FieldError]:
    """One entry for each thing that is wrong, in the order of the document.

    Of a union that has no discriminator, pydantic reports what is wrong with each member; the member that fits best
    (fewest errors) is taken for the one that was meant. An unknown field is answered with the nearest known one.
    """
    details = _best_members(model, error.errors(include_url=False))
    return [FieldError(place=place_of(model, item["loc"]), rule=_rule(model, item)) for item in details]


def place_of(model: type[BaseModel], loc: Loc) -> str:
    """`spec.gates[0].metric` for ("spec", "gates", 0, "MetricGate", "metric")."""
    text, kind = "", model
    for part in loc:
        member = _member(kind, part)
        if member is not None:
            kind = member
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
        kind = _below(kind, part)
    return text or "the document"


def _rule(model: type[BaseModel], item: ErrorDetails) -> str:
    if item["type"] == "extra_forbidden":
        fields = tuple(_names(_at(model, item["loc"][:-1])))
        close = nearest(str(item["loc"][-1]), fields)
        if close:
            return f"no such field; did you mean {close}?"
        return f"no such field; there are: {', '.join(fields)}" if fields else "no such field"
    if item["type"] == "missing":
        return "is missing"
    text = item["msg"].removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _best_members(model: type[BaseModel], details: Iterable[ErrorDetails]) -> list[ErrorDetails]:
    kept: list[ErrorDetails] = []
    unions: dict[Loc, dict[str, list[ErrorDetails]]] = {}
    order: list[Loc | ErrorDetails] = []
    for item in details:
        split = _union_at(model, item["loc"])
        if split is None:
            order.append(item)
            continue
        where, member = item["loc"][:split], str(item["loc"][split])
        if where not in unions:
            unions[where] = {}
            order.append(where)
        unions[where].setdefault(member, []).append(item)
    for entry in order:
        if isinstance(entry, tuple):
            members: list[list[ErrorDetails]] = list(unions[entry].values())
            best = min(members, key=len)
            kept += best
        else:
            kept.append(entry)
    return kept


def _union_at(model: type[BaseModel], loc: Loc) -> int | None:
    """The position in a location that names a member of a union, if there is one."""
    kind: Any = model
    for index, part in enumerate(loc):
        if _member(kind, part) is not None:
            return index
        kind = _below(kind, part)
    return None


def _at(model: type[BaseModel], loc: Loc) -> Any:
    kind: Any = model
    for part in loc:
        kind = _member(kind, part) or _below(kind, part)
    return _plain(kind)


def _plain(kind: Any) -> Any:
    """Without `Annotated` and without `| None`."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if get_origin(kind) in _UNIONS:
        rest = [member for member in get_args(kind) if member is not type(None)]
        return _plain(rest[0]) if len(rest) == 1 else kind
    return kind


def _member(kind: Any, part: int | str) -> Any:
    """The member of a union that a part of a location names."""
    kind = _plain(kind)
    if get_origin(kind) in _UNIONS and isinstance(part, str):
        # pydantic writes `dict[str,any]`, and `function-after[check(), Name]` for a model with a validator.
        name = part.rstrip("]").rpartition(", ")[2] if part.startswith("function-") else part.partition("[")[0]
        return next((member for member in get_args(kind) if name in _tags(_plain(member))), None)
    return None


def _tags(member: Any) -> set[str]:
    """How locations name a member of a union: by its class, or by its `kind` where that tells them apart."""
    names = {getattr(member, "__name__", "")}
    if isinstance(member, type) and issubclass(member, BaseModel) and "kind" in member.model_fields:
        names.update(str(value) for value in get_args(member.model_fields["kind"].annotation))
    return names


def _below(kind: Any, part: int | str) -> Any:
    kind = _plain(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if part in (name, field.alias):
                return field.annotation
        return None
    arguments = get_args(kind)
    return arguments[-1] if arguments and get_origin(kind) not in _UNIONS else None


def _names(kind: Any) -> list[str]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [field.alias or name for name, field in kind.model_fields.items()]
    return []
