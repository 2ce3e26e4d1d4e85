"""MLflow's lists, cut down to the caller's projects.

MLflow cannot filter by several projects, so pages are read until the caller's page is full. A page asks for exactly
what is still missing, so MLflow's own page token stays right.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlencode

from capstan_registry.actions.ports import Answer, CatalogueServer
from capstan_servicekit.errors import Invalid, Upstream, broken

MOST_PAGES: Final = 50
"""Pages read for one answer; then it is shorter than asked, with a token to go on."""
_SIZES: Final[Mapping[str, int]] = {"experiments": 1000, "registered_models": 100, "model_versions": 10_000}
"""How many entries MLflow answers when it is not told (experiments: MLflow's own client asks for 1000)."""


class MlflowLists:
    """Reads a list and keeps what belongs to the caller."""

    def __init__(self, server: CatalogueServer) -> None:
        self._server = server

    @asynccontextmanager
    async def __call__(
        self,
        method: str,
        target: str,
        field: str,
        given: Mapping[str, object],
        mine: Callable[[str], bool],
    ) -> AsyncIterator[Answer]:
        """The answer to enter. `given`: the request's values; `mine`: whether an entry's name is the caller's."""
        wanted, kept = _size(given, field), list[object]()
        request = dict(given)
        for _ in range(MOST_PAGES):
            status, headers, content = await self._page(method, target, request | {"max_results": wanted - len(kept)})
            if status != 200:
                yield _answer(status, headers, content)
                return
            page = _document(content)
            entries = page.get(field)
            kept += [entry for entry in entries if mine(_name(entry))] if isinstance(entries, list) else []
            token = page.get("next_page_token")
            request["page_token"] = token
            if not token or len(kept) >= wanted:
                break
        body: dict[str, object] = {field: kept} if kept else {}
        yield _answer(200, headers, json.dumps(body | ({"next_page_token": token} if token else {})).encode())

    async def _page(
        self, method: str, target: str, values: Mapping[str, object]
    ) -> tuple[int, Mapping[str, str], bytes]:
        query = urlencode(values, doseq=True) if method == "GET" else ""
        body = None if method == "GET" else json.dumps(values).encode()
        headers = {"content-type": "application/json"} if body else {}
        async with self._server.forward(method, target, query=query, headers=headers, body=body) as answer:
            return answer.status, answer.headers, b"".join([chunk async for chunk in answer.chunks])


def _size(given: Mapping[str, object], field: str) -> int:
    asked = given.get("max_results", given.get("maxResults"))
    if "maxResults" in given or "pageToken" in given:
        raise Invalid("A list is asked for in another spelling", errors=broken("maxResults", "write max_results"))
    one = asked[0] if isinstance(asked, list) and asked else asked
    try:
        return max(1, int(str(one))) if one is not None else _SIZES[field]
    except ValueError as error:
        raise Invalid("The size of the page is no number", errors=broken("max_results", "a whole number")) from error


def _document(content: bytes) -> dict[str, object]:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise Upstream("MLflow answered a list that is not JSON") from error
    if not isinstance(document, dict):
        raise Upstream("MLflow answered a list that is not an object")
    return document


def _name(entry: object) -> str:
    name = entry.get("name") if isinstance(entry, Mapping) else None
    if not isinstance(name, str):
        raise Upstream("MLflow listed an entry without a name")
    return name


def _answer(status: int, headers: Mapping[str, str], content: bytes) -> Answer:
    async def chunks() -> AsyncIterator[bytes]:
        yield content

    kept = {name: value for name, value in headers.items() if name.lower() == "content-type"}
    return Answer(status, kept, chunks())
