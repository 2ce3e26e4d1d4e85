"""What a kind of package is: how its header is read, and how large its members may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from capstan_contracts.kinds.family import Family
from capstan_packages.header import Header


class PackageKind(Protocol):
    """One kind of package. Stateless, so any thread may use it.

    `name` is the `kind` of model.json. `member_bytes` is the most that one of the engine's files may have,
    `total_bytes` the most that the whole archive may have. `baseline`: whether a package of this kind must have one.
    """

    @property
    def name(self) -> str: ...

    @property
    def member_bytes(self) -> int: ...

    @property
    def total_bytes(self) -> int: ...

    @property
    def baseline(self) -> bool: ...

    def read(self, source: Mapping[str, Any]) -> Header:
        """The checked header out of the JSON object of model.json; `to_json` of it gives the same object.

        HeaderError (or JsonRuleError) names the member that breaks a rule. Members that nobody knows are ignored.
        """
        ...


KINDS: Final = Family[PackageKind]("capstan.package_kinds")
