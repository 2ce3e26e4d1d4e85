"""Live quality of a regression and of classes; a label by hand is what the task of the champion's package says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capstan_evaluation.kinds import find
from capstan_evaluation.tasks import multiclass, regression
from capstan_testkit.packages import build_package

pytestmark = pytest.mark.integration
FEATURES = [{"op": "numeric", "column": "delay"}]
BASE = "/v1/projects/default"


class Files:
    """What `Driver.promote` stores: a package of another task, and any training set."""

    def __init__(self, folder: Path, made: Any, **header: Any) -> None:
        self.package, self.training_set = build_package(folder, FEATURES, **header).path, made.training_set


async def quality(driver: Any, labelled: int) -> dict[str, Any]:
    async def there() -> Any:
        found = await driver.get("/quality")
        return found if len(found) == 1 and found[0]["labelled"] == labelled else None

    [found] = await driver.h.until(there)
    return dict(found)


async def by_hand(driver: Any, row: dict[str, Any], value: float) -> Any:
    label = {"prediction_id": row["prediction_id"], "value": value}
    return await driver.h.operator.post(f"{BASE}/labels", json={"loop": "delay", "labels": [label]})


async def test_a_regression_is_measured_by_rmse_and_takes_any_number(
    driver: Any, made: Any, make_part: Any, day: Any, tmp_path: Path
) -> None:
    await driver.apply(make_part())
    await driver.promote(Files(tmp_path / "package", made, task="regression"))
    one, random = day(driver.package, 0), np.random.default_rng(4)
    one.late = random.integers(-500, 500, len(one.rows)).tolist()
    said = (np.array(one.late) + random.normal(0, 9, len(one.rows))).tolist()
    for row, value in zip(one.rows, said, strict=True):
        row["outputs"] = {"prediction": value}
    await driver.log(one)
    await driver.seen(600)
    await driver.commit(one)
    found = await quality(driver, 600)
    assert found["metric"] == "rmse"
    assert found["value"] == pytest.approx(find("rmse").value(regression.sample(one.late, said)))
    assert found["low"] < found["value"] < found["high"]
    assert (await by_hand(driver, one.rows[0], -1234.5)).status_code == 200
    refused = await driver.h.operator.post(
        f"{BASE}/labels",
        content=b'{"loop":"delay","labels":[{"prediction_id":"%b","value":1e999}]}'
        % one.rows[0]["prediction_id"].encode(),
        headers={"content-type": "application/json"},
    )
    assert refused.status_code == 422 and "finite number" in refused.text


async def test_classes_are_measured_by_accuracy_and_a_label_is_the_number_of_one(
    driver: Any, made: Any, make_part: Any, day: Any, tmp_path: Path
) -> None:
    await driver.apply(make_part())
    await driver.promote(Files(tmp_path / "package", made, task="multiclass", classes=3))
    one, random = day(driver.package, 0), np.random.default_rng(5)
    said = random.dirichlet([1, 1, 1], len(one.rows))
    one.late = [int(random.choice(3, p=row)) for row in said]
    for row, values in zip(one.rows, said, strict=True):
        row["outputs"] = {"prediction": int(values.argmax()), "probabilities": values.tolist()}
    await driver.log(one)
    await driver.seen(600)
    await driver.commit(one)
    found = await quality(driver, 600)
    expected = find("accuracy").value(multiclass.sample(one.late, said, ["0", "1", "2"]))
    assert (found["metric"], found["value"]) == ("accuracy", pytest.approx(expected))
    refused = await by_hand(driver, one.rows[0], 3.0)
    assert refused.status_code == 422
    assert refused.json()["errors"] == [{"place": "labels[0].value", "rule": "the number of a class, 0 to 2"}]
    assert (await by_hand(driver, one.rows[0], 2.0)).status_code == 200
