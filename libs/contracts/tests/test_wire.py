"""What goes over the wire comes back the same: aliases, strict and lenient reading, figures that JSON cannot hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from capstan_contracts.base import Instant, Lenient, Spec, Wire
from capstan_contracts.durations import Duration
from capstan_contracts.errors import Problem, place_of
from capstan_contracts.events import DriftFigure, Envelope, Event, GateFigure, LabelsReceived, payload
from capstan_contracts.kinds.gates import ChampionGate, LatencyGate, MetricGate, SliceGate
from capstan_contracts.loop import DriftSpec, HoldoutSpec, Loop, ResourcesSpec
from capstan_contracts.parts import Part, differences
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.monitoring import Label, LabelsRequest

INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)
DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)


def loop(**spec: Any) -> dict[str, Any]:
    base = {
        "dataset": {"name": "flights", "contract": {}, "keys": ["id"], "eventTime": "at"},
        "training": {"pipeline": "pipeline.py:train", "label": "late"},
        "gates": [{"metric": "auc", "min": 0.65}],
    }
    metadata = {"name": "delay"}
    return {"apiVersion": "capstan.dev/v1alpha1", "kind": "Loop", "metadata": metadata, "spec": base | spec}


def errors(model: type[Wire], value: Any) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(value)
    return [(place_of(error["loc"]), error["msg"]) for error in refused.value.errors()]


# -- instants


OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=OFFSETS, min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)))
def test_an_instant_of_any_zone_is_kept_as_utc_to_the_microsecond(moment: datetime) -> None:
    read = INSTANT.validate_python(moment)
    assert read == moment.astimezone(UTC) and read.utcoffset() == timedelta()
    assert INSTANT.validate_json(INSTANT.dump_json(read)) == read


@pytest.mark.parametrize("text", ["2013-01-01T00:00:00", "2013-01-01", "yesterday", ""])
def test_a_time_without_a_zone_is_no_instant(text: str) -> None:
    with pytest.raises(ValidationError):
        INSTANT.validate_python(text)


# -- strict and lenient


class Asked(Wire):
    name: str


class Told(Lenient):
    name: str
    parts: list[Asked] = []


def test_a_request_with_an_unknown_word_is_refused_and_an_answer_with_one_is_read() -> None:
    assert errors(Asked, {"name": "a", "nmae": "b"}) == [("nmae", "Extra inputs are not permitted")]
    told = Told.model_validate({"name": "a", "added": {"later": 1}})
    assert told == Told(name="a") and "added" not in told.model_dump()
    # lenient is a property of the body that is read, not of what lies in it
    assert errors(Told, {"name": "a", "parts": [{"name": "b", "typo": 1}]}) == [
        ("parts[0].typo", "Extra inputs are not permitted")
    ]


def test_nothing_that_was_read_can_be_changed() -> None:
    asked = Asked(name="a")
    with pytest.raises(ValidationError, match="frozen"):
        asked.name = "b"  # type: ignore[misc]


def test_a_page_reads_the_items_of_its_own_kind() -> None:
    page = Page[Told].model_validate_json('{"items": [{"name": "a", "new": 1}], "next": "c", "total": 9}')
    assert page == Page[Told](items=[Told(name="a")], next="c")
    assert errors(Page[Told], {"items": [{"name": "a"}, {}]}) == [("items[1].name", "Field required")]


def test_a_figure_that_json_cannot_hold_is_null_in_it() -> None:
    """RFC 8259 has no NaN; a reader that is not Python would refuse the whole body."""

    class Figure(Lenient):
        value: float | None = None

    written = [Figure(value=value).model_dump_json() for value in (float("nan"), float("inf"), 1.5)]
    assert [json.loads(text, parse_constant=pytest.fail) for text in written] == [
        {"value": None}, {"value": None}, {"value": 1.5},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ((), ""), (("a",), "a"), (("spec", "gates", 0, "metric"), "spec.gates[0].metric"),
        ((0, "a", 1, 2), "[0].a[1][2]"), (("body", "größe"), "body.größe"),
    ],
)  # fmt: skip
def test_a_place_is_written_as_people_read_it(location: tuple[int | str, ...], place: str) -> None:
    assert place_of(location) == place


def test_a_problem_of_any_release_is_read() -> None:
    text = '{"title": "t", "status": 418, "code": "new-code", "errors": [{"place": "a", "rule": "b", "x": 1}], "y": 2}'
    problem = Problem.model_validate_json(text)
    assert (problem.code, problem.errors[0].rule, problem.type) == ("new-code", "b", "about:blank")


# -- specs, in both spellings


@pytest.mark.parametrize("by_alias", [True, False])
def test_a_loop_reads_what_it_writes_in_either_spelling(by_alias: bool) -> None:
    monitoring = {"labels": {"delay": "36h"}, "drift": {"minRows": 700, "persistence": [2, 3]}, "window": "7d"}
    given_ = loop(monitoring=monitoring, training={"pipeline": "p.py:f", "label": "x", "firstAt": 2})
    first = Loop.model_validate(given_)
    written = first.model_dump(mode="json", by_alias=by_alias)
    assert ("apiVersion" in written) is by_alias
    assert Loop.model_validate(written) == Loop.model_validate_json(json.dumps(written)) == first
    assert first.spec.monitoring.drift.persistence == (2, 3) and first.spec.training.first_at == 2
    assert written["spec"]["monitoring"]["labels"]["delay"] == "36h"


def test_both_spellings_of_one_field_are_one_too_many() -> None:
    assert [place for place, _ in errors(HoldoutSpec, {"days": 1, "Days": 1})] == ["Days"]
    places = [place for place, _ in errors(ResourcesSpec, {"memoryMb": 512, "memory_mb": 1024})]
    assert places == ["memory_mb"]


@pytest.mark.parametrize(
    ("model", "fields", "place"),
    [
        (MetricGate, {"metric": "auc", "min": float("nan")}, "min"),
        (MetricGate, {"metric": "auc", "max": float("inf")}, "max"),
        (ChampionGate, {"metric": "auc", "margin": float("inf")}, "margin"),
        (SliceGate, {"slice": "a", "metric": "auc", "maxDrop": float("inf")}, "maxDrop"),
        (LatencyGate, {"p99Ms": float("inf")}, "p99Ms"),
        (DriftSpec, {"floor": float("inf")}, "floor"),
        (ResourcesSpec, {"cpu": float("inf")}, "cpu"),
    ],
)
def test_a_bound_is_a_finite_number(model: type[Spec], fields: dict[str, Any], place: str) -> None:
    """YAML has `.inf` and `.nan`. JSON has neither: on its way to a service the bound would become no bound at all."""
    ((where, rule),) = errors(model, fields)
    assert where == place and "finite number" in rule


def test_a_parameter_of_a_pipeline_is_a_finite_number_too() -> None:
    training = {"pipeline": "p.py:f", "label": "x", "parameters": {"rate": float("nan")}}
    assert {place.split(".parameters")[0] for place, _ in errors(Loop, loop(training=training))} == {"spec.training"}
    kept = Loop.model_validate(
        loop(training={"pipeline": "p.py:f", "label": "x", "parameters": {"a": 1, "b": 1.0, "c": True, "d": "1"}})
    )
    parameters = json.loads(kept.model_dump_json(by_alias=True))["spec"]["training"]["parameters"]
    assert [type(value) for value in parameters.values()] == [int, float, bool, str]


@pytest.mark.parametrize("value", [30, 0, -5, 1.5, True, None, timedelta(seconds=-1), "-1s", " 1s", "1 s", "1S", "P1D"])
def test_a_duration_has_a_unit_and_is_not_negative(value: Any) -> None:
    """`window: 30` is half a minute to pydantic and a month to whoever forgot the `d`."""
    with pytest.raises(ValidationError, match="not a duration"):
        DURATION.validate_python(value)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (2, 1), (-1, -1)])
def test_persistence_is_k_of_n(k: int, n: int) -> None:
    ((_, rule),) = errors(DriftSpec, {"persistence": [k, n]})
    assert f"persistence [{k}, {n}] must be k of n with 1 <= k <= n" in rule


def test_everything_that_is_not_built_yet_is_said_at_once_and_by_place() -> None:
    spec = loop(
        serving={"canary": {"steps": []}, "shadow": False},
        training={
            "pipeline": "p.py:f", "label": "x", "on": ["drift", "schedule"], "schedule": "@daily",
            "resources": {"gpu": 1},
        },
        monitoring={"schedule": "@daily"},
        sources=[
            {"name": "one", "contract": {}, "keys": ["id"], "eventTime": "at"},
            {"name": "two", "contract": {}, "keys": ["id"], "eventTime": "at", "schedule": "@daily"},
        ],
    )  # fmt: skip
    said = Loop.model_validate(spec).not_built_yet()
    assert {place for place, _ in said} == {
        "spec.serving.canary", "spec.serving.shadow", "spec.training.schedule", "spec.training.on",
        "spec.training.resources.gpu", "spec.monitoring.schedule", "spec.sources[1].schedule",
    }  # fmt: skip
    assert all("is not built yet; leave the field out for now" in sentence for _, sentence in said)
    assert Loop.model_validate(loop()).not_built_yet() == []


# -- events and requests


class Sample(Event):
    TYPE = "sample.made.v1"
    SERVICE = "registry"
    at: Instant
    note: str | None = None


def test_an_envelope_carries_its_payload_as_json_and_gives_it_back() -> None:
    sent = LabelsReceived(loop="m", source="s", labels=3, joined=2, unlabelled=1)
    one, two = (sent.envelope(project="p", subject="capstan:p:loop/m", traceparent="t") for _ in range(2))
    assert one.id != two.id and one.source == "capstan/monitoring" and one.traceparent == "t"
    assert payload(Envelope.model_validate_json(one.model_dump_json())) == sent
    data = (
        Sample(at=datetime(2013, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))).envelope(project="p", subject="s").data
    )
    assert data == {"at": "2013-01-01T00:00:00Z", "note": None}


@pytest.mark.parametrize(
    ("change", "place"),
    [({"specversion": "0.3"}, "specversion"), ({"datacontenttype": "text/plain"}, "datacontenttype"),
     ({"time": "2013-01-01T00:00:00"}, "time"), ({"data": [1]}, "data"), ({"project": None}, "project")],
)  # fmt: skip
def test_an_envelope_of_another_form_is_none(change: dict[str, Any], place: str) -> None:
    good = LabelsReceived(loop="m", source="s", labels=3, joined=2, unlabelled=1).envelope(project="p", subject="s")
    assert [where for where, _ in errors(Envelope, good.model_dump(mode="json") | change)] == [place]


def test_an_unknown_type_and_a_payload_that_does_not_fit_are_value_errors() -> None:
    good = LabelsReceived(loop="m", source="s", labels=3, joined=2, unlabelled=1).envelope(project="p", subject="s")
    with pytest.raises(ValueError, match="unknown event type 'labels.received.v2'"):
        payload(good.model_copy(update={"type": "labels.received.v2"}))
    with pytest.raises(ValueError, match="joined"):
        payload(good.model_copy(update={"data": {**good.data, "joined": "many"}}))


@pytest.mark.parametrize(
    ("passed", "not_judged", "refuses", "waits"),
    [
        (True, "refuses", False, False), (False, "allows", True, False), (None, "allows", False, False),
        (None, "refuses", True, False), (None, "waits", False, True), (True, "waits", False, False),
    ],
)  # fmt: skip
def test_a_gate_that_could_not_be_judged_says_what_that_means(
    passed: bool | None, not_judged: Literal["allows", "refuses", "waits"], refuses: bool, waits: bool
) -> None:
    figure = GateFigure(gate="g", passed=passed, not_judged=not_judged, sentence="")
    assert (figure.refuses, figure.waits) == (refuses, waits)


def test_strength_compares_across_scales_and_without_a_floor_is_the_effect() -> None:
    def figure(floor: float | None) -> DriftFigure:
        return DriftFigure(
            column="a", role="feature", statistic="psi", effect=0.5, floor=floor, p_value=0, adjusted_p=0, drifted=True
        )

    assert [figure(floor).strength for floor in (0.25, None, 0.0)] == [2.0, 0.5, 0.5]


def test_a_request_for_labels_has_some_and_names_the_wrong_one() -> None:
    assert errors(LabelsRequest, {"loop": "m", "labels": []})[0][0] == "labels"
    wrong = {"loop": "m", "labels": [{"value": 1}, {"prediction_id": "not-a-uuid", "value": 1}]}
    assert [place for place, _ in errors(LabelsRequest, wrong)] == ["labels[1].prediction_id"]
    assert Label.model_validate({"value": 1, "keys": {"id": [1]}}).keys == {"id": [1]}


# -- parts


class Piece(Part):
    rate: float | bool
    inner: dict[str, Any] = {}


def test_a_part_is_equal_after_its_row() -> None:
    piece = Piece(rate=0.1, inner={"b": [1, None], "a": {"x": True}})
    assert Piece.from_json(json.loads(json.dumps(piece.to_json()))) == piece
    with pytest.raises(ValidationError, match="Extra inputs"):
        Piece.from_json({"rate": 1, "from_a_newer_release": 1})


def test_differences_name_each_leaf_once_and_in_order() -> None:
    old = {"b": {"y": 1, "x": [1]}, "a": 1, "gone": 2, "same": {"z": None}}
    new = {"b": {"y": 2, "x": [1]}, "a": {"deeper": 1}, "new": 3, "same": {"z": None}}
    assert differences("thing", old, new) == [
        "thing: a 1 becomes None", "thing: a.deeper None becomes 1", "thing: b.y 1 becomes 2",
        "thing: gone 2 becomes None", "thing: new None becomes 3",
    ]  # fmt: skip
