"""A published event version is never edited: its golden sample must read, and come out again, for ever.

`python tests/contract/test_golden_events.py` writes samples for versions that have none yet; it never changes one.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import AwareDatetime, BaseModel

from capstan_contracts.events import EVENTS, Envelope, Event, bus_subject, payload
from capstan_contracts.ids import SERVICES

GOLDEN = Path(__file__).parent / "golden"
MOMENT = "2013-07-01T12:30:00Z"
DIGESTS = ("version", "batch", "package", "code", "segment", "parent", "holdout", "training_set")


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_the_golden_sample_reads_and_comes_out_again(event_type: str) -> None:
    text = (GOLDEN / f"{event_type}.json").read_text()
    envelope = Envelope.model_validate_json(text)
    event = payload(envelope)
    assert type(event) is EVENTS[event_type]
    sample = json.loads(text)
    written = event.model_dump(mode="json")
    assert {key: written[key] for key in sample["data"]} == sample["data"], "a published member changed"


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_the_golden_sample_names_every_member(event_type: str) -> None:
    sample = json.loads((GOLDEN / f"{event_type}.json").read_text())
    assert set(sample["data"]) == set(EVENTS[event_type].model_fields)


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_consumers_ignore_what_they_do_not_know(event_type: str) -> None:
    sample = json.loads((GOLDEN / f"{event_type}.json").read_text())
    sample["data"]["added_later"] = {"deep": [1]}
    sample["extension"] = "x"
    assert type(payload(Envelope.model_validate(sample))) is EVENTS[event_type]


def test_there_is_no_sample_without_an_event() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(EVENTS)


def test_types_are_versioned_owned_and_past_tense_subjects() -> None:
    for name, event in EVENTS.items():
        noun, verb, version = name.split(".")
        assert noun and verb.isalpha() and version[0] == "v" and version[1:].isdigit()
        assert event.SERVICE in SERVICES
        assert bus_subject("default", name) == f"capstan.default.{name}"


def sample_of(kind: Any, name: str) -> Any:
    """A plain value of a type annotation."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return sample_of(arguments[0], name)
    if origin in (Union, UnionType):
        return sample_of(next(one for one in arguments if one is not type(None)), name)
    if origin is list:
        return [sample_of(arguments[0], name)]
    if origin is dict:
        return {"name": sample_of(arguments[1], name) if arguments[1] is not Any else 1}
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {field: sample_of(info.annotation, field) for field, info in kind.model_fields.items()}
    return arguments[0] if origin is Literal else scalar_of(kind, name)


def scalar_of(kind: Any, name: str) -> Any:
    """A plain value of a type without parts; texts are told apart by the member's name."""
    known: dict[Any, Any] = {datetime: MOMENT, AwareDatetime: MOMENT, int: 3, float: 0.25, bool: True}
    if kind in known:
        return known[kind]
    if hasattr(kind, "__members__"):
        return next(iter(kind)).value
    if name in ("run", "request"):
        return "01890000-0000-7000-8000-000000000000"
    return "3f9a1c0b2d4e" + "0" * 52 if any(word in name for word in DIGESTS) else f"some-{name}"


def golden(event: type[Event]) -> str:
    """The sample of an event type, with every member present."""
    fields = {name: sample_of(info.annotation, name) for name, info in event.model_fields.items()}
    made = event.model_validate(fields)
    envelope = Envelope(
        id="01890000-0000-7000-8000-000000000001", source=f"capstan/{event.SERVICE}", type=event.TYPE,
        subject="capstan:default:loop/flight-delay", time=datetime(2013, 7, 1, 12, 30, tzinfo=UTC), project="default",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", data=made.model_dump(mode="json"),
    )  # fmt: skip
    return envelope.model_dump_json(indent=2) + "\n"


if __name__ == "__main__":
    for one in EVENTS.values():
        target = GOLDEN / f"{one.TYPE}.json"
        if not target.exists():
            target.write_text(golden(one))
