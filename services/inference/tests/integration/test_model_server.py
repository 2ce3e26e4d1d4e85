"""The real model server behind the real control: predict, log, swap, crash, restart."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from capstan_contracts.events import PredictionsLogged, RolloutChanged, VersionPromoted, VersionRegistered
from capstan_contracts.ids import Urn
from capstan_formats.segments import read_heads
from capstan_inference.adapters.model_servers.child import ChildModelServer
from capstan_inference.app import build
from capstan_inference.settings import Settings
from capstan_testkit.harness import Harness, running

pytestmark = pytest.mark.integration
RUN = "01890000-0000-7000-8000-00000000000a"
HOUR = 3_600_000_000
NOON = 1_357_041_600_000_000


@dataclass
class Platform:
    """A running service with its model server, and a client of the latter."""

    h: Harness
    child: ChildModelServer
    models: httpx.AsyncClient

    async def promote(self, package: Any, version: int, sequence: int) -> None:
        digest = await self.h.kit.objects.put_file("default", package.path)
        assert digest == package.digest
        event = VersionPromoted(model="delay", to_version=version, package=digest, by="ada", ledger_sequence=sequence)
        subject = Urn("default", "model", "delay", str(version))
        registered = VersionRegistered(model="delay", version=version, package=digest, run=RUN)
        await self.h.publish(registered, subject=subject)
        await self.h.publish(event, subject=subject)

    async def deployment(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.h.viewer.get("/v1/projects/default/deployments/delay")).json()
        return found

    async def serves(self, version: int) -> None:
        async def there() -> bool:
            return bool((await self.deployment())["model_version"] == version)

        await self.h.until(there)

    async def predict(self, *rows: dict[str, Any]) -> httpx.Response:
        return await self.models.post("/v1/models/delay:predict", json={"instances": list(rows)})


def child_of(h: Harness) -> ChildModelServer:
    owners = (getattr(task, "__self__", None) for task in h.service_.tasks)
    return next(owner for owner in owners if isinstance(owner, ChildModelServer))


@asynccontextmanager
async def platform(home: Path, registry: Any, part: Any, **fields: Any) -> AsyncIterator[Platform]:
    fields = {"model_server_port": 0, **fields}
    async with running(Settings, build, home, peers=registry, **fields) as h:
        child = child_of(h)
        body = part.model_dump(mode="json", by_alias=True)
        answer = await h.service.put("/v1/projects/default/loops/delay", json=body)
        assert answer.status_code == 200, answer.text

        async def up() -> bool:
            return await child.missing() is None

        await h.until(up)
        headers = {"authorization": f"Bearer {h.tokens['operator']}"}
        async with httpx.AsyncClient(base_url=child.url, headers=headers, timeout=30, trust_env=False) as models:
            yield Platform(h, child, models)


async def test_a_promoted_version_answers_and_its_predictions_can_be_traced(
    tmp_path: Path, registry: Any, make_part: Any, make_package: Any, write_weather: Any, row: dict[str, Any]
) -> None:
    write_weather(tmp_path, {("JFK", NOON): (NOON, 38.5, 0.1), ("LGA", NOON): (NOON - 9 * HOUR, 20.0, None)})
    async with platform(tmp_path, registry, make_part()) as p:
        await p.promote(make_package(lookups=True), 1, 10)
        await p.serves(1)
        answer = await p.predict(row, {**row, "origin": "LGA"}, {**row, "origin": "EWR", "delay": None})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["model_version"] == 1 and len(body["predictions"]) == len(set(body["prediction_ids"])) == 3

        found = (await p.h.viewer.get(f"/v1/projects/default/predictions/{body['prediction_ids'][0]}")).json()
        assert found["segment"].endswith(".open")
        assert found["outputs"] == {"prediction": body["predictions"][0]}
        assert found["features"] == {"weather__temp": 38.5, "weather__rain": 0.1}
        assert found["feature_times"] == {"weather": "2013-01-01T12:00:00Z"}
        assert found["view_versions"] == {"weather": "ab" * 32}
        assert found["event_time"] == "2013-01-01T12:30:00Z"
        assert found["run"] == RUN and found["package"] == make_package(lookups=True).digest
        weather = {"origin": "JFK", "time_hour": "2013-01-01T12:00:00+00:00"}
        keys = {"origin": "JFK", "departure": row["departure"], "flight": 1545}
        assert found["entity"] == {**keys, "weather": weather}
        assert found["inputs"] == row

        flushed = (await p.h.operator.post("/v1/projects/default/deployments/delay/flush")).json()
        assert flushed["rows"] == 3 and len(flushed["segment"]) == 64
        status = []
        for prediction in body["prediction_ids"]:
            one = (await p.h.viewer.get(f"/v1/projects/default/predictions/{prediction}")).json()
            assert one["segment"] == flushed["segment"]
            status.append(one["feature_status"]["weather"])
        assert status == ["present", "expired", "missing"]

        async def told() -> bool:
            return len(p.h.published(PredictionsLogged)) == 1

        await p.h.until(told)
        logged = (await p.h.relayed(PredictionsLogged))[0][1]
        assert (logged.segment, logged.rows, logged.records) == (flushed["segment"], 3, 1)
        assert (await p.h.operator.post("/v1/projects/default/deployments/delay/flush")).json()["segment"] is None
        assert (await p.models.get("/v2/health/ready")).json() == {"ready": True}
        changed = (await p.h.relayed(RolloutChanged))[0][1]
        assert (changed.change, changed.from_version, changed.to_version, changed.revision) == ("promoted", None, 1, 1)


async def test_a_swap_under_load_fails_no_request(
    tmp_path: Path, registry: Any, make_part: Any, make_package: Any, row: dict[str, Any]
) -> None:
    async with platform(tmp_path, registry, make_part()) as p:
        await p.promote(make_package(0.0), 1, 1)
        await p.serves(1)
        seen: list[tuple[int, int]] = []
        stop = asyncio.Event()

        async def load() -> None:
            while not stop.is_set():
                answer = await p.predict(row)
                seen.append((answer.status_code, answer.json().get("model_version", 0)))

        loads = [asyncio.create_task(load()) for _ in range(8)]
        for version in range(2, 7):
            await p.promote(make_package(float(version % 2)), version, version)
            await p.serves(version)
        await asyncio.sleep(0.1)
        stop.set()
        await asyncio.gather(*loads)
        assert {status for status, _ in seen} == {200}
        assert {version for _, version in seen} >= {1, 6}


async def test_kill_9_loses_no_answered_prediction_and_ships_each_once(
    tmp_path: Path, registry: Any, make_part: Any, make_package: Any, row: dict[str, Any]
) -> None:
    async with platform(tmp_path, registry, make_part(), segment_age_s=600) as p:
        await p.promote(make_package(), 1, 1)
        await p.serves(1)
        answered: list[str] = []

        async def load() -> None:
            with suppress(httpx.TransportError):
                while True:
                    answered.extend((await p.predict(row)).json()["prediction_ids"])

        loads = [asyncio.create_task(load()) for _ in range(8)]
        for _ in range(3):
            await asyncio.sleep(0.4)
            pid = p.child.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)

            async def another(old: int = pid) -> bool:
                return p.child.pid not in (None, old) and await p.child.missing() is None

            await p.h.until(another)
            loads += [asyncio.create_task(load()) for _ in range(2)]
        for task in loads:
            task.cancel()
        await asyncio.gather(*loads, return_exceptions=True)
        assert len(answered) > 50
        assert (await p.predict(row)).status_code == 200
        last = (await p.h.operator.post("/v1/projects/default/deployments/delay/flush")).json()["segment"]

        async def shipped() -> bool:  # the outbox keeps order, and the last segment is the youngest
            return last in {event.segment for _, event in p.h.published(PredictionsLogged)}

        await p.h.until(shipped)
        assert await asyncio.to_thread(lambda: list(tmp_path.glob("spool/inference/*/*/*"))) == []
        events = [event for _, event in await p.h.relayed(PredictionsLogged)]
        assert len({event.segment for event in events}) == len(events)
        kept: list[str] = []
        for event in events:
            path = await p.h.kit.objects.local_path("default", event.segment)
            kept += [one for head in read_heads(path) for one in head.ids.texts()]
        assert len(kept) == len(set(kept)) == sum(event.rows for event in events)
        assert set(answered) <= set(kept)


async def test_a_stopped_model_server_is_told_of_and_replaced_within_ten_seconds(
    tmp_path: Path, registry: Any, make_part: Any, make_package: Any, row: dict[str, Any]
) -> None:
    async with platform(tmp_path, registry, make_part()) as p:
        await p.promote(make_package(), 1, 1)
        await p.serves(1)
        pid, began = p.child.pid, time.monotonic()
        assert pid is not None and await p.child.missing() is None
        os.kill(pid, signal.SIGSTOP)

        async def told() -> bool:
            return "does not answer" in (await p.child.missing() or "")

        await p.h.until(told, timeout=5)

        async def replaced() -> bool:
            return p.child.pid not in (None, pid) and await p.child.missing() is None

        await p.h.until(replaced, timeout=20)
        assert time.monotonic() - began <= 10
        answer = await p.models.post("/v1/models/delay:predict", json={"instances": [row]})
        assert answer.status_code == 200


async def test_a_champion_whose_package_is_damaged_is_503_with_the_reason_until_it_is_whole(
    tmp_path: Path, registry: Any, make_part: Any, make_package: Any, row: dict[str, Any]
) -> None:
    async with platform(tmp_path, registry, make_part()) as p:
        package = make_package()
        await p.promote(package, 1, 1)
        await p.serves(1)
        path = await p.h.kit.objects.local_path("default", package.digest)
        path.chmod(0o644)
        content = path.read_bytes()
        path.write_bytes(content[:99] + bytes([content[99] ^ 1]) + content[100:])
        pid = p.child.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        answer = await p.predict(row)  # waits in the backlog until the next process listens
        assert (answer.status_code, answer.json()["code"]) == (503, "not-ready")
        assert "cannot be served: version 1: object" in answer.json()["detail"]
        assert "has other bytes" in answer.json()["detail"] and "rollback" in answer.json()["hint"]
        await p.h.kit.objects.put_file("default", package.path)
        assert await p.child.load((await p.child._wanted())[0]) > 0
        assert (await p.predict(row)).status_code == 200


async def test_connections_wait_while_the_model_server_restarts(
    tmp_path: Path, registry: Any, make_part: Any, make_package: Any, row: dict[str, Any]
) -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    async with platform(tmp_path, registry, make_part(), model_server_fd=os.dup(listening.fileno())) as p:
        await p.promote(make_package(), 1, 1)
        await p.serves(1)
        assert p.child.url.endswith(f":{listening.getsockname()[1]}")
        pid = p.child.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

        async def fresh() -> httpx.Response:
            headers = p.models.headers
            async with httpx.AsyncClient(base_url=p.child.url, headers=headers, timeout=30, trust_env=False) as client:
                return await client.post("/v1/models/delay:predict", json={"instances": [row]})

        await asyncio.sleep(0.02)
        answers = await asyncio.gather(*(fresh() for _ in range(12)))
        assert {answer.status_code for answer in answers} == {200}
    # The control is gone, and its model server with it; whoever holds the socket still lets callers queue.
    with socket.create_connection(listening.getsockname(), timeout=5):
        listening.close()


async def test_a_restarted_control_serves_the_same_version_and_ships_what_was_left(
    tmp_path: Path, registry: Any, make_part: Any, make_package: Any, row: dict[str, Any]
) -> None:
    async with platform(tmp_path, registry, make_part()) as p:
        await p.promote(make_package(), 3, 7)
        await p.serves(3)
        first = (await p.predict(row)).json()
    registry.champions["default", "delay"] = (2, "c" * 64, 6)  # an older entry never replaces a newer one
    async with platform(tmp_path, registry, make_part()) as p:
        again = (await p.predict(row)).json()
        assert (again["model_version"], again["predictions"]) == (3, first["predictions"])

        async def shipped() -> bool:
            return len(p.h.published(PredictionsLogged)) == 1

        await p.h.until(shipped)
        found = (await p.h.viewer.get(f"/v1/projects/default/predictions/{first['prediction_ids'][0]}")).json()
        assert found["segment"] == (await p.h.relayed(PredictionsLogged))[0][1].segment
        assert (await p.deployment())["revision"] == 1


async def test_a_broken_package_leaves_the_champion_in_place_and_says_so(
    tmp_path: Path, registry: Any, make_part: Callable[..., Any], make_package: Any, row: dict[str, Any]
) -> None:
    async with platform(tmp_path, registry, make_part()) as p:
        await p.promote(make_package(), 1, 1)
        await p.serves(1)
        digest = await p.h.kit.objects.put_bytes("default", b"this is no package")
        event = VersionPromoted(model="delay", to_version=2, package=digest, by="ada", ledger_sequence=2)
        await p.h.publish(event, subject=Urn("default", "model", "delay", "2"))

        async def told() -> str:
            return str((await p.deployment())["message"])

        message = await p.h.until(told)
        assert "version 2 could not be loaded" in message and "version 1 keeps serving" in message
        assert (await p.deployment())["state"] == "serving"
        assert (await p.predict(row)).json()["model_version"] == 1
        assert len(await p.h.relayed(RolloutChanged)) == 1
