"""Archives and loop parts through the HTTP API."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from capstan_contracts.loop import LoopPart
from capstan_servicekit.security.principals import Principals
from capstan_testkit.harness import Harness, running
from capstan_testkit.routes import assert_every_route_is_guarded
from capstan_testkit.schema import assert_migrations_match
from capstan_training.app import build
from capstan_training.settings import Settings
from capstan_training.tables import Base, CodeRow

CODE = "/v1/projects/default/code"
LOOP = "/v1/projects/default/loops/tiny"


@pytest.fixture
async def h(tmp_path: Path, neighbours: Any) -> AsyncIterator[Harness]:
    async with running(
        Settings, build, tmp_path, peers=neighbours, poll_s=0.1, max_code_bytes=100_000, compile_wait_s=20
    ) as harness:
        yield harness


async def upload(h: Harness, content: bytes, wait: bool = True) -> dict[str, Any]:
    path = f"{CODE}/{hashlib.sha256(content).hexdigest()}"
    answer = await h.admin.put(path, content=content)
    assert answer.status_code == 202, answer.text

    async def look() -> dict[str, Any] | None:
        body: dict[str, Any] = (await h.viewer.get(path)).json()
        return body if body["state"] in {"succeeded", "failed"} else None

    found: dict[str, Any] = await h.until(look, 30) if wait else answer.json()
    return found


async def put_part(h: Harness, part: LoopPart, **params: Any) -> Any:
    headers = {"content-type": "application/json"}
    return await h.service.put(LOOP, content=part.model_dump_json(by_alias=True), headers=headers, params=params)


def test_migrations_equal_the_models(tmp_path: Path, database_url: str) -> None:
    assert_migrations_match(Settings, Base, tmp_path, database_url)


async def test_every_route_is_guarded(h: Harness) -> None:
    assert await assert_every_route_is_guarded(h) >= 8


async def test_an_archive_compiles_and_is_the_same_again(h: Harness, recipe: Any) -> None:
    first = await upload(h, recipe.content)
    assert first["state"] == "succeeded", first
    assert list(first["pipelines"]) == ["pipeline.py:train"]
    ir = await h.kit.objects.read("default", first["pipelines"]["pipeline.py:train"])
    assert b"pipelineInfo" in ir
    assert (await upload(h, recipe.content, wait=False)) == first


async def test_archives_that_are_refused_at_once(h: Harness, tar: Any) -> None:
    link = tarfile.TarInfo("pipeline.py")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    cases = [
        (tar({"pipeline.py": link}), "pipeline.py"),
        (tar({"../x": b""}), "../x"),
        (tar({"zeros": bytes(70 << 20)}), "archive"),
        (b"", "archive"),
        (b"PK\x03\x04", "archive"),
    ]
    for content, place in cases:
        answer = await h.admin.put(f"{CODE}/{hashlib.sha256(content).hexdigest()}", content=content)
        assert answer.status_code == 400, answer.text
        assert answer.json()["errors"][0]["place"] == place
    wrong = await h.admin.put(f"{CODE}/{'0' * 64}", content=tar({"a": b""}))
    assert (wrong.status_code, wrong.json()["errors"][0]["place"]) == (400, "body")
    large = b"\x1f\x8b" + bytes(100_001)
    assert (await h.admin.put(f"{CODE}/{hashlib.sha256(large).hexdigest()}", content=large)).status_code == 413
    for name in ("x", "..%2F..%2Fetc", "A" * 64):
        assert (await h.admin.put(f"{CODE}/{name}", content=b"")).status_code in {404, 422}
    assert (await h.viewer.put(f"{CODE}/{'0' * 64}", content=b"")).status_code == 403
    assert (await h.operator.put(f"{CODE}/{'0' * 64}", content=b"")).status_code == 403
    assert (await h.viewer.get(f"{CODE}/{'0' * 64}")).status_code == 404


async def test_user_code_that_misbehaves_is_an_error_of_its_pipeline(
    h: Harness, make_recipe: Any, make_part: Callable[..., LoopPart]
) -> None:
    start = b"from kfp import dsl\n"
    pipeline = b"\n@dsl.pipeline(name='p')\ndef train(): ...\n"
    recipe = make_recipe(
        {
            "missing.py": start + b"import no_such_module" + pipeline,
            "gone.py": start + b"import os; print('bye', flush=True); os._exit(4)" + pipeline,
            "exits.py": start + b"raise SystemExit(1)" + pipeline,
            "empty.py": start + pipeline,
            "syntax.py": start + b"def (" + pipeline,
        }
    )
    found = await upload(h, recipe.content)
    assert found["state"] == "failed"
    told = {error["place"]: error["rule"] for error in found["problem"]["errors"]}
    assert "No module named 'no_such_module' (missing.py, line 2)" in told["missing.py:train"]
    assert "status 4): bye" in told["gone.py:train"]
    assert "SystemExit" in told["exits.py:train"]
    assert "empty.py:train" in told and "syntax.py" in told
    answer = await put_part(h, make_part(recipe.digest, pipeline="missing.py:train"), dry_run=True)
    assert answer.status_code == 400
    assert "No module named" in answer.json()["detail"]
    assert answer.json()["errors"][0]["place"] == "spec.training.pipeline"
    again = await upload(h, recipe.content)
    assert again["state"] == "failed"


@pytest.mark.parametrize("trusted", [False, True])
async def test_where_recipes_cannot_be_boxed_a_second_project_is_refused_until_they_are_trusted(
    tmp_path: Path, neighbours: Any, recipe: Any, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    monkeypatch.setattr("capstan_training.app.boxes_hold", lambda: False)
    async with running(Settings, build, tmp_path / "many", peers=neighbours, trust_recipes=trusted) as h:
        several = await h.admin.put(f"{CODE}/{recipe.digest}", content=recipe.content)
    monkeypatch.setattr(Principals, "persons", lambda self: ["ada"])
    async with running(Settings, build, tmp_path / "one", peers=neighbours, trust_recipes=trusted) as h:
        first = await h.admin.put(f"{CODE}/{recipe.digest}", content=recipe.content)
        async with h.kit.database.write() as session:
            await session.execute(update(CodeRow).values(project="other"))
        second = await h.admin.put(f"{CODE}/{recipe.digest}", content=recipe.content)
    assert first.status_code == 202
    assert (several.status_code, second.status_code) == ((202, 202) if trusted else (409, 409))
    if not trusted:
        assert "people have tokens here" in several.json()["detail"]
        assert "'other' has recipes" in second.json()["detail"] and "--trust-recipes" in second.json()["hint"]


async def test_a_recipe_without_a_pipeline(h: Harness, tar: Any) -> None:
    found = await upload(h, tar({"notes.txt": b"nothing"}))
    assert found["state"] == "failed"
    assert "@dsl.pipeline" in found["problem"]["detail"]


async def test_a_part_is_taken_once_and_says_what_changes(
    h: Harness, recipe: Any, make_part: Callable[..., LoopPart]
) -> None:
    await upload(h, recipe.content, wait=False)
    part = make_part(recipe.digest)
    dry = await put_part(h, part, dry_run=True)
    assert dry.status_code == 200, dry.text
    assert dry.json()["changes"] == [f"training: pipeline.py:train learns 'late', code {recipe.digest[:12]}"]
    assert (await put_part(h, part)).json()["changes"] == dry.json()["changes"]
    assert (await put_part(h, part)).json()["changes"] == []
    newer = make_part(recipe.digest, generation=3, seed=8)
    assert (await put_part(h, newer)).json()["changes"] == ["training: seed 7 becomes 8"]
    assert (await put_part(h, part)).status_code == 409
    assert (await put_part(h, make_part(recipe.digest, generation=2, seed=8))).json()["changes"] == []


@pytest.mark.parametrize(
    ("training", "place", "words"),
    [
        ({"pipeline": "pipeline.py:fit"}, "spec.training.pipeline", "it has pipeline.py:train"),
        ({"pipeline": "../pipeline.py:train"}, "spec.training.pipeline", "it has pipeline.py:train"),
        ({"parameters": {"nope": 1}}, "spec.training.parameters.nope", "unknown; parameters of tiny: behave, shift"),
        ({"parameters": {"shift": "far"}}, "spec.training.parameters.shift", "a number"),
        ({"parameters": {"seed": 1}}, "spec.training.parameters.seed", "set by the platform"),
        ({"schedule": "0 3 * * *"}, "spec.training.schedule", "not built yet"),
        ({"resources": {"gpu": 1}}, "spec.training.resources.gpu", "not built yet"),
    ],
)
async def test_parts_that_are_refused(
    h: Harness, recipe: Any, make_part: Callable[..., LoopPart], training: Any, place: str, words: str
) -> None:
    await upload(h, recipe.content, wait=False)
    for dry_run in (True, False):
        answer = await put_part(h, make_part(recipe.digest, **training), dry_run=dry_run)
        assert answer.status_code == 400, answer.text
        assert answer.json()["errors"][0]["place"] == place
        assert words in answer.json()["detail"]


async def test_a_part_for_another_address_or_without_code(h: Harness, make_part: Callable[..., LoopPart]) -> None:
    assert (await put_part(h, make_part("0" * 64))).json()["errors"][0]["place"] == "code"
    assert (await put_part(h, make_part("0" * 64, name="other"))).json()["errors"][0]["place"] == "metadata.name"
    body = make_part("0" * 64).model_dump_json(by_alias=True)
    headers = {"content-type": "application/json"}
    assert (await h.admin.put(LOOP, content=body, headers=headers)).status_code == 403
    assert (await h.service.put(LOOP, content=b'{"generation": NaN}', headers=headers)).status_code == 400
    assert (await h.service.put(LOOP, json={"generation": "x"})).status_code == 422
