"""A loop without views: its training set is the dataset's own columns, of whatever types files brought."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_contracts.loop import Loop
from capstan_contracts.plain import plain_definitions
from capstan_testkit.harness import Harness

pytestmark = pytest.mark.integration
P = "/v1/projects/default"
World = Any
"""The class in conftest.py, which import mode importlib does not let us name."""

SCHEMA = pa.schema(
    [
        ("flight", pa.int64()), ("departs", pa.timestamp("us", "UTC")), ("fare", pa.decimal128(18, 2)),
        ("tags", pa.list_(pa.string())), ("gap", pa.string()), ("late", pa.decimal128(3, 1)),
    ]
)  # fmt: skip


def plain_part(world: World, label: str) -> dict[str, Any]:
    part: dict[str, Any] = world.loop_part()
    loop = part["resolved"]["loop"]
    del loop["spec"]["features"], loop["spec"]["sources"]
    loop["spec"]["dataset"]["columns"] = {"flight": "int64", "fare": "decimal(18,2)", "gap": "string"}
    loop["spec"]["training"]["label"] = label
    part["resolved"]["definitions"] = plain_definitions(Loop.model_validate(loop)).model_dump(mode="json")
    return part


async def training_set(h: Harness, world: World, label: str) -> dict[str, Any]:
    answer = await h.service.put(f"{P}/loops/flight-delay", json=plain_part(world, label))
    assert answer.status_code == 200, answer.text
    row = {"flight": 1, "departs": world.hour(1), "fare": Decimal("10.50"), "tags": ["a"], "late": Decimal("1.0")}
    first = [{**row, "gap": "x"}, {**row, "flight": 2, "late": None, "gap": "y"}]
    without = SCHEMA.set(SCHEMA.get_field_index("gap"), pa.field("gap", pa.null()))
    await world.commit("flights", SCHEMA, first)
    # Ingestion keeps a column without any value as such: read together with others it has their type.
    manifest = await world.commit("flights", without, [{**row, "flight": 3, "departs": world.hour(2)}])
    both = [*world.manifests["flights"][0].files, manifest.files[0].model_copy(update={"partition": "p1"})]
    world.manifests["flights"][-1] = manifest.model_copy(update={"files": both})
    event, subject = world.committed(world.manifests["flights"][-1])
    await h.publish(event, subject=subject)
    body = {
        "feature_service": "flight_delay", "dataset": "flights", "dataset_version": manifest.version, "label": label,
    }  # fmt: skip
    asked = await h.operator.post(f"{P}/training-sets", json=body)
    assert asked.status_code == 202, asked.text

    async def done() -> dict[str, Any] | None:
        found: dict[str, Any] = (await h.viewer.get(f"{P}/training-sets/{asked.json()['id']}")).json()
        return found if found["state"] in {"succeeded", "failed"} else None

    found: dict[str, Any] = await h.until(done, timeout=40)
    return found


async def test_the_training_set_is_the_columns_that_the_dataset_declares(h: Harness, world: World) -> None:
    made = await training_set(h, world, "late")
    assert made["state"] == "succeeded", made
    assert made["rows"] == 2 and made["unlabelled"] == 1 and made["view_versions"] == {}
    table = pq.read_table(await h.kit.objects.local_path("default", made["digest"]))
    assert table.column_names == ["item_id", "label", "departs", "flight", "fare", "gap", "_file", "_row"]
    assert table["label"].to_pylist() == [1.0, 1.0] and table["label"].type == pa.float64()
    assert table["fare"].to_pylist() == [10.5, 10.5] and table["gap"].to_pylist() == ["x", None]
    assert table["departs"].to_pylist()[0] - world.hour(0) == timedelta(hours=1)


async def test_a_label_that_no_model_learns_is_refused_in_a_sentence(h: Harness, world: World) -> None:
    made = await training_set(h, world, "tags")
    assert made["state"] == "failed"
    assert "'tags' is VARCHAR[]: stored, never learnt" in made["problem"]["detail"]


async def test_views_without_features_are_refused(h: Harness, world: World) -> None:
    part = plain_part(world, "late")
    part["resolved"]["definitions"] = world.definitions()
    answer = await h.service.put(f"{P}/loops/flight-delay", json=part)
    assert answer.status_code == 400 and "none, since the loop has no features" in answer.json()["detail"]
