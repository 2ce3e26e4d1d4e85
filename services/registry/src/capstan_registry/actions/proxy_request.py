"""Somebody calls at the MLflow proxy: let the request through, or refuse it with the reason and the right call."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from urllib.parse import parse_qs

from sqlalchemy import select

from capstan_contracts.errors import Code
from capstan_contracts.roles import Role
from capstan_registry.actions.mlflow_access import MlflowAccess
from capstan_registry.actions.mlflow_lists import MlflowLists
from capstan_registry.actions.mlflow_owners import MlflowOwners
from capstan_registry.actions.ports import Answer, CatalogueServer
from capstan_registry.domain import proxy_guards, proxy_path, proxy_policy
from capstan_registry.domain.model_names import mlflow_name, project_of, project_of_experiment
from capstan_registry.domain.proxy_policy import Guard, Pass
from capstan_registry.domain.proxy_things import UnclearName, things
from capstan_registry.tables import LoopRow, VersionRow
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import Forbidden, Invalid, Protected, broken
from capstan_servicekit.http.routing import refuse_unkept
from capstan_servicekit.security.auth import EVERY_PROJECT, Principal


@dataclass(frozen=True)
class ProxyRequest:
    """A request as it came: `raw_path` is what stands behind `/mlflow/`, undecoded."""

    principal: Principal
    method: str
    raw_path: bytes
    query: str
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]


@dataclass(frozen=True)
class Admitted:
    """A request that may go on; `artifact`: the answer is a user's file."""

    answer: AbstractAsyncContextManager[Answer]
    artifact: bool


class ProxyRequests:
    """What names nothing of the caller's projects is refused. MLflow may be started to learn whose something is."""

    def __init__(self, database: Database, server: CatalogueServer) -> None:
        self._database, self._server = database, server
        self._access, self._lists = MlflowAccess(MlflowOwners(server)), MlflowLists(server)

    async def __call__(self, request: ProxyRequest) -> Admitted:
        """Invalid, Protected, Forbidden, NotFound; else the answer, to be entered."""
        path, rule, ids = _route(request)
        _need_anywhere(request.principal, rule.role)
        query = parse_qs(request.query, keep_blank_values=True)
        document = {} if request.method in ("GET", "PUT") else await _read(request.body)
        await self._check(request.principal, rule, ids, query, document)
        target = ("/mlflow/" if rule.prefixed else "/") + proxy_path.encode(path)
        if rule.lists is not None and not request.principal.may(Role.VIEWER, EVERY_PROJECT):
            given: Mapping[str, object] = query if request.method == "GET" else document
            mine = _mine(request.principal, rule.lists)
            return Admitted(self._lists(request.method, target, rule.lists, given, mine), rule.artifact)
        headers, body = dict(request.headers), request.body if rule.upload else None
        if request.method in ("GET", "PUT"):
            answer = self._server.forward(request.method, target, query=request.query, headers=headers, body=body)
        else:
            # Sent on as it was understood, so that nobody can read it differently.
            sent = json.dumps(document).encode()
            headers |= {"content-type": "application/json"}
            answer = self._server.forward(request.method, target, query=request.query, headers=headers, body=sent)
        return Admitted(answer, rule.artifact)

    async def _check(
        self,
        principal: Principal,
        rule: Pass,
        ids: Mapping[str, str],
        query: Mapping[str, list[str]],
        document: Mapping[str, object],
    ) -> None:
        if rule.guard is not None and not _is_capstan_tag(principal, rule.guard):
            ours = await self._our_names() if rule.guard is Guard.NEW_VERSION else frozenset[str]()
            refusal = proxy_guards.check(rule.guard, proxy_guards.Look(query, document, ours.__contains__))
            if refusal is not None:
                raise (Invalid if refusal.shape else Protected)(refusal.sentence, hint=refusal.hint)
        if rule.guard is Guard.ARTIFACT_FOLDER:
            ids = proxy_guards.folder(query)
        try:
            named = things(rule.names, ids, query, document)
        except UnclearName as error:
            raise Invalid("An id is not one", errors=broken(str(error), "a text, or a list of texts")) from error
        await self._access.check(principal, rule, named, document)

    async def _our_names(self) -> frozenset[str]:
        """How MLflow calls the models that loops own."""
        async with self._database.read() as session:
            loops = await session.execute(select(LoopRow.project, LoopRow.name))
            versions = await session.execute(select(VersionRow.project, VersionRow.model).distinct())
            return frozenset(mlflow_name(project, name) for project, name in (*loops.all(), *versions.all()))


def _route(request: ProxyRequest) -> tuple[str, Pass, Mapping[str, str]]:
    path = proxy_path.decode(request.raw_path)
    if path is None:
        raise Invalid("The path is not allowed", errors=broken("path", proxy_path.SUSPICIOUS), code=Code.INVALID_NAME)
    found = proxy_policy.look_up(request.method, path)
    if found is None:
        sentence, hint = proxy_policy.why_refused(request.method, path)
        raise Protected(sentence, hint=hint)
    return path, *found


def _need_anywhere(principal: Principal, role: Role) -> None:
    """Forbidden for who has the role in no project: MLflow is not started for them."""
    if not any(held.includes(role) for held in principal.roles.values()):
        raise Forbidden(
            f"{principal.id} is not {role.value} in any project",
            hint="A browser session reads only; use a token to write.",
        )


def _is_capstan_tag(principal: Principal, guard: Guard) -> bool:
    """Capstan's own services write the tags of its runs."""
    return guard in (Guard.TAG, Guard.RUN) and principal.may(Role.SERVICE, EVERY_PROJECT)


def _mine(principal: Principal, field: str) -> Callable[[str], bool]:
    owner = project_of_experiment if field == "experiments" else project_of
    return lambda name: principal.may(Role.VIEWER, owner(name))


async def _read(body: AsyncIterator[bytes]) -> dict[str, object]:
    return _document(b"".join([chunk async for chunk in body]))


def _document(body: bytes) -> dict[str, object]:
    """The JSON object of a body, without duplicate keys; an empty body is an empty object.

    Invalid for text that MLflow's database would not keep: it answered such with an error of its own.
    """
    if not body.strip():
        return {}
    try:
        text = body.decode()  # json.loads would let half of a surrogate pair pass, as three bytes
        document = json.loads(text, object_pairs_hook=_unique)
        refuse_unkept(text)
    except (ValueError, RecursionError) as error:
        told = f": {error.msg}" if isinstance(error, json.JSONDecodeError) else ""
        raise Invalid(f"The body is not JSON{told}", errors=broken("body", "one JSON object, no key twice")) from error
    if not isinstance(document, dict):
        raise Invalid("The body is not a JSON object", errors=broken("body", "one JSON object"))
    return document


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key stands twice")
    return document
