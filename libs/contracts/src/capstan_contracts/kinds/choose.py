"""How a kind is chosen in a spec: its short spelling made long, and one error for a wrong word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic_core import PydanticCustomError

from capstan_contracts.kinds.family import nearest

FOREIGN = "."
"""What the name of a kind from outside the repository has and ours have not: `acme.avro`. So a schema can tell it from
a mistyped one without asking what is installed; whether it is installed, the service says that owns the family."""


def chosen(family: str, known: tuple[str, ...], *, foreign: bool = False, advice: str = "") -> Callable[[Any], Any]:
    """A validator to stand before a union discriminated by `kind`: `csv` becomes `{kind: csv}`.

    `foreign`: names with a dot pass. `advice`: a sentence for who wrote a kind that there is not.
    """

    def choose(value: Any) -> Any:
        given = {"kind": value} if isinstance(value, str) else value
        if not isinstance(given, dict):
            return given
        kind = given.get("kind")
        if kind in known or (foreign and isinstance(kind, str) and FOREIGN in kind):
            return given
        close = nearest(str(kind), known)
        meant = f"did you mean {close!r}? There are" if close else "there are"
        text = (
            f"no {family} {kind!r}; {meant}: {', '.join(known)}" if kind else f"no kind; there are: {', '.join(known)}"
        )
        raise PydanticCustomError("unknown_kind", "{text}", {"text": text + (f". {advice}" if advice else "")})

    return choose


def tag_of(value: Any) -> str:
    """The tag of a discriminated union that has one open member, tagged `foreign`."""
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return "foreign" if isinstance(kind, str) and FOREIGN in kind else str(kind)
