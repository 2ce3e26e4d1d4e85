"""What every gate must do, ours and those from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import pytest

from capstan_contracts.events import GateFigure
from capstan_contracts.kinds.gates import GATE_KINDS, GATE_SPECS, GateSpec


class JudgesGates(Protocol):
    """The parts of a gate that the suite uses; the registry's port has the rest."""

    @property
    def spec(self) -> type[GateSpec]:
        """The model of its spec."""
        ...

    def needs(self, spec: Any) -> frozenset[str]:
        """The evidence that it reads."""
        ...

    def columns(self, spec: Any) -> frozenset[str]:
        """The columns of the holdout that it reads."""
        ...


Judge = Callable[[dict[str, Any]], GateFigure]
"""Let the registry's job judge one gate, as the loop spells it, on evidence of the test."""


class GateBehaviour:
    """Inherit, and give the fixtures.

    `gate`: the implementation. `example`: a spec of it as a loop spells it, that can be judged on the test's evidence.
    `mistyped`: the same with one wrong word. `judge` and `judge_nothing`: the registry's job on evidence that is there,
    and on a package that cannot be read.
    """

    def test_its_spec_is_found_under_the_name_of_its_kind(self, gate: JudgesGates, example: dict[str, Any]) -> None:
        spec = GATE_KINDS.parse(example)
        assert type(spec) is gate.spec
        assert GATE_SPECS.get(spec.kind) is gate.spec

    def test_its_spec_comes_out_again(self, gate: JudgesGates, example: dict[str, Any]) -> None:
        spec = GATE_KINDS.parse(example)
        for by_alias in (True, False):
            written = spec.model_dump(mode="json", by_alias=by_alias)
            assert written["kind"] == spec.kind
            assert GATE_KINDS.parse(written) == spec

    def test_people_can_tell_it_from_other_gates(self, example: dict[str, Any]) -> None:
        title = GATE_KINDS.parse(example).title
        assert title and len(title) <= 120 and "\n" not in title

    def test_a_mistake_is_one_error_that_names_the_word(self, mistyped: dict[str, Any]) -> None:
        with pytest.raises(ValueError) as refused:
            GATE_KINDS.parse(mistyped)
        errors: list[Any] = refused.value.errors()  # type: ignore[attr-defined]
        assert len(errors) == 1
        assert errors[0]["msg"]

    def test_it_says_what_it_needs(self, gate: JudgesGates, example: dict[str, Any]) -> None:
        spec = GATE_KINDS.parse(example)
        assert gate.needs(spec)
        assert all(isinstance(column, str) for column in gate.columns(spec))

    def test_its_figure_names_the_gate_and_speaks(self, judge: Judge, example: dict[str, Any]) -> None:
        """The job gives a gate the evidence that it declared and no other, so `needs` is held by this, too."""
        figure, spec = judge(example), GATE_KINDS.parse(example)
        assert (figure.gate, figure.kind) == (spec.title, spec.kind)
        assert not figure.sentence.startswith("Not passed: "), "the example cannot be judged"
        assert figure.sentence.endswith((".", "!")) or ":" in figure.sentence
        assert GateFigure.model_validate_json(figure.model_dump_json()) == figure

    def test_the_same_evidence_gives_the_same_verdict(self, judge: Judge, example: dict[str, Any]) -> None:
        first, second = judge(example), judge(example)
        assert (first.passed, first.not_judged, first.bound) == (second.passed, second.not_judged, second.bound)

    def test_a_package_that_cannot_be_read_is_never_passed_by_who_reads_it(
        self, gate: JudgesGates, judge_nothing: Judge, example: dict[str, Any]
    ) -> None:
        reads = gate.needs(GATE_KINDS.parse(example)) - {"approval", "features", "package-bytes"}
        figure = judge_nothing(example)
        assert figure.sentence
        if reads:
            assert figure.refuses
