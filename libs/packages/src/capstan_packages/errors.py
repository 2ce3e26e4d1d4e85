"""What the readers of packages raise. Both are ValueErrors with a sentence that names place and rule."""

from __future__ import annotations


class HeaderError(ValueError):
    """model.json breaks a rule; the message names the member."""


class PackageError(ValueError):
    """A package breaks a rule. `place` is the file or member, `rule` a stable word for the rule."""

    def __init__(self, place: str, rule: str, detail: str) -> None:
        super().__init__(f"{place}: {detail} [{rule}]")
        self.place = place
        self.rule = rule
        self.detail = detail
