"""May the caller do this to what a request at the MLflow proxy names? Decided by the projects that own it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from capstan_contracts.errors import Code
from capstan_contracts.roles import Role
from capstan_registry.actions.mlflow_owners import MlflowOwners, Owner
from capstan_registry.domain.model_names import looks_like
from capstan_registry.domain.proxy_policy import Pass
from capstan_registry.domain.proxy_things import Kind, Thing
from capstan_servicekit.errors import Forbidden, Invalid, NotFound, Protected, broken
from capstan_servicekit.security.auth import EVERY_PROJECT, Principal

MOST_THINGS: Final = 1000
"""How many ids a request may name."""
_SYSTEM_TAGS: Final = "mlflow."
_NOTE: Final = "mlflow.note.content"
_SESSION_HINT: Final = "A browser session reads only; use a token to write."


class MlflowAccess:
    """Something of a project in which the caller has no role is answered like something that is not there."""

    def __init__(self, owners: MlflowOwners) -> None:
        self._owners = owners

    async def check(
        self, principal: Principal, rule: Pass, things: frozenset[Thing], body: Mapping[str, object]
    ) -> None:
        """Invalid, NotFound, Forbidden, Protected."""
        if principal.may(Role.SERVICE, EVERY_PROJECT):
            return
        if rule.names is not None and not any(thing.kind is rule.names for thing in things):
            raise Invalid(f"The request names no {rule.names.words}", errors=broken(rule.names.value, "must be given"))
        if len(things) > MOST_THINGS:
            raise Invalid(
                f"The request names {len(things)} things", errors=broken("ids", f"at most {MOST_THINGS} in one request")
            )
        if rule.role is Role.VIEWER and principal.may(Role.VIEWER, EVERY_PROJECT):
            return
        owners = [(thing, await self._seen(principal, rule, thing)) for thing in sorted(things)]
        if rule.role is not Role.VIEWER:
            _check_write(principal, rule, owners, body)

    async def _seen(self, principal: Principal, rule: Pass, thing: Thing) -> Owner:
        owner = await self._owners(thing)
        if owner is not None and principal.may(Role.VIEWER, owner.project):
            return owner
        if owner is not None and thing.kind.is_name and rule.role is not Role.VIEWER:
            return owner  # a name is no secret to who wrote it, and the refusal can say what to write instead
        raise NotFound(f"There is no {thing.kind.words} {thing.id[:200]!r} in your projects")


def _check_write(
    principal: Principal, rule: Pass, owners: list[tuple[Thing, Owner]], body: Mapping[str, object]
) -> None:
    for thing, owner in owners:
        if not principal.may(rule.role, owner.project):
            raise Forbidden(
                f"{principal.id} is not {rule.role.value} in project {owner.project!r}, to which the "
                f"{thing.kind.words} {thing.id[:200]!r} belongs",
                hint=_naming(principal, rule, thing) or _SESSION_HINT,
            )
    projects = sorted({owner.project for _, owner in owners})
    if len(projects) > 1:
        raise Protected(
            f"The request writes to project {projects[0]!r} and names something of project {projects[1]!r}",
            hint="A version comes from a run of its own project, and a run refers to models of its own project.",
        )
    if any(owner.capstan for _, owner in owners):
        _check_capstan_run(rule, body)


def _naming(principal: Principal, rule: Pass, thing: Thing) -> str:
    """How to call a new thing so that it belongs to a project of the caller."""
    mine = sorted(name for name in principal.roles if principal.may(rule.role, name))
    if not thing.kind.is_name or not mine:
        return ""
    divider = "/" if thing.kind is Kind.EXPERIMENT_NAME else "."
    last = thing.id.replace("/", ".").rsplit(".", 1)[-1][:100]
    return f"The project stands before the name: call it {f'{mine[0]}{divider}{last}'!r}."


def _check_capstan_run(rule: Pass, body: Mapping[str, object]) -> None:
    key = looks_like(str(body.get("key", "")))
    if not rule.on_capstan or (key.startswith(_SYSTEM_TAGS) and key != _NOTE):
        raise Protected(
            "Metrics, parameters, files and state of a run that Capstan logged are written by Capstan alone",
            hint="Set a tag or the note of the run, or log to a run of your own.",
            code=Code.PROTECTED,
        )
