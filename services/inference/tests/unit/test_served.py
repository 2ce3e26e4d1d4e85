"""A model in memory answers what its package promises, whatever engine and task it has; and goes when it is let go."""

from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capstan_contracts.kinds.family import Family
from capstan_engines.errors import EngineError
from capstan_engines.family import load
from capstan_engines.port import Engine
from capstan_formats.records import decode_record
from capstan_inference.dataplane import served as served_module
from capstan_inference.dataplane.bodies import Batch
from capstan_inference.dataplane.config import Placement
from capstan_inference.dataplane.counters import Counters
from capstan_inference.dataplane.ids import IdSource, now_ms
from capstan_inference.dataplane.lookups import Lookups
from capstan_inference.dataplane.metadata import v2_model
from capstan_inference.dataplane.online import open_views
from capstan_inference.dataplane.request_errors import RequestError
from capstan_inference.dataplane.served import Served
from capstan_testkit.distributions import install_distribution
from capstan_testkit.packages import Built, build_package, header_of

TWO_ROWS = Batch({"distance": [0.5, -2.0], "temp": [1.0, None]}, 2)


def serve(built: Built, folder: Path, digest: str | None = None) -> Served:
    placement = Placement("default", "delay", 3, 1, digest or built.digest, built.path)
    return Served(placement, open_views(folder / "online"), Counters())


@pytest.mark.parametrize("engine", ["lightgbm", "onnx"])
@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_outputs_have_names_and_types_and_are_logged(tmp_path: Path, engine: str, task: str) -> None:
    served = serve(build_package(tmp_path, engine=engine, task=task, classes=3), tmp_path)
    scored = served.score(Batch({"distance": [0.5, -2.0], "temp": [1.0, 0.0]}, 2))
    wanted = np.int64 if task == "multiclass" else np.float64
    assert scored.outputs["prediction"].dtype == wanted and scored.outputs["prediction"].shape == (2,)
    if task == "multiclass":
        assert scored.outputs["probabilities"].shape == (2, 3)
    ((payload, _),) = served.recorder.records(scored, IdSource().new(now_ms(), 2))
    logged = decode_record(payload)
    assert logged.rows == 2 and set(logged.section("outputs")) == set(served.outputs) == set(scored.outputs)
    assert [logged.row(row)["outputs"]["prediction"] for row in (0, 1)] == scored.outputs["prediction"].tolist()
    described = v2_model(served)
    assert described["platform"] == f"capstan_{engine}"
    assert [one["shape"] for one in described["outputs"]] == ([[-1], [-1, 3]] if task == "multiclass" else [[-1]])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"model": b"tree\nversion=v4\n"}, "model.txt: the model has no tree"),
        ({"engine": "lightgmb"}, "did you mean 'lightgbm'"),
        ({"task": "ranking", "signature": header_of().signature, "model": b"x"}, "does not know the task 'ranking'"),
    ],
)
def test_a_package_that_no_engine_takes_is_refused_with_the_reason(
    tmp_path: Path, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(RequestError, match=says):
        serve(build_package(tmp_path, **given), tmp_path)


def test_an_object_of_another_digest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="the object is not package 000000000000"):
        serve(build_package(tmp_path), tmp_path, "0" * 64)


def test_the_model_is_closed_when_the_last_request_lets_go_of_it(tmp_path: Path) -> None:
    served = serve(build_package(tmp_path), tmp_path)
    model = served._model
    score = served.score
    del served
    gc.collect()
    assert score(TWO_ROWS).outputs["prediction"].shape == (2,)
    del score
    gc.collect()
    with pytest.raises(EngineError, match="closed"):
        model.predict(np.zeros((1, 2)))


def test_an_engine_that_answers_something_else_than_it_promised_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "import numpy as np\n"
        "class Loose:\n"
        "    name, members, tasks = 'loose', ('model.bin',), frozenset({'binary'})\n"
        "    def check(self, package): return package.header.signature\n"
        "    def load(self, package): return self\n"
        "    def predict(self, matrix): return {'prediction': np.zeros((len(matrix), 1))}\n"
        "    def warm(self): pass\n"
        "    def close(self): pass\n"
        "ENGINE = Loose()\n"
    )
    entries = {"capstan.engines": {"loose": "capstan_test_loose:ENGINE"}}
    install_distribution(tmp_path, monkeypatch, name="l", modules={"capstan_test_loose": source}, entry_points=entries)
    engines = Family[Engine]("capstan.engines")  # the process has looked around before this one was installed
    monkeypatch.setattr(served_module, "load", lambda package: load(package, engines))
    with pytest.raises(RequestError, match=r"answers float64 \(1, 1\) as 'prediction' to 1 rows; float64 \(1,\)"):
        serve(build_package(tmp_path, engine="loose", model=b"x"), tmp_path)


def test_a_slow_model_is_tried_with_few_rows_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """64 rows of it would take seconds, and a load that takes long keeps the version before it in traffic."""
    asked: list[int] = []
    built = build_package(tmp_path)

    def slow(package: Any) -> Any:
        model = load(package)
        predict = model.predict

        def slowly(matrix: Any) -> Any:
            asked.append(len(matrix))
            time.sleep(0.012 * len(matrix))
            return predict(matrix)

        monkeypatch.setattr(model, "predict", slowly, raising=False)
        return model

    monkeypatch.setattr(served_module, "load", slow)
    assert serve(built, tmp_path).cost.row_s >= 0.012
    assert max(asked) <= 3


def test_whatever_runs_with_the_model_counts_for_its_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lookups and preprocessing hold up the event loop as the model does."""
    built = build_package(tmp_path)
    assert serve(built, tmp_path).cost.of(1) < 0.005
    read = Lookups.find

    def slowly(*given: Any) -> Any:
        time.sleep(0.005)
        return read(*given)

    monkeypatch.setattr(Lookups, "find", slowly)
    cost = serve(built, tmp_path).cost
    assert cost.call_s >= 0.004 and cost.row_s < 0.001
