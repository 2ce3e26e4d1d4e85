"""What every engine must do: ours, and one that a third party installs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from capstan_contracts.kinds.family import Family
from capstan_engines import family
from capstan_engines.errors import EngineError
from capstan_engines.port import Engine, Outputs, Predictor
from capstan_packages.errors import PackageError
from capstan_packages.models import read_model
from capstan_packages.signature import outputs_of
from capstan_testkit.packages import FEATURES, build_package

CLASSES = 3
ROWS = np.random.default_rng(5).normal(size=(40, len(FEATURES)))


class EngineBehaviour:
    """Inherit, say the engine's `tasks`, and give the fixtures `engines` (a family with it), `engine_name`, `models`.

    `models`: for each task the bytes of the engine's member, a model of the two columns of `FEATURES`, with three
    classes where the task has classes, whose answers to `ROWS` are not all alike.
    """

    tasks: ClassVar[tuple[str, ...]] = ("binary", "regression", "multiclass")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Every test about a model is asked of each task."""
        if "task" in metafunc.fixturenames:
            metafunc.parametrize("task", self.tasks)

    @pytest.fixture
    def given(self, engine_name: str, engines: Family[Engine], models: dict[str, bytes], task: str) -> dict[str, Any]:
        """The arguments of a package of that task."""
        members = engines.get(engine_name).members
        return {"engine": engine_name, "members": members, "task": task, "classes": CLASSES, "model": models[task]}

    @pytest.fixture
    def predictor(self, engines: Family[Engine], given: dict[str, Any], tmp_path: Path) -> Iterator[Predictor]:
        """The model of that package."""
        loaded = family.load(read_model(build_package(tmp_path, **given).path), engines)
        yield loaded
        loaded.close()

    def test_it_is_found_under_its_own_name_and_says_what_it_needs(
        self, engines: Family[Engine], engine_name: str
    ) -> None:
        engine = engines.get(engine_name)
        assert engine.name == engine_name
        assert engine.members and engine.tasks == set(self.tasks)

    def test_check_and_load_confirm_the_signature_of_the_package(
        self, engines: Family[Engine], given: dict[str, Any], task: str, tmp_path: Path
    ) -> None:
        package = read_model(build_package(tmp_path, **given).path)
        assert family.check(package, engines) == package.header.signature
        with_model = family.load(package, engines)
        assert with_model.signature.outputs == outputs_of(task, CLASSES)
        with_model.close()

    @pytest.mark.parametrize("rows", [0, 1, 2, 40])
    def test_every_output_has_its_name_type_and_shape(self, predictor: Predictor, rows: int) -> None:
        answer = predictor.predict(ROWS[:rows])
        assert list(answer) == [output.name for output in predictor.signature.outputs]
        for output in predictor.signature.outputs:
            assert answer[output.name].dtype == np.dtype(output.dtype)
            assert answer[output.name].shape == ((rows,) if output.width == 1 else (rows, output.width))

    def test_answers_mean_what_the_task_says(self, predictor: Predictor, task: str) -> None:
        answer = predictor.predict(ROWS)
        assert len(np.unique(answer["prediction"])) > 1
        if task == "binary":
            assert ((answer["prediction"] >= 0) & (answer["prediction"] <= 1)).all()
        if task == "multiclass":
            np.testing.assert_allclose(answer["probabilities"].sum(axis=1), 1, rtol=1e-6)
            np.testing.assert_array_equal(answer["probabilities"].argmax(axis=1), answer["prediction"])

    def test_a_row_is_answered_alone_as_in_company_and_in_any_layout(self, predictor: Predictor) -> None:
        whole = predictor.predict(ROWS)
        for name in whole:
            alone = np.concatenate([predictor.predict(ROWS[row : row + 1])[name] for row in range(len(ROWS))])
            np.testing.assert_allclose(alone, whole[name], rtol=1e-6)
            np.testing.assert_allclose(predictor.predict(ROWS[::-1])[name][::-1], whole[name], rtol=1e-6)
            np.testing.assert_allclose(predictor.predict(np.asfortranarray(ROWS))[name], whole[name], rtol=1e-6)

    def test_answers_and_rows_stay_as_they_are(self, predictor: Predictor) -> None:
        rows = ROWS[:1].copy()
        first = predictor.predict(rows)
        kept = {name: values.copy() for name, values in first.items()}
        predictor.predict(-ROWS[:1])
        np.testing.assert_array_equal(rows, ROWS[:1])
        for name, values in first.items():
            np.testing.assert_array_equal(values, kept[name])

    def test_a_row_without_any_value_is_answered(self, predictor: Predictor) -> None:
        predictor.warm()
        assert len(predictor.predict(np.full((2, len(FEATURES)), np.nan))["prediction"]) == 2

    @pytest.mark.parametrize(
        "wrong", [np.zeros((1, 3)), np.zeros((2, 1)), np.zeros(2), np.zeros((1, 2), dtype=np.float32)]
    )
    def test_another_shape_or_type_is_refused(self, predictor: Predictor, wrong: Any) -> None:
        with pytest.raises(EngineError, match="needed"):
            predictor.predict(wrong)

    def test_closed_twice_and_asked_again(self, predictor: Predictor) -> None:
        predictor.close()
        predictor.close()
        with pytest.raises(EngineError, match="closed"):
            predictor.predict(ROWS)

    def test_threads_share_it_and_a_close_harms_none(self, predictor: Predictor) -> None:
        expected, wrong, ready = predictor.predict(ROWS), list[BaseException | str](), threading.Barrier(4)

        def ask(start: int) -> None:
            ready.wait()
            try:
                for row in list(range(start, len(ROWS), 3)) * 50:
                    if not _same(predictor.predict(ROWS[row : row + 1]), expected, row):
                        wrong.append(f"row {row}")
            except EngineError as error:
                if "closed" not in str(error):
                    wrong.append(error)
            except BaseException as error:  # noqa: BLE001 - a thread's error is the test's
                wrong.append(error)

        threads = [threading.Thread(target=ask, args=(start,)) for start in range(3)]
        for thread in threads:
            thread.start()
        ready.wait()
        for _ in range(20):
            predictor.predict(ROWS)
        predictor.close()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        assert wrong == []

    def test_a_model_of_another_width_is_refused(
        self, engines: Family[Engine], given: dict[str, Any], tmp_path: Path
    ) -> None:
        package = read_model(build_package(tmp_path, FEATURES[:1], **given).path)
        for ask in (family.check, family.load):
            with pytest.raises(PackageError) as refused:
                ask(package, engines)
            assert refused.value.rule == "signature"

    @pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 5000, bytes(range(256)) * 20])
    def test_a_member_that_is_no_model_is_refused(
        self, engines: Family[Engine], given: dict[str, Any], tmp_path: Path, content: bytes
    ) -> None:
        package = read_model(build_package(tmp_path, **{**given, "model": content}).path)
        for ask in (family.check, family.load):
            with pytest.raises(PackageError) as refused:
                ask(package, engines)
            assert refused.value.place == given["members"][0]

    def test_a_model_that_is_cut_short_is_refused(
        self, engines: Family[Engine], given: dict[str, Any], tmp_path: Path
    ) -> None:
        package = read_model(build_package(tmp_path, **{**given, "model": given["model"][:-60]}).path)
        with pytest.raises(PackageError):
            family.load(package, engines)


def _same(answer: Outputs, expected: Outputs, row: int) -> bool:
    return all(np.allclose(values[0], expected[name][row], rtol=1e-6) for name, values in answer.items())
