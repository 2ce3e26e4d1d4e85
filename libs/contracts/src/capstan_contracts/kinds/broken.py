"""What a service's job that imports all kinds is given and makes: both ends of it know contracts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KindsToImport:
    """What is installed in the worker's environment: nothing is given."""


@dataclass(frozen=True)
class BrokenKinds:
    """A sentence for each kind that cannot be used."""

    sentences: list[str]
