"""The chain of versions, with a checker and a store that are quick: what is committed, once, in which order."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from capstan_contracts.events import BatchQuarantined, DatasetCommitted
from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import CheckResult, ManifestFile, Verdict
from capstan_ingestion.actions.ports import Checked, LeftRows, Progress, RepeatedKeys
from capstan_ingestion.app import compose
from capstan_ingestion.domain.files import Form
from capstan_ingestion.domain.jobs import PlacedFile
from capstan_ingestion.settings import Settings
from capstan_servicekit.errors import InvalidData, Upstream
from capstan_servicekit.runtime import Kit, Service
from capstan_testkit.harness import Harness, running
from capstan_testkit.suites.version_stores import VersionStoreBehaviour

Make = Callable[..., Any]
BASE = "/v1/projects/default"
CSV = {"content-type": "text/csv"}


def _text(path: Path) -> str:
    return path.read_text()


@dataclass
class LineChecker:
    """Every line is a row; a line `bad` breaks the contract; the file is its own canonical form."""

    hidden_faults: int = 0
    columns: dict[str, str] = field(default_factory=lambda: {"id": "int64"})
    refuse: bool = False

    async def check(
        self,
        project: str,
        path: Path,
        form: Form,
        dataset: DatasetSpec,
        *,
        earlier: Mapping[str, str],
        needed: Sequence[str],
        folder: Path,
        progress: Progress,
    ) -> Checked:
        if self.refuse:
            raise InvalidData("too much memory")
        if self.hidden_faults:
            self.hidden_faults -= 1
            raise OSError("the worker died")
        text = _text(path)
        lines = text.splitlines()
        bad = lines.count("bad")
        result = CheckResult(
            key="rows", expectation="x", severity="critical", outcome="failed" if bad else "passed", failing_rows=bad
        )
        failing = folder / "failing.json"
        failing.write_text('[{"_row": 0, "_checks": ["rows"]}]')
        canonical = folder / "canonical"
        canonical.write_text(text.rstrip())
        verdict = Verdict(passed=not bad, rows=len(lines), engine="lines", checks=[result])
        at = datetime(2013, 1, 1, tzinfo=UTC)
        return Checked(verdict, dict(self.columns), at, at, None if bad else canonical, failing if bad else None, bad)

    async def widen(
        self, project: str, files: Mapping[str, Path], columns: Mapping[str, str], *, folder: Path
    ) -> Mapping[str, Path]:
        """A line says its type."""
        made = {name: folder / f"widened-{name}" for name in files}
        for name, file in files.items():
            made[name].write_text("\n".join(f"{line} {columns['id']}" for line in _text(file).splitlines()))
        return made

    async def compare_keys(
        self, project: str, path: Path, dataset: DatasetSpec, others: Mapping[str, Path], *, folder: Path
    ) -> RepeatedKeys:
        """A line is its own key."""
        own = set(_text(path).splitlines())
        by_partition = {name: len(own & set(_text(file).splitlines())) for name, file in others.items()}
        by_partition = {name: count for name, count in by_partition.items() if count}
        left: dict[str, LeftRows] = {}
        for name in by_partition if dataset.on_repeated_keys == "replace" else ():
            rows = [line for line in _text(others[name]).splitlines() if line not in own]
            file = folder / f"left-{name}"
            file.write_text("\n".join(rows))
            left[name] = LeftRows(file if rows else None, len(rows), None, None)
        failing = folder / "repeated.json"
        failing.write_text('[{"_row": 0, "_checks": ["keys:unique-in-version"]}]')
        repeated = len([line for line in own if any(line in _text(file).splitlines() for file in others.values())])
        return RepeatedKeys(repeated, by_partition, failing if repeated else None, left)


@dataclass
class NamedStore:
    """A store that keeps no content and names everything; `meanwhile` runs once while a file is placed."""

    meanwhile: Callable[[], Awaitable[None]] | None = None
    calls: int = 0
    named: set[str] = field(default_factory=set)

    async def place(
        self, project: str, *, path: str, source: Path, kept: Sequence[ManifestFile], folder: Path
    ) -> PlacedFile:
        self.calls += 1
        if self.meanwhile is not None:
            action, self.meanwhile = self.meanwhile, None
            await action()
        if lost := next((one for one in kept if one.md5 not in self.named), None):
            raise Upstream(f"the store has lost {lost.path} ({lost.md5})")
        md5 = hashlib.md5(_text(source).encode(), usedforsecurity=False).hexdigest()
        self.named.add(md5)
        names = "".join(sorted([f"{path}{md5}", *(f"{one.path}{one.md5}" for one in kept)]))
        return PlacedFile(md5, hashlib.md5(names.encode(), usedforsecurity=False).hexdigest() + ".dir")


@pytest.fixture
def checker() -> LineChecker:
    return LineChecker()


@pytest.fixture
def store() -> NamedStore:
    return NamedStore()


class TestNamedStore(VersionStoreBehaviour):
    """The fake, which the `store` fixture gives."""


@pytest.fixture
async def h(tmp_path: Path, checker: LineChecker, store: NamedStore, make_spec: Make) -> AsyncIterator[Harness]:
    def parts(kit: Kit, settings: Settings) -> Service:
        return compose(kit, settings, checker=checker, store=store)

    async with running(Settings, lambda settings: parts(Kit.from_settings(settings), settings), tmp_path) as harness:
        answer = await harness.admin.put(f"{BASE}/datasets/trips", json=make_spec())
        assert answer.status_code == 200
        yield harness


async def post(h: Harness, content: str, partition: str = "a", **query: str) -> dict[str, Any]:
    params = {"partition": partition, **query}
    answer = await h.operator.post(
        f"{BASE}/datasets/trips/batches", params=params, content=content.encode(), headers=CSV
    )
    assert answer.status_code in (200, 202), answer.text
    body: dict[str, Any] = answer.json()
    return body | {"status": answer.status_code}


async def send(h: Harness, content: str, partition: str = "a", **query: str) -> dict[str, Any]:
    return await ended(h, (await post(h, content, partition, **query))["id"])


async def ended(h: Harness, batch: str) -> dict[str, Any]:
    async def done() -> dict[str, Any] | None:
        found: dict[str, Any] = (await h.viewer.get(f"{BASE}/batches/{batch}")).json()
        return found if found["state"] in {"committed", "quarantined", "failed"} else None

    result: dict[str, Any] = await h.until(done)
    return result


async def versions(h: Harness) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await h.viewer.get(f"{BASE}/datasets/trips/versions")).json()["items"]
    return found


async def committed(h: Harness, count: int) -> list[DatasetCommitted]:
    async def enough() -> list[DatasetCommitted]:
        events = [event for _, event in h.published(DatasetCommitted)]
        return events if len(events) >= count else []

    await h.until(enough)
    return [event for _, event in await h.relayed(DatasetCommitted)]


async def test_files_that_did_not_change_are_shared_with_the_parent(h: Harness) -> None:
    await send(h, "1\n2", "a")
    await send(h, "3", "b")
    await send(h, "1\n2\n9", "a")
    third, second, first = await versions(h)
    assert [one["sequence"] for one in (first, second, third)] == [1, 2, 3]
    assert (second["parent"], third["parent"]) == (first["version"], second["version"])
    assert second["files"][0] == first["files"][0] and third["files"][1] == second["files"][1]
    assert [file["rows"] for file in third["files"]] == [3, 1] and third["rows"] == 4
    dataset = (await h.viewer.get(f"{BASE}/datasets/trips")).json()
    assert (dataset["latest"], dataset["rows"], dataset["partitions"]) == (third["version"], 4, 2)
    events = await committed(h, 3)
    assert [(one.parent, one.partition, one.rows, one.total_rows) for one in events] == [
        (None, "a", 2, 2),
        (first["version"], "b", 1, 3),
        (second["version"], "a", 3, 4),
    ]
    for one in (first, second, third):
        content = await h.kit.objects.read("default", one["version"])
        assert hashlib.sha256(content).hexdigest() == one["version"]


async def test_the_same_rows_again_make_no_version_and_no_event(h: Harness) -> None:
    first = await send(h, "1\n2")
    assert (await post(h, "1\n2"))["status"] == 200
    same_rows = await send(h, "1\n2\n")
    assert same_rows["id"] != first["id"] and same_rows["version"] == first["version"]
    assert len(await versions(h)) == 1
    assert len(await committed(h, 1)) == 1


@pytest.mark.both_databases
async def test_going_back_to_former_bytes_goes_back_to_the_former_version(h: Harness) -> None:
    first = await send(h, "1")
    second = await send(h, "2")
    back = await post(h, "1")
    assert back["status"] == 202
    assert (await ended(h, back["id"]))["version"] == first["version"]
    latest = (await h.viewer.get(f"{BASE}/datasets/trips")).json()["latest"]
    assert latest == first["version"] and len(await versions(h)) == 2
    assert [one.parent for one in await committed(h, 3)] == [None, first["version"], second["version"]]
    fourth = await send(h, "4")
    assert [one["sequence"] for one in await versions(h)] == [3, 2, 1]
    assert (await versions(h))[0]["parent"] == first["version"] and fourth["version"] == (await versions(h))[0][
        "version"
    ]


@pytest.mark.both_databases
async def test_batches_that_come_at_once_all_end_in_the_chain(h: Harness) -> None:
    posted = await asyncio.gather(*(post(h, f"{number}", f"p{number}") for number in range(8)))
    for one in posted:
        assert (await ended(h, one["id"]))["state"] == "committed"
    chain = await versions(h)
    assert len(chain) == 8 and len(chain[0]["files"]) == 8
    assert [one["parent"] for one in chain] == [*(one["version"] for one in chain[1:]), None]


async def test_a_commit_of_another_process_in_between_is_built_upon(
    h: Harness, tmp_path: Path, store: NamedStore, checker: LineChecker
) -> None:
    await send(h, "1", "a")
    held, freed = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        held.set()
        await freed.wait()

    store.meanwhile = hold
    slow = await post(h, "2", "b")
    await held.wait()
    async with running(
        Settings,
        lambda settings: compose(Kit.from_settings(settings), settings, checker=checker, store=store),
        tmp_path,
    ) as other:
        quick = await send(other, "3", "c")
        assert quick["state"] == "committed"
        freed.set()
        assert (await ended(h, slow["id"]))["state"] == "committed"
    chain = await versions(h)
    assert [len(one["files"]) for one in chain] == [3, 2, 1]
    assert [file["partition"] for file in chain[0]["files"]] == ["a", "b", "c"]
    assert chain[0]["parent"] == chain[1]["version"] == quick["version"]


@pytest.mark.both_databases
async def test_a_quarantined_batch_changes_no_version(h: Harness) -> None:
    bad = await send(h, "bad\n1")
    assert bad["state"] == "quarantined" and bad["verdict"]["checks"][0]["failing_rows"] == 1
    assert await versions(h) == []
    rows = (await h.viewer.get(f"{BASE}/batches/{bad['id'][:12]}/failing-rows")).json()
    assert rows == {"batch": bad["id"], "total": 1, "rows": [{"_row": 0, "_checks": ["rows"]}]}

    async def told() -> list[Any]:
        return h.published(BatchQuarantined)

    ((envelope, event),) = await h.until(told)
    assert event.failed == ["rows"] and envelope.subject == f"capstan:default:batch/{bad['id']}"
    assert (await post(h, "bad\n1"))["status"] == 200
    good = await send(h, "1\n2", replaces=bad["id"])
    assert good["state"] == "committed"
    assert (await h.viewer.get(f"{BASE}/batches/{bad['id']}")).json()["state"] == "replaced"
    replay = await h.operator.post(f"{BASE}/batches/{bad['id']}/replay")
    assert replay.status_code == 409


async def test_only_a_batch_that_was_set_aside_is_replaced(h: Harness) -> None:
    good, bad = await send(h, "1"), await send(h, "bad")
    up = f"{BASE}/datasets/trips/batches?partition=a&replaces="
    refused = await h.operator.post(up + good["id"], content=b"2", headers=CSV)
    assert refused.status_code == 409 and "without `replaces`" in refused.json()["hint"]
    itself = await h.operator.post(up + bad["id"], content=b"bad", headers=CSV)
    assert itself.status_code == 409 and "replay" in itself.json()["hint"]


async def test_the_same_bytes_in_two_partitions_are_two_batches(h: Harness) -> None:
    first, second = await send(h, "bad", "a"), await send(h, "bad", "b")
    assert first["id"] == second["id"] and second["partition"] == "b"
    refused = await h.operator.post(f"{BASE}/batches/{first['id']}/replay")
    assert refused.status_code == 409 and "trips/a" in refused.json()["detail"]


async def test_a_fault_is_tried_again_and_its_effect_happens_once(h: Harness, checker: LineChecker) -> None:
    checker.hidden_faults = 1
    assert (await send(h, "1"))["state"] == "committed"
    assert len(await versions(h)) == 1 and len(await committed(h, 1)) == 1


async def test_what_cannot_be_checked_has_failed_with_a_problem_until_it_is_replayed(
    h: Harness, checker: LineChecker
) -> None:
    checker.refuse = True
    failed = await send(h, "1")
    assert failed["state"] == "failed" and failed["problem"]["detail"] == "too much memory"
    checker.refuse = False
    assert (await h.operator.post(f"{BASE}/batches/{failed['id']}/replay")).status_code == 202
    again = await ended(h, failed["id"])
    assert again["state"] == "committed" and again["problem"] is None


async def test_a_version_is_found_by_its_first_characters(h: Harness) -> None:
    batch = await send(h, "1")
    whole = (await h.viewer.get(f"{BASE}/datasets/trips/versions/{batch['version']}")).json()
    short = (await h.viewer.get(f"{BASE}/datasets/trips/versions/{batch['version'][:12]}")).json()
    assert whole == short and whole["version"] == batch["version"]
    text = (await h.viewer.get(f"{BASE}/datasets/trips/versions/{batch['version'][:12]}/dvc")).text
    assert whole["dvc_md5"] in text


async def test_keys_of_another_partition_are_quarantined(h: Harness) -> None:
    first = await send(h, "1\n2\n3", "a")
    flipped = await send(h, "3\n4", "b")
    assert flipped["state"] == "quarantined" and flipped["version"] is None
    check = flipped["verdict"]["checks"][-1]
    assert (check["key"], check["severity"], check["failing_rows"]) == ("keys:unique-in-version", "critical", 1)
    assert check["sentence"].startswith("id: 1 of 2 rows have a key that another partition has already: 'a' (1); send")
    rows = (await h.viewer.get(f"{BASE}/batches/{flipped['id']}/failing-rows")).json()
    assert rows["total"] == 1 and rows["rows"][0]["_checks"] == ["keys:unique-in-version"]
    assert [version["version"] for version in await versions(h)] == [first["version"]]
    assert (await send(h, "4\n5", "b"))["state"] == "committed"
    assert (await send(h, "1\n3", "a"))["state"] == "committed", "a partition may always be sent again"


async def test_keys_of_another_partition_are_found_whoever_commits_first(h: Harness, store: NamedStore) -> None:
    await send(h, "1", "a")
    posted = await asyncio.gather(*(post(h, f"7\n{number}", f"p{number}") for number in range(20, 24)))
    states = [(await ended(h, batch["id"]))["state"] for batch in posted]
    assert sorted(states) == ["committed", "quarantined", "quarantined", "quarantined"]
    assert (await versions(h))[0]["rows"] == 3


async def test_rows_take_the_place_of_those_with_their_key_where_the_dataset_says_so(
    h: Harness, make_spec: Make
) -> None:
    answer = await h.admin.put(f"{BASE}/datasets/trips", json=make_spec(onRepeatedKeys="replace"))
    assert answer.status_code == 200, answer.text
    await send(h, "1\n2\n3", "a")
    await send(h, "8", "c")
    moved = await send(h, "3\n4\n8", "b")
    assert moved["state"] == "committed"
    (info,) = [check for check in moved["verdict"]["checks"] if check["key"] == "keys:unique-in-version"]
    assert info["severity"] == "info"
    assert info["sentence"] == "id: 2 of 3 rows take the place of rows with the same key in partition 'a' (1), 'c' (1)"
    newest, before = (await versions(h))[:2]
    assert [(file["partition"], file["rows"]) for file in newest["files"]] == [("a", 2), ("b", 3)]
    assert newest["rows"] == 5 and [file["rows"] for file in before["files"]] == [3, 1], "a version never changes"
    left = await h.kit.objects.read("default", newest["files"][0]["sha256"])
    assert left == b"1\n2"


async def test_the_same_bytes_under_another_partition_name_are_an_error_that_names_the_first(h: Harness) -> None:
    first = await send(h, "1\n2", "2013-01")
    up = f"{BASE}/datasets/trips/batches?partition=2013-01-copy"
    refused = await h.operator.post(up, content=b"1\n2", headers=CSV)
    assert refused.status_code == 409, refused.text
    assert refused.json()["detail"] == ("The same bytes are partition '2013-01' of dataset 'trips' already (committed)")
    assert "--allow-duplicate" in refused.json()["hint"]
    assert (await versions(h))[0]["rows"] == 2
    allowed = await h.operator.post(f"{up}&allow_duplicate=true", content=b"1\n2", headers=CSV)
    assert allowed.status_code == 202
    assert (await ended(h, first["id"]))["state"] == "quarantined", "its keys are still there once only"
    assert (await versions(h))[0]["rows"] == 2


async def test_bytes_that_are_in_no_row_any_more_may_come_under_another_name(h: Harness) -> None:
    await send(h, "1\n2", "a")
    await send(h, "3", "a")
    assert (await send(h, "1\n2", "b"))["state"] == "committed"


async def test_a_declared_wider_type_is_given_to_the_files_that_are_there(
    h: Harness, make_spec: Make, checker: LineChecker
) -> None:
    first = await send(h, "1\n2", "a")
    await send(h, "3", "b")
    wrong = await h.admin.put(f"{BASE}/datasets/trips", json=make_spec(columns={"id": "date"}))
    assert wrong.status_code == 400 and wrong.json()["errors"][0]["place"] == "columns.id", wrong.text
    assert "is declared date, and the dataset's files have int64" in wrong.json()["detail"]
    assert (await h.admin.put(f"{BASE}/datasets/trips", json=make_spec(columns={"id": "string"}))).status_code == 200
    dataset = (await h.viewer.get(f"{BASE}/datasets/trips")).json()
    assert dataset["columns"] == {"id": "string"}
    checker.columns = {"id": "string", "more": "bool"}
    assert (await send(h, "4", "c"))["state"] == "committed"
    newest = (await versions(h))[0]
    assert newest["columns"] == {"id": "string", "more": "bool"}
    texts = [await h.kit.objects.read("default", file["sha256"]) for file in newest["files"]]
    assert texts == [b"1 string\n2 string", b"3 string", b"4"]
    unchanged = (await h.viewer.get(f"{BASE}/datasets/trips/versions/{first['version']}")).json()
    assert unchanged["columns"] == {"id": "int64"}


async def test_a_lone_file_may_be_sent_again_as_another_type(h: Harness, make_spec: Make, checker: LineChecker) -> None:
    await send(h, "1", "a")
    assert (await h.admin.put(f"{BASE}/datasets/trips", json=make_spec(columns={"id": "date"}))).status_code == 200
    checker.columns = {"id": "date"}
    assert (await send(h, "2", "a"))["state"] == "committed"
    assert (await versions(h))[0]["columns"] == {"id": "date"}
