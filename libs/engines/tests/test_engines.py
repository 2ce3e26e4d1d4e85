"""Our engines and a foreign one under the suite of all engines; and what goes wrong between a package and them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from capstan_contracts.kinds.family import Family
from capstan_engines import family
from capstan_engines.errors import EngineError
from capstan_engines.port import Engine
from capstan_packages.draft import unpacked
from capstan_packages.errors import PackageError
from capstan_packages.fields import Requirement
from capstan_packages.models import read_model
from capstan_packages.signature import DType, OutputField, Signature
from capstan_testkit.distributions import install_distribution
from capstan_testkit.packages import FEATURES, booster_text, build_package, columns_of, header_of, onnx_model
from capstan_testkit.suites.engines import CLASSES, ROWS, EngineBehaviour

TASKS = ("binary", "regression", "multiclass")
FOREIGN = '''
"""A model of one number, which every row is multiplied with."""
import json
import numpy as np
from capstan_engines.errors import EngineError
from capstan_packages.draft import unpacked
from capstan_packages.errors import PackageError

class Predictor:
    def __init__(self, factors, signature):
        self._factors, self.signature = factors, signature
    def predict(self, matrix):
        if self._factors is None:
            raise EngineError("the model is closed")
        if matrix.ndim != 2 or matrix.shape[1] != len(self._factors) or matrix.dtype != np.float64:
            raise EngineError(f"{len(self._factors)} columns of float64 are needed")
        return {"prediction": matrix @ np.array(self._factors)}
    def warm(self):
        self.predict(np.zeros((1, len(self._factors))))
    def close(self):
        self._factors = None

class Engine:
    name, members, tasks = "linear", ("factors.json",), frozenset({"regression"})
    def check(self, package):
        return self.load(package).signature
    def load(self, package):
        try:
            factors = json.loads(package.read("factors.json"))
        except ValueError as error:
            raise PackageError("factors.json", "json", str(error)) from None
        if len(factors) != len(package.header.features):
            raise PackageError("factors.json", "signature", f"{len(factors)} factors")
        return Predictor(factors, package.header.signature)

ENGINE = Engine()
'''


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Family[Engine]:
    """Our engines, a good foreign one, and two that are of no use."""
    modules = {
        "capstan_test_linear": FOREIGN,
        "capstan_test_broken": "raise RuntimeError('no driver')",
        "capstan_test_rough": (
            "class Engine:\n"
            "    name, members, tasks = 'rough', ('model.txt',), frozenset({'binary'})\n"
            "    def check(self, package): return {}['signature']\n"
            "    load = check\n"
            "ENGINE = Engine()\n"
        ),
    }
    kinds = {name: f"capstan_test_{name}:ENGINE" for name in ("linear", "broken", "rough")}
    install_distribution(
        tmp_path, monkeypatch, name="foreign", modules=modules, entry_points={"capstan.engines": kinds}
    )
    return Family("capstan.engines")


class TestLightGBM(EngineBehaviour):
    @pytest.fixture
    def engine_name(self) -> str:
        return "lightgbm"

    @pytest.fixture
    def models(self) -> dict[str, bytes]:
        return {task: booster_text(columns_of(), task=task, classes=CLASSES) for task in TASKS}


class TestOnnx(EngineBehaviour):
    @pytest.fixture
    def engine_name(self) -> str:
        return "onnx"

    @pytest.fixture
    def models(self) -> dict[str, bytes]:
        return {task: onnx_model(columns_of(), task=task, classes=CLASSES) for task in TASKS}


class TestForeign(EngineBehaviour):
    tasks = ("regression",)

    @pytest.fixture
    def engine_name(self) -> str:
        return "linear"

    @pytest.fixture
    def models(self) -> dict[str, bytes]:
        return {"regression": b"[2.0, " + b" " * 60 + b"0.5]"}


def test_a_model_is_loaded_before_it_is_packed(tmp_path: Path) -> None:
    """As a step of training does, which has the engine's file and no more."""
    (tmp_path / "model.txt").write_bytes(booster_text(columns_of()))
    contents = unpacked(header_of(), tmp_path)
    assert family.check(contents) == contents.header.signature
    model = family.load(contents)
    assert model.predict(ROWS)["prediction"].shape == (len(ROWS),)
    model.close()


def test_an_engine_that_nobody_installed_names_the_nearest(engines: Family[Engine], tmp_path: Path) -> None:
    package = read_model(build_package(tmp_path, engine="lightgmb").path)
    with pytest.raises(EngineError, match="no kind 'lightgmb'; did you mean 'lightgbm'?"):
        family.check(package, engines)


def test_one_that_cannot_be_imported_is_named_and_the_others_work(engines: Family[Engine], tmp_path: Path) -> None:
    assert [one.name for one in engines.broken()] == ["broken"]
    with pytest.raises(EngineError, match="'broken' cannot be used: .* RuntimeError: no driver"):
        family.load(read_model(build_package(tmp_path / "a", engine="broken").path), engines)
    family.load(read_model(build_package(tmp_path / "b").path), engines).close()


def test_whatever_a_foreign_engine_raises_is_a_sentence(engines: Family[Engine], tmp_path: Path) -> None:
    package = read_model(build_package(tmp_path, engine="rough", members=("model.txt",), model=b"x").path)
    for ask, verb in ((family.check, "check"), (family.load, "load")):
        with pytest.raises(EngineError, match=f"engine 'rough' fails to {verb} the package: KeyError: 'signature'"):
            ask(package, engines)


def answering(name: str, dtype: DType = "float64") -> Signature:
    return Signature(header_of().signature.inputs, (OutputField(name, dtype),))


@pytest.mark.parametrize(
    ("given", "rule", "says"),
    [
        ({"task": "binry", "signature": answering("prediction")}, "task", "did you mean 'binary'"),
        ({"members": ("other.txt",)}, "members", "reads model.txt; the header lists other.txt"),
        ({"requires": (Requirement("base", "model", "ab" * 32),)}, "requires", "no package on top"),
        ({"signature": answering("late")}, "outputs", "must have 'prediction', one value per row"),
        ({"signature": answering("prediction", "int64")}, "outputs", r"must be prediction \(float64, width 1\)"),
        ({"task": "multiclass", "signature": answering("prediction")}, "outputs", "probabilities .*width 2"),
    ],
)
def test_what_the_header_may_not_ask_for(given: dict[str, Any], rule: str, says: str) -> None:
    with pytest.raises(PackageError, match=says) as refused:
        family.check_declared(family.ENGINES.get("lightgbm"), header_of(**given))
    assert (refused.value.place, refused.value.rule) == ("model.json", rule)


@pytest.mark.parametrize("engine", ["lightgbm", "onnx"])
def test_a_process_holds_only_the_engine_that_it_runs(tmp_path: Path, engine: str) -> None:
    path = build_package(tmp_path, FEATURES, engine=engine).path
    code = (
        "import sys, pathlib, numpy; from capstan_engines.family import load; "
        "from capstan_packages.models import read_model; "
        "heavy = {'onnxruntime', 'capstan_engines.onnx', 'capstan_engines.lightgbm', 'lightgbm', 'sklearn', 'scipy', "
        "'pandas', 'onnx', 'pydantic'}; assert not heavy & set(sys.modules); "
        "model = load(read_model(pathlib.Path(sys.argv[1]))); model.warm(); print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    expected = {"lightgbm": "['capstan_engines.lightgbm']", "onnx": "['capstan_engines.onnx', 'onnxruntime']"}
    assert done.stdout.strip() == expected[engine]
