"""Who may do what: three roles of people per project, and the identity of a service."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Roles of a principal in a project; each includes those before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    SERVICE = "service"

    @property
    def rank(self) -> int:
        """Position in the order viewer < operator < admin < service."""
        return list(Role).index(self)

    def includes(self, other: Role) -> bool:
        """Whether this role may do what `other` may do."""
        return self.rank >= other.rank
