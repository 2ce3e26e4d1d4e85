"""A gate from outside that fails on import is named when the registry starts; everything else works."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from capstan_contracts.kinds.broken import BrokenKinds, KindsToImport
from capstan_contracts.kinds.gates import GATE_SPECS
from capstan_registry.actions.check_gates import name_broken_gates
from capstan_registry.gates.decide import broken_kinds
from capstan_registry.gates.installed import GATES
from capstan_registry.tables import LoopRow
from capstan_servicekit.jobs.api import Job, JobKind, fields_of
from capstan_testkit.distributions import install_distribution
from capstan_testkit.harness import Harness


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_distribution(
        tmp_path, monkeypatch, name="broken-gates",
        modules={"broken_gate_spec": "import nowhere_to_be_found", "broken_gate": "raise RuntimeError('no licence')"},
        entry_points={
            "capstan.specs.gates": {"odd": "broken_gate_spec:Odd"},
            "capstan.gates": {"odd": "broken_gate:ODD"},
        },
        families=(GATE_SPECS, GATES),
    )  # fmt: skip


async def test_a_broken_spec_is_named_at_the_start_and_the_registry_serves(
    broken: None, start: Callable[..., Any], loop_body: Callable[..., Any]
) -> None:
    with capture_logs() as logs:
        async with start() as h:

            async def named() -> Any:
                return [entry for entry in logs if entry["event"] == "gates.broken"]

            found = await h.until(named)
            assert "'odd' cannot be used: broken_gate_spec:Odd fails on import" in found[0]["what"]
            assert found[0]["log_level"] == "warning"
            assert (await h.anonymous.get("/readyz")).status_code == 200
            path = "/v1/projects/default/loops/flight-delay"
            assert (await h.admin.put(path, json=loop_body())).status_code == 200
            gates = [{"metric": "auc", "min": 0.6}, {"kind": "odd"}]
            refused = await h.admin.put(path, json=loop_body(gates=gates))
            ((error),) = refused.json()["errors"]
            assert error["place"] == "body.loop.spec.gates[1].kind"
            assert "'odd' cannot be used" in error["rule"]
            assert (await h.viewer.get("/openapi.json")).status_code == 200


async def test_a_broken_judge_is_named_by_the_worker_that_would_import_it(broken: None, tmp_path: Path) -> None:
    class Jobs:
        @asynccontextmanager
        async def scratch(self) -> AsyncIterator[Path]:
            yield tmp_path

        async def call(
            self, job: JobKind[KindsToImport, BrokenKinds], given: KindsToImport, *, project: str, scratch: Path
        ) -> Any:
            assert (job.group, job.function) == ("platform", "capstan_registry.gates.decide:broken_kinds")
            return broken_kinds(Job(fields_of(given), scratch))

    jobs: Any = Jobs()
    with capture_logs() as logs:
        await name_broken_gates(jobs).run()
    assert sum("broken_gate:ODD fails on import: RuntimeError: no licence" in entry["what"] for entry in logs) == 1


async def test_a_stored_loop_whose_gate_is_gone_says_so_and_can_be_replaced(
    h: Harness, loop_body: Callable[..., Any]
) -> None:
    base = "/v1/projects/default/loops/flight-delay"
    assert (await h.admin.put(base, json=loop_body())).status_code == 200
    async with h.kit.database.write() as session:
        row = await session.get_one(LoopRow, ("default", "flight-delay"))
        gone: dict[str, Any] = deepcopy(row.resolved)
        gone["loop"]["spec"]["gates"].append({"kind": "spread", "least": 0.1})
        row.resolved = gone
    refused = await h.viewer.get(base)
    assert refused.status_code == 409
    assert (
        "'flight-delay' cannot be read any more: loop.spec.gates[4].kind: no kind of gate is called 'spread'"
        in (refused.json()["detail"])
    )
    assert len((await h.viewer.get("/v1/projects/default/loops")).json()["items"]) == 1
    again = (await h.admin.put(base, json=loop_body())).json()
    own = next(part for part in again["parts"] if part["service"] == "registry")
    assert own["changes"][0] == "the stored loop cannot be read any more, and is replaced"
    assert (await h.viewer.get(base)).status_code == 200
