"""`capstan check`: a recipe as people get it wrong; all is said at once, with places, and no platform is asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RECIPE = Path(__file__).parents[4] / "pipelines" / "flight-delay"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A copy of the recipe of the repository."""
    return Path(
        shutil.copytree(RECIPE, tmp_path / "recipe", ignore=shutil.ignore_patterns("tests", "demo", "data", "__py*"))
    )


@pytest.fixture
def check(nothing_runs: Any, recipe: Path) -> Callable[[], list[str]]:
    """The lines below the heading; none when nothing is wrong."""

    def run() -> list[str]:
        done = nothing_runs.run("check", "-f", str(recipe / "loop.yaml"))
        if done.exit_code == 0:
            return []
        heading, *lines = done.stderr.splitlines()
        assert heading.endswith("1 thing is wrong" if len(lines) == 1 else f"{len(lines)} things are wrong")
        return [line.strip() for line in lines]

    return run


def change(file: Path, *pairs: tuple[str, str]) -> None:
    text = file.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)


def test_a_recipe_in_order_is_counted(nothing_runs: Any, recipe: Path) -> None:
    done = nothing_runs.run("check", "-f", str(recipe / "loop.yaml"))
    assert done.exit_code == 0
    assert done.stdout.startswith("flight-delay: nothing is wrong with 3 dataset(s), 4 view(s) and 4 gate(s)")


def test_everything_is_said_at_once(recipe: Path, check: Any) -> None:
    change(
        recipe / "loop.yaml",
        ("metric: auc, min: 0.65", "metrc: auc, min: 0.65"), ("eventTime: scheduled", "eventTme: scheduled"),
        ("contracts/weather.json", "contracts/wether.json"),
    )  # fmt: skip
    said = check()
    assert "spec.sources[0].contract: contracts/wether.json cannot be read: No such file or directory" in said
    assert "spec.dataset.eventTme: no such field; did you mean eventTime?" in said
    assert "spec.dataset.eventTime: is missing" in said
    assert any(line.startswith("spec.gates[0]") and "metrc" in line for line in said)


@pytest.mark.parametrize(
    ("change_to", "said"),
    [
        (("window: 30d", "window: 30 days"), "spec.monitoring.window: not a duration: '30 days' (write "),
        (("kind: Loop", "kind: Lop"), "kind: input should be 'Loop'"),
        (("keys: [tailnum]", "keys: []"), "spec.sources[1].keys: list should have at least 1 item"),
        (("holdout: {days: 14}", "holdout: {days: many}"), "spec.training.holdout.days: input should be a valid"),
        (("name: planes", "name: weather"), "spec: dataset names must be unique in a loop; twice: weather"),
        (("{logFeatures: true}", "{shadow: true}"), "spec.serving.shadow: shadow traffic is not built yet"),
        (("definitions: features/", "definitions: featrues/"), "spec.features.definitions: names a folder without"),
        (("definitions: features/", "definitions: ../x/"), "spec.features.definitions: '../x' is not a path below"),
        (("flight_delay_v1", "flight_delay_v2"), "spec.features.service: is flight_delay_v2, but features/"),
        (("pipeline.py:train", "pipeline.py:trian"), "spec.training.pipeline: pipeline.py has no function trian"),
        (("pipeline.py:train", "steps.py:train"), "spec.training.pipeline: steps.py cannot be read: No such file"),
        (("pipeline.py:train", "pipeline.py"), "spec.training.pipeline: string should match pattern"),
        (("seed: 7", "seed: 7\n    seed: 8"), "loop.yaml: is not YAML: line "),
        (("metadata: {", "metadata: ["), "loop.yaml: is not YAML: line 5, column 30: expected ',' or ']'"),
    ],
)  # fmt: skip
def test_one_thing(recipe: Path, check: Any, change_to: tuple[str, str], said: str) -> None:
    change(recipe / "loop.yaml", change_to)
    lines = check()
    assert [line for line in lines if line.startswith(said)] == lines and len(lines) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "loop.yaml: is not a YAML mapping with apiVersion, kind, metadata and spec"),
        (b"- one\n", "loop.yaml: is not a YAML mapping"),
        (b"\x89PNG\r\n\x1a\n\xff", "loop.yaml: is not UTF-8 text (byte 0)"),
        (
            b"a: &a [*a, !!python/object/apply:os.system [ls]]",
            "loop.yaml: is not YAML: line 1, column 12: could",
        ),
        (b"[" * 5000, "loop.yaml: is not YAML: it is nested too deeply"),
        (b"a: 1\n---\nb: 2\n", "loop.yaml: is not YAML: line 2, column 1: but found another document"),
    ],
)
def test_a_file_that_is_no_loop(recipe: Path, check: Any, content: bytes, said: str) -> None:
    (recipe / "loop.yaml").write_bytes(content)
    (line,) = check()
    assert line.startswith(said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "contracts/flights.json is not JSON: Expecting property name"),
        (b"[]", "contracts/flights.json is not a Great Expectations suite: it has no list `expectations`"),
        (b'{"expectations": {}}', "contracts/flights.json is not a Great Expectations suite"),
        (b"\xff\xfe{", "contracts/flights.json is not UTF-8 text"),
        (b"[" * 100_000, "contracts/flights.json is nested too deeply"),
    ],
)
def test_a_contract_that_is_none(recipe: Path, check: Any, content: bytes, said: str) -> None:
    (recipe / "contracts" / "flights.json").write_bytes(content)
    (line,) = check()
    assert line.startswith(f"spec.dataset.contract: {said}")


def test_a_view_is_checked_with_its_file_and_dataset(recipe: Path, check: Any) -> None:
    change(recipe / "features" / "plane.yaml", ("dataset: planes", "dataset: plains"))
    (line,) = check()
    assert line == "view plane: dataset: plains is no dataset of the loop; there are: flights, weather, planes"
    (recipe / "features" / "plane.sql").unlink()
    (line,) = check()
    assert line == "features/plane.yaml: sql: plane.sql cannot be read: No such file or directory"
    (recipe / "features" / "plane.yaml").write_text("name: [\n")
    (line,) = check()
    assert line.startswith("features/plane.yaml: is not YAML: line 2, column 1")


def test_a_typo_in_the_definitions_names_the_file_s_folder(recipe: Path, check: Any) -> None:
    change(recipe / "features" / "service.yaml", ("lookups:", "lookup:"))
    assert check() == [
        "features: service.lookups: is missing", "features: service.lookup: no such field; did you mean lookups?",
    ]  # fmt: skip


def test_python_that_does_not_parse_is_named_with_its_line(recipe: Path, check: Any) -> None:
    (recipe / "pipeline.py").write_text("def train():\n  return (\n")
    (line,) = check()
    assert line == "spec.training.pipeline: pipeline.py is not Python, line 2: '(' was never closed"


def test_a_window_too_small_for_its_test_is_told_with_the_smallest_useful_one(recipe: Path, check: Any) -> None:
    change(recipe / "loop.yaml", ("      minRows: 500\n", "      minRows: 20\n"))
    (said,) = check()
    assert said.startswith("spec.monitoring.drift.minRows: 60 or more: with fewer rows, a column of 50 that moves by")


def test_a_link_in_the_recipe_is_said(recipe: Path, check: Any) -> None:
    (recipe / "more.py").symlink_to(recipe / "pipeline.py")
    assert check() == ["more.py: a file, not a symbolic link"]


def test_a_file_that_is_not_there_is_one_sentence(nothing_runs: Any) -> None:
    done = nothing_runs.run("check", "-f", "nowhere.yaml")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[1:] == ["  nowhere.yaml: cannot be read: No such file or directory"]


def test_json_lists_places_and_rules(nothing_runs: Any, recipe: Path) -> None:
    file = str(recipe / "loop.yaml")
    assert json.loads(nothing_runs.run("check", "-f", file, "--json").stdout) == []
    change(recipe / "loop.yaml", ("pipeline.py:train", "pipeline.py:trian"))
    done = nothing_runs.run("check", "-f", file, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout) == [{"place": "spec.training.pipeline", "rule": "pipeline.py has no function trian"}]


def test_apply_says_the_same_before_it_sends_anything(platform: Any, recipe: Path) -> None:
    change(recipe / "loop.yaml", ("pipeline.py:train", "pipeline.py:trian"))
    done = platform.run("apply", "-f", str(recipe / "loop.yaml"))
    assert done.exit_code == 1 and "pipeline.py has no function trian" in done.stderr
    assert platform.seen == []
