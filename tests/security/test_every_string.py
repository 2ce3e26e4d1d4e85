"""Whatever text a caller sends, in whatever place: it is taken or refused, and never an error of ours."""

from __future__ import annotations

import importlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from capstan_contracts.errors import Problem
from capstan_contracts.ids import SERVICES
from capstan_testkit.harness import Harness, running
from capstan_testkit.routes import concrete

TEXTS = {
    "half of a surrogate pair": "a\ud800b",
    "U+0000": "a\x00b",
    "emoji": "\U0001f9ea\u200d\U0001f4a5",
    "NFD and NFC": "Zu\u0308rich Z\u00fcrich",
    "right to left": "\u202e\u05d0\u05d1\u05d2",
    "10 kB": "\u00e9" * 5_000,
    "lines": "a\r\nb\tc",
}
NEVER_KEPT = ("half of a surrogate pair", "U+0000")
DEEP = 6


@pytest.fixture(params=SERVICES)
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    """Each service in turn, with no job environment and no peers."""
    package = f"capstan_{request.param.replace('-', '_')}"
    settings = importlib.import_module(f"{package}.settings").Settings
    build = importlib.import_module(f"{package}.app").build
    fields: dict[str, Any] = {"model_server_port": 0} if request.param == "inference" else {}
    async with running(settings, build, tmp_path, pythons={}, **fields) as found:
        yield found


def bodies(harness: Harness) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Method, path and schema of every route that takes JSON."""
    for route in harness.app.state.declared:
        assert isinstance(route, APIRoute)
        if route.body_field is None:
            continue
        schema = TypeAdapter[Any](route.body_field.field_info.annotation or Any).json_schema()
        for method in sorted(route.methods or ()):
            yield method, concrete(route.path), schema


def filled(schema: Mapping[str, Any], root: Mapping[str, Any], text: str, depth: int = 0) -> Any:
    """A value of the schema, as far as one can be made, with `text` for every string and for every free key."""
    if "$ref" in schema:
        return filled(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, text, depth + 1) if depth < DEEP else text
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return filled(schema[choice][0], root, text, depth)
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type")
    if kind == "object":
        made = {name: filled(one, root, text, depth) for name, one in schema.get("properties", {}).items()}
        free = schema.get("additionalProperties")
        return made | ({} if free is False or free is None else {text: text})
    if kind == "array":
        return [filled(schema.get("items", {}), root, text, depth)]
    return {"integer": 1, "number": 1.0, "boolean": True, "null": None}.get(str(kind), text)


@pytest.mark.both_databases
@pytest.mark.parametrize("name", TEXTS)
async def test_every_string_of_every_body(harness: Harness, name: str) -> None:
    text, asked = TEXTS[name], 0
    for method, path, schema in bodies(harness):
        for body in (filled(schema, schema, text), {text: text}):
            asked += 1
            content, headers = json.dumps(body), {"content-type": "application/json"}
            answer = await harness.admin.request(method, path, content=content, headers=headers)
            if answer.status_code == 403:
                answer = await harness.service.request(method, path, content=content, headers=headers)
            assert answer.status_code != 500, f"{method} {path}: {answer.text}"
            if answer.status_code >= 400:
                Problem.model_validate_json(answer.content)
            if name in NEVER_KEPT:
                assert 400 <= answer.status_code < 500, f"{method} {path} answered {answer.status_code}"
    assert asked >= 2


@pytest.mark.both_databases
@pytest.mark.parametrize("name", ["half of a surrogate pair", "U+0000", "emoji", "10 kB"])
async def test_every_string_of_every_query(harness: Harness, name: str) -> None:
    text = quote(TEXTS[name][:1000], errors="surrogatepass")
    for route in harness.app.state.declared:
        names = [one.alias for one in route.dependant.query_params] or ["anything"]
        query = "&".join(f"{one}={text}" for one in names)
        for path in (f"{concrete(route.path)}?{query}", f"{concrete(route.path)}/{text[:300]}"):
            if "GET" not in route.methods or route.path in ("/events", "/readyz"):
                continue  # one never ends, the other's answer is no problem body
            answer = await harness.admin.get(path)
            assert answer.status_code != 500, f"{path[:200]}: {answer.text}"
            if name == "U+0000":
                assert 400 <= answer.status_code < 500, f"{path[:200]} answered {answer.status_code}"
            if answer.status_code >= 400:
                Problem.model_validate_json(answer.content)
