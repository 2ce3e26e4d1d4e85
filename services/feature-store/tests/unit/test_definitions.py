"""Normal form of SQL, content versions, rules of definitions, and the entities of an online read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capstan_contracts.loop import LoopPart, ViewSpec
from capstan_feature_store.domain.definitions import breaches
from capstan_feature_store.domain.derived import HOUR_US, floor_hour, source_column
from capstan_feature_store.domain.entities import BadEntities, key_value, read_columns
from capstan_feature_store.domain.sql_text import normalise
from capstan_feature_store.domain.versions import digest_of, training_set_id, view_version
from capstan_formats.epoch import datetime_of, us_of


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("SELECT  a\n\tFROM b ; ;", "SELECT a FROM b"),
        ("SELECT a -- why\nFROM b", "SELECT a FROM b"),
        ("SELECT/* x\n*/a FROM b", "SELECT a FROM b"),
        ("SELECT 'a  --b' , \"c  d\" FROM b", "SELECT 'a  --b' , \"c  d\" FROM b"),
        ("SELECT 'it''s  -- one'  FROM b", "SELECT 'it''s  -- one' FROM b"),
        ("SELECT E'\\'  -- x'  FROM b", "SELECT E'\\'  -- x' FROM b"),
        ("SELECT $t$a  -- b$t$  FROM b", "SELECT $t$a  -- b$t$ FROM b"),
        ("SELECT date'2013-01-01'  - x  FROM b", "SELECT date'2013-01-01' - x FROM b"),
        ("", ""),
    ],
)
def test_the_normal_form_changes_nothing_that_is_quoted(text: str, normal: str) -> None:
    assert normalise(text) == normal
    assert normalise(normal) == normal


def view(**fields: Any) -> ViewSpec:
    return ViewSpec.model_validate(
        {
            "name": "v", "dataset": "d", "keys": [{"name": "k", "dtype": "string"}], "eventTime": "e", "ttl": "3h",
            "columns": [{"name": "x", "dtype": "float64"}], "sql": "SELECT * FROM d", **fields,
        }
    )  # fmt: skip


def test_a_version_tells_definitions_apart_and_not_their_layout() -> None:
    same = view(sql="SELECT *\n  FROM d; -- all", description="words", ttl="180m")
    assert view_version(same) == view_version(view())
    others = [
        view(ttl="4h"), view(ttl=None), view(sql="SELECT * FROM d WHERE true"), view(eventTime="f"),
        view(createdTime="c"),
        view(dataset="e"), view(name="w"), view(columns=[{"name": "x", "dtype": "int64"}]),
    ]  # fmt: skip
    assert len({view_version(one) for one in [view(), *others]}) == len(others) + 1


def test_a_training_set_of_another_project_is_another_one() -> None:
    assert training_set_id("a", {"label": "y"}) == training_set_id("a", {"label": "y"})
    assert training_set_id("a", {"label": "y"}) != training_set_id("b", {"label": "y"})


def found(world: Any, made: dict[str, Any]) -> set[str]:
    part = LoopPart.model_validate(world.loop_part(1, made))
    return {place for place, _ in breaches(part.resolved.definitions, part.resolved.loop.spec)}


def test_sound_definitions_break_no_rule(world: Any) -> None:
    assert found(world, world.definitions()) == set()


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"dataset": "other"}, "views[carrier_recent].dataset"),
        ({"ttl": "0s"}, "views[carrier_recent].ttl"),
        ({"ttl": "1.5s"}, "views[carrier_recent].ttl"),
        ({"sql": "  "}, "views[carrier_recent].sql"),
        ({"columns": [{"name": "Carrier", "dtype": "string"}]}, "views[carrier_recent].columns[Carrier]"),
        ({"keys": [{"name": "carrier", "dtype": "float64"}]}, "views[carrier_recent].keys[carrier].dtype"),
        ({"keys": [{"name": "carrier", "dtype": "int64"}]}, "service.lookups[carrier_recent].keys.carrier"),
        ({"columns": [{"name": "event_ts", "dtype": "int64"}]}, "service"),
    ],
)
def test_a_view_that_breaks_a_rule_is_named(world: Any, fields: dict[str, Any], place: str) -> None:
    assert place in found(world, world.definitions(**fields))


@pytest.mark.parametrize(
    ("part", "value", "place"),
    [
        ("derived", {"departs_hour": "exec(departs)"}, "service.derived.departs_hour"),
        ("derived", {"departs_hour": "floor_hour(carrier)"}, "service.derived.departs_hour"),
        ("derived", {"carrier": "floor_hour(departs)"}, "service.derived.carrier"),
        ("labelTime", "item_id", "service"),
    ],
)
def test_a_service_that_breaks_a_rule_is_named(world: Any, part: str, value: Any, place: str) -> None:
    made = world.definitions()
    made["service"][part] = value
    assert place in found(world, made)


def test_the_hour_before_1970_is_at_or_before_the_instant() -> None:
    assert floor_hour(-1) == -HOUR_US
    assert floor_hour(HOUR_US) == HOUR_US
    assert source_column(" floor_hour( a_b ) ") == "a_b"
    assert source_column("floor_hour(a) + 1") is None


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, "string"), ("1", "int64"), (True, "int64"), (1.0, "int64"), (1 << 63, "int64"), (1, "bool"), ([], "string"),
        (float("inf"), "float64"), (float("nan"), "float64"), ("x", "float64"), ("2013-01-01T00:00:00", "timestamp"),
        ("soon", "timestamp"), (5, "timestamp"),
    ],
)  # fmt: skip
def test_a_value_of_a_wrong_type_is_refused(value: Any, dtype: str) -> None:
    with pytest.raises(ValueError, match=", not "):
        key_value(value, dtype)


def test_bad_entities_name_every_place(world: Any) -> None:
    service = LoopPart.model_validate(world.loop_part()).resolved.definitions.service
    for entities, places in (
        ({}, {"entities.carrier", "entities.tailnum", "entities"}),
        ({"carrier": ["A"], "tailnum": ["N", "M"]}, {"entities"}),
        ({"carrier": ["A"], "tailnum": ["N"], "x": [1]}, {"entities.x"}),
        ({"carrier": [], "tailnum": []}, {"entities"}),
        ({"carrier": ["A", 1], "tailnum": [None, 2.0]}, {"entities.carrier[1]", "entities.tailnum[1]"}),
        ({"carrier": ["A"] * 6, "tailnum": ["A"] * 6}, {"entities"}),
    ):
        with pytest.raises(BadEntities) as caught:
            read_columns(service, entities, max_rows=5)  # type: ignore[arg-type]
        assert {place for place, _ in caught.value.breaches} == places
    rows, columns = read_columns(
        service, {"carrier": [None], "tailnum": ["N"], "departs": ["2013-01-01T05:59:59+01:00"]}, max_rows=5
    )
    assert (rows, columns["departs_hour"]) == (1, [1_357_012_800_000_000])


@given(st.text(st.sampled_from("'\"$-/*;\n eEa0_"), max_size=24))
def test_the_normal_form_of_any_text_is_its_own(text: str) -> None:
    normal = normalise(text)
    assert normalise(normal) == normal and not normal.endswith(";")


_JSON = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.datetimes().map(datetime.isoformat),
    st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat), st.lists(st.none(), max_size=2),
    st.sampled_from([10**400, -(10**400), 1 << 63, -(1 << 63), "0001-01-01T00:00:00+23:59"]),
)  # fmt: skip


@given(_JSON, st.sampled_from(["string", "int64", "float64", "bool", "timestamp"]))
def test_any_json_value_fits_its_type_or_is_refused_by_its_rule(value: Any, dtype: str) -> None:
    kinds = {"string": str, "int64": int, "float64": (int, float), "bool": bool, "timestamp": int}
    try:
        read = key_value(value, dtype)
    except ValueError as error:
        assert ", not " in str(error) and len(str(error)) < 130
    else:
        assert read is None or isinstance(read, kinds[dtype])  # type: ignore[arg-type]
        assert (dtype == "timestamp") or read is value


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_instant_is_the_same_after_microseconds(instant: datetime) -> None:
    micros = us_of(instant)
    assert datetime_of(micros) == instant and key_value(instant.isoformat(), "timestamp") == micros
    assert 0 <= micros - floor_hour(micros) < HOUR_US and floor_hour(micros) % HOUR_US == 0


def test_a_digest_is_of_what_is_said_and_not_of_how() -> None:
    assert digest_of({"a": 1, "b": [1, 2]}) == digest_of({"b": [1, 2], "a": 1})
    said = [{"a": [1, 2]}, {"a": [2, 1]}, {"a": 1}, {"a": 1.5}, {"a": "1"}, {"a": None}, {"a": "é"}, {}]
    assert len({digest_of(one) for one in said}) == len(said)
    with pytest.raises(ValueError, match="JSON"):
        digest_of({"a": float("nan")})
