"""All gates, and one from outside, under one suite; what is in the schema and what is in code are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from capstan_contracts.events import GateFigure
from capstan_contracts.kinds.gates import GATE_KINDS, GATE_SPECS
from capstan_contracts.loop import ResolvedLoop
from capstan_registry.actions.check_gates import not_installed
from capstan_registry.domain.jobs import PromotionToJudge
from capstan_registry.gates.decide import broken_kinds, decide
from capstan_registry.gates.evidence.case import Case
from capstan_registry.gates.evidence.evidence import Evidence, Need, UndeclaredNeed
from capstan_registry.gates.installed import GATES
from capstan_servicekit.jobs.api import Job
from capstan_testkit.distributions import install_distribution
from capstan_testkit.suites.gates import GateBehaviour, Judge

EXAMPLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "approval": ({"kind": "approval"}, {"kind": "aproval"}),
    "champion": ({"noWorseThanChampion": {"metric": "auc"}}, {"noWorseThanChampion": {"metric": "auk"}}),
    "format": ({"format": "native"}, {"formatt": "native"}),
    "latency": ({"kind": "latency", "p99Ms": 2000, "predictions": 100}, {"kind": "latency", "p98Ms": 5}),
    "metric": ({"metric": "auc", "min": 0.65}, {"metricc": "auc", "min": 0.65}),
    "schema": ({"kind": "schema"}, {"kind": "schema", "column": "x"}),
    "size": ({"kind": "size", "maxBytes": 10_000_000}, {"kind": "size", "maxByte": 3}),
    "slice": (
        {"slice": "carrier", "metric": "auc", "maxDrop": 0.1},
        {"slice": "carrier", "metric": "auc", "maxDro": 0.1},
    ),
}

FOREIGN = """
from typing import ClassVar, Literal
from capstan_contracts.events import GateFigure
from capstan_contracts.kinds.gates import GateSpec
from capstan_registry.gates.evidence.evidence import Need


class SpreadGate(GateSpec):
    quality: ClassVar[bool] = True
    kind: Literal["spread"] = "spread"
    least: float

    @property
    def title(self) -> str:
        return f"scores spread over {self.least:g}"


class Spread:
    spec = SpreadGate

    def needs(self, spec):
        return frozenset((Need.CANDIDATE,))

    def columns(self, spec):
        return frozenset(("carrier",))

    def judge(self, evidence, spec):
        spread = float(evidence.candidate.predictions.max() - evidence.candidate.predictions.min())
        return GateFigure(
            gate=spec.title, kind=spec.kind, passed=spread >= spec.least, observed=spread, bound=spec.least,
            sentence=f"Scores spread over {spread:.3f}; {spec.least:g} is asked for.",
        )


SPREAD = Spread()
"""


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory, make_package: Any, make_holdout: Any) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("gates")
    (folder / "nothing.tar").write_bytes(b"\x80\x04\x95 not a package")
    return {
        "package": make_package(folder / "made"),
        "holdout": make_holdout(folder / "holdout.parquet"),
        "nothing": folder / "nothing.tar",
    }


def given(files: dict[str, Path], definitions: Any, gates: list[Any], candidate: str = "package", **more: Any) -> Any:
    return {
        "candidate": version_files(2, files[candidate], files["holdout"]), "champion": None, "former": [],
        "event_time": "scheduled", "gates": gates, "definitions": definitions, "task": None, "requested_by": "ada",
        "approval": None, "resamples": 1000,
    } | more  # fmt: skip


def version_files(version: int, package: Path, holdout: Path) -> Any:
    return {"version": version, "package": str(package), "holdout": str(holdout), "training_set": None, "gone": []}


@pytest.fixture
def definitions(loop_body: Callable[..., Any]) -> Any:
    """Features that serve what the package reads."""
    request = [("distance", "float64"), ("temp", "float64"), ("carrier", "string"), ("scheduled", "timestamp")]
    made = loop_body()["definitions"]
    made["service"] |= {"request": [{"name": name, "dtype": dtype} for name, dtype in request]}
    return made


@pytest.fixture
def judge_with(files: dict[str, Path], definitions: Any, tmp_path: Path) -> Callable[..., GateFigure]:
    """Let the job judge one gate; further arguments replace what the job is given."""

    def judge(gate: dict[str, Any], **more: Any) -> GateFigure:
        judged = decide(Job(given(files, definitions, [gate]) | more, tmp_path))
        return GateFigure.model_validate(judged.figures[0])

    return judge


class Fixtures:
    """What the suite asks for."""

    @pytest.fixture
    def judge(self, judge_with: Judge) -> Judge:
        return judge_with

    @pytest.fixture
    def judge_nothing(self, judge_with: Callable[..., GateFigure], files: dict[str, Path]) -> Judge:
        return lambda gate: judge_with(gate, candidate=version_files(2, files["nothing"], files["holdout"]))


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
class TestOurs(Fixtures, GateBehaviour):
    @pytest.fixture
    def gate(self, kind: str) -> Any:
        return GATES.get(kind)

    @pytest.fixture
    def example(self, kind: str) -> dict[str, Any]:
        return EXAMPLES[kind][0]

    @pytest.fixture
    def mistyped(self, kind: str) -> dict[str, Any]:
        return EXAMPLES[kind][1]


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A distribution that adds `spread`, and one kind that fails on import."""
    install_distribution(
        tmp_path, monkeypatch, name="foreign-gates",
        modules={"foreign_gates": FOREIGN, "foreign_broken_gate": "raise RuntimeError('no licence file')"},
        entry_points={
            "capstan.specs.gates": {"spread": "foreign_gates:SpreadGate"},
            "capstan.gates": {"spread": "foreign_gates:SPREAD", "other": "foreign_broken_gate:KIND"},
        },
        families=(GATE_SPECS, GATES),
    )  # fmt: skip
    yield


@pytest.mark.usefixtures("foreign")
class TestForeign(Fixtures, GateBehaviour):
    @pytest.fixture
    def gate(self, foreign: None) -> Any:
        return GATES.get("spread")

    @pytest.fixture
    def example(self) -> dict[str, Any]:
        return {"kind": "spread", "least": 0.1}

    @pytest.fixture
    def mistyped(self) -> dict[str, Any]:
        return {"kind": "spread", "leest": 0.1}


def test_what_a_loop_may_write_is_what_the_registry_judges() -> None:
    assert GATE_SPECS.names == GATES.names == tuple(sorted(EXAMPLES))
    assert GATE_SPECS.broken() == GATES.broken() == []
    assert all(GATES.get(kind).spec is GATE_SPECS.get(kind) for kind in EXAMPLES)


def test_a_whole_loop_with_a_gate_from_outside_is_parsed_and_judged(
    foreign: None, files: dict[str, Path], definitions: Any, tmp_path: Path, loop_body: Callable[..., Any]
) -> None:
    body = loop_body(gates=[{"kind": "spread", "least": 0.1}, {"format": "native"}])  # it looks at quality, it says
    resolved = ResolvedLoop.model_validate(body)
    stored = ResolvedLoop.model_validate_json(resolved.model_dump_json(by_alias=True))
    assert stored == resolved and not_installed(stored.loop.spec.gates) == []
    gates = stored.model_dump(mode="json", by_alias=True)["loop"]["spec"]["gates"]
    figures = decide(Job(given(files, definitions, gates), tmp_path)).figures
    assert [figure["passed"] for figure in figures] == [True, True]
    assert figures[0]["gate"] == "scores spread over 0.1"
    assert "spread" in str(ResolvedLoop.model_json_schema())
    broken = broken_kinds(Job({}, tmp_path)).sentences
    assert len(broken) == 1 and "'other' cannot be used: foreign_broken_gate:KIND fails on import" in broken[0]
    assert GATES.from_outside == ("other", "spread")


def test_a_gate_that_is_known_and_not_in_code_is_refused_with_a_sentence(
    files: dict[str, Path], definitions: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_distribution(
        tmp_path, monkeypatch, name="half-gate", modules={"half_gate": FOREIGN},
        entry_points={"capstan.specs.gates": {"spread": "half_gate:SpreadGate"}}, families=(GATE_SPECS, GATES),
    )  # fmt: skip
    spec = {"kind": "spread", "least": 0.1}
    assert not_installed([GATE_KINDS.parse(spec)]) == [
        ("spec.gates[0]", "a gate of kind 'spread' is known here, and no judge of it is installed")
    ]
    (figure,) = decide(Job(given(files, definitions, [spec]), tmp_path)).figures
    assert figure["passed"] is False and "no kind 'spread'" in str(figure["sentence"])


def test_evidence_is_made_only_when_it_is_asked_for_and_only_for_who_declared_it(
    files: dict[str, Path], definitions: Any, tmp_path: Path
) -> None:
    nowhere = version_files(2, files["package"], Path("/nowhere"))
    job = Job(given(files, definitions, []) | {"candidate": nowhere}, tmp_path)
    evidence = Evidence(Case.of(job.read(PromotionToJudge), frozenset(), job.progress))
    assert evidence.limited({Need.PACKAGE_BYTES}).package_bytes == files["package"].stat().st_size
    assert evidence.scores() is None
    with pytest.raises(UndeclaredNeed, match="reads 'package', which its needs do not name"):
        _ = evidence.limited({Need.PACKAGE_BYTES}).package


def test_size_and_latency_say_what_they_saw_and_where(judge_with: Callable[..., GateFigure]) -> None:
    size = judge_with({"kind": "size", "maxBytes": 10})
    assert size.passed is False and size.observed == size.figures["bytes"] > 10 and size.bound == 10
    slow = judge_with({"kind": "latency", "p50Ms": 1e-6, "predictions": 100, "warmUp": 5})
    assert slow.passed is False and (slow.observed or 0) > 0
    assert slow.figures["p99_ms"] >= slow.figures["p50_ms"] == slow.observed
    assert slow.figures["rows"] == 256 and "CPUs" in slow.figures["machine"]
    assert "100 predictions of 256 rows after 5 to warm up, on " in slow.sentence
    assert judge_with({"kind": "latency", "p50Ms": 1e-6, "p99Ms": 60_000, "predictions": 100}).passed is False


@pytest.mark.parametrize(
    ("request_columns", "sentence"),
    [
        ({"temp": None}, "column 'temp' is not in the request"),
        ({"distance": "int64"}, "column 'distance' is int64 in the request and float64 in the package"),
        ({"carrier": None, "carier": "string"}, "column 'carrier' is not in the request, which has 'carier'"),
        ({"temp": None, "distance": None}, " And 1 more."),
    ],
)
def test_a_column_that_is_not_served_as_it_is_read_is_named(
    judge_with: Callable[..., GateFigure], definitions: Any, request_columns: dict[str, Any], sentence: str
) -> None:
    served = {column["name"]: column["dtype"] for column in definitions["service"]["request"]} | request_columns
    columns = [{"name": name, "dtype": dtype} for name, dtype in served.items() if dtype]
    definitions["service"] |= {"request": columns}
    figure = judge_with({"kind": "schema"}, definitions=definitions)
    assert figure.passed is False
    assert sentence in figure.sentence


def test_an_approval_is_the_answer_of_a_person(judge_with: Callable[..., GateFigure]) -> None:
    waits = judge_with({"kind": "approval"})
    assert (waits.passed, waits.waits, waits.refuses) == (None, True, False)
    answer = {"approve": False, "reason": "too late", "by": "bob", "at": datetime(2013, 7, 1, tzinfo=UTC).isoformat()}
    no = judge_with({"kind": "approval"}, approval=answer)
    assert no.refuses and no.sentence == "'bob' rejected it, asked for by 'ada': too late"
    assert no.figures["at"] == "2013-07-01T00:00:00+00:00"


def test_a_package_of_another_task_than_the_loops_is_refused_with_both(judge_with: Callable[..., GateFigure]) -> None:
    gate = {"kind": "metric", "metric": "auc", "min": 0.0}
    assert judge_with(gate, task="binary").sentence == judge_with(gate).sentence
    figure = judge_with(gate, task="regression")
    assert figure.passed is False and figure.sentence == (
        "Not passed: the package of the candidate is a model of the task 'binary', and the loop says "
        "`training.task: regression`: correct the one that is wrong."
    )
