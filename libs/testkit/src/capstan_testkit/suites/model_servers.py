"""What every model server must do, seen through the inference service that uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from capstan_contracts.events import RolloutChanged

FLUSH = "/v1/projects/default/deployments/delay/flush"
Sites = Callable[..., Any]


class ModelServerBehaviour:
    """Inherit, and give the fixtures of a site and of the service's package.

    `site`: opens the service with the model server under test, and what callers of both do (`promote`, `reaches`,
    `predict`, `load`, `all_logged_once`). `make_package` builds a package whose predictions move by its argument, `row`
    is a row that it takes.
    """

    async def test_a_promoted_version_answers_and_its_predictions_are_found(
        self, site: Sites, make_package: Any, row: dict[str, Any]
    ) -> None:
        async with site(segment_age_s=600, model_segment_age_s=600) as s:
            await s.promote(make_package(), 1)
            deployment = await s.reaches(model_version=1, state="serving", message="")
            assert (deployment["service"] is None) == (s.cluster is None)
            answer = await s.predict(row)
            record = (await s.h.viewer.get(f"/v1/projects/default/predictions/{answer['prediction_ids'][0]}")).json()
            assert record["outputs"] == {"prediction": answer["predictions"][0]} and record["inputs"] == row
            again = await s.predict(row)
            flushed = (await s.h.operator.post(FLUSH)).json()
            assert flushed["rows"] >= 1 and len(flushed["segment"]) == 64
            shipped = (await s.h.viewer.get(f"/v1/projects/default/predictions/{again['prediction_ids'][0]}")).json()
            assert shipped["segment"] == flushed["segment"]
            assert (await s.h.operator.post(FLUSH)).json() == {"segment": None, "rows": 0}
            s.answered += answer["prediction_ids"] + again["prediction_ids"]
            await s.all_logged_once()

    async def test_a_new_champion_under_load_fails_no_request(
        self, site: Sites, make_package: Any, row: dict[str, Any]
    ) -> None:
        async with site() as s:
            await s.promote(make_package(0.0), 1)
            await s.reaches(model_version=1)
            async with s.load(row):
                for version in (2, 3):
                    await s.promote(make_package(float(version % 2)), version)
                    await s.reaches(model_version=version)
                await asyncio.sleep(0.3)
            assert s.failed == []
            assert s.versions == {1, 2, 3}
            if s.cluster is not None:
                await asyncio.sleep(2.0)  # the old pods ship while they leave
            else:
                await s.h.operator.post(FLUSH)
            await s.h.operator.post(FLUSH)
            await s.all_logged_once()
            changed = [event.to_version for _, event in await s.h.relayed(RolloutChanged)]
            assert changed == [1, 2, 3]

    async def test_an_older_placement_that_comes_late_changes_nothing(
        self, site: Sites, make_package: Any, row: dict[str, Any]
    ) -> None:
        async with site() as s:
            await s.promote(make_package(0.0), 1)
            await s.reaches(model_version=1)
            older = s.server.serving["default", "delay"]
            await s.promote(make_package(1.0), 2)
            await s.reaches(model_version=2)
            await s.server.load(older)
            assert (await s.predict(row))["model_version"] == 2
            assert s.server.serving["default", "delay"].version == 2

    async def test_a_package_that_cannot_be_served_leaves_the_champion(
        self, site: Sites, make_package: Any, row: dict[str, Any]
    ) -> None:
        async with site() as s:
            await s.promote(make_package(), 1)
            await s.reaches(model_version=1)
            await s.promote_digest(await s.h.kit.objects.put_bytes("default", b"this is no package"), 2)

            async def current_message() -> str:
                return str((await s.deployment())["message"])

            async with s.load(row, 2):
                message = await s.h.until(current_message, timeout=60)
            assert "version 2 could not be loaded" in message and "version 1 keeps serving" in message
            assert s.failed == [] and s.versions == {1}
            assert (await s.deployment())["state"] == "serving"
            assert len(await s.h.relayed(RolloutChanged)) == 1

    async def test_a_first_package_that_cannot_be_served_fails_the_deployment(self, site: Sites) -> None:
        async with site() as s:
            await s.promote_digest(await s.h.kit.objects.put_bytes("default", b"this is no package"), 1)
            deployment = await s.reaches(state="failed")
            assert (
                deployment["message"].startswith("version 1 could not be loaded: ")
                and deployment["model_version"] is None
            )
            assert s.cluster is None or s.cluster.deployments == {}
