"""Somebody calls at the MLflow proxy: let the request through, or refuse it with the reason and the right call."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from urllib.parse import parse_qs

from sqlalchemy import select

from capstan_contracts.errors import Code
from capstan_contracts.roles import Role
from capstan_registry.actions.ports import Answer, CatalogueServer
from capstan_registry.domain import proxy_guards, proxy_path, proxy_policy
from capstan_registry.domain.model_names import mlflow_name
from capstan_registry.tables import LoopRow, VersionRow
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import Forbidden, Invalid, Protected, broken
from capstan_servicekit.http.routing import refuse_unkept
from capstan_servicekit.security.auth import Principal


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
    """Nothing is started for a refused request."""

    def __init__(self, database: Database, server: CatalogueServer) -> None:
        self._database, self._server = database, server

    async def __call__(self, request: ProxyRequest) -> Admitted:
        """Invalid, Protected, Forbidden; else the answer, to be entered."""
        path = proxy_path.decode(request.raw_path)
        if path is None:
            raise Invalid(
                "The path is not allowed", errors=broken("path", proxy_path.SUSPICIOUS), code=Code.INVALID_NAME
            )
        rule = proxy_policy.look_up(request.method, path)
        if rule is None:
            sentence, hint = proxy_policy.why_refused(request.method, path)
            raise Protected(sentence, hint=hint)
        _need(request.principal, rule.role)
        body: AsyncIterator[bytes] | bytes | None = request.body if rule.upload else None
        if request.method not in ("GET", "PUT"):
            document = _document(b"".join([chunk async for chunk in request.body]))
            # Sent on as it was understood, so that nobody can read it differently.
            body = json.dumps(document).encode()
        else:
            document = {}
        if rule.guard is not None:
            await self._look(request, rule.guard, document)
        headers = dict(request.headers) | ({} if body is None or rule.upload else {"content-type": "application/json"})
        target = ("/mlflow/" if rule.prefixed else "/") + proxy_path.encode(path)
        answer = self._server.forward(request.method, target, query=request.query, headers=headers, body=body)
        return Admitted(answer, rule.artifact)

    async def _look(self, request: ProxyRequest, guard: proxy_policy.Guard, document: dict[str, object]) -> None:
        ours = await self._our_names() if guard is proxy_policy.Guard.NEW_VERSION else frozenset[str]()
        look = proxy_guards.Look(parse_qs(request.query, keep_blank_values=True), document, ours.__contains__)
        refusal = proxy_guards.check(guard, look)
        if refusal is not None:
            raise (Invalid if refusal.shape else Protected)(refusal.sentence, hint=refusal.hint)
        if (project := proxy_guards.project_written(guard, document)) is not None:
            _need(request.principal, Role.OPERATOR, project)

    async def _our_names(self) -> frozenset[str]:
        """How MLflow calls the models that loops own."""
        async with self._database.read() as session:
            loops = await session.execute(select(LoopRow.project, LoopRow.name))
            versions = await session.execute(select(VersionRow.project, VersionRow.model).distinct())
            return frozenset(mlflow_name(project, name) for project, name in (*loops.all(), *versions.all()))


def _need(principal: Principal, role: Role, project: str | None = None) -> None:
    if project is not None:
        allowed, where = principal.may(role, project), f"in project {project!r}"
    else:
        allowed, where = any(held.includes(role) for held in principal.roles.values()), "in any project"
    if not allowed:
        raise Forbidden(
            f"{principal.id} is not {role.value} {where}", hint="A browser session reads only; use a token to write."
        )


def _document(body: bytes) -> dict[str, object]:
    """The JSON object of a body, without duplicate keys; an empty body is an empty object.

    Invalid for text that MLflow's database would not keep: it answered such with an error of its own.
    """
    if not body.strip():
        return {}
    try:
        document = json.loads(body, object_pairs_hook=_unique)
        refuse_unkept(body.decode("utf-8", "replace"))
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
