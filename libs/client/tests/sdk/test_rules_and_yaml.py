"""YAML 1.2 with places, and pydantic's errors in the words of the document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError, model_validator

from capstan_client.sdk import yaml12
from capstan_client.sdk.rules import broken_rules
from capstan_contracts.base import Spec


class Bound(Spec):
    metric: str
    at_least: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Bound:
        if self.at_least is None:
            raise ValueError("A bound is needed")
        return self


class Share(Spec):
    slice_of: str
    max_drop: float


class Upload(Spec):
    kind: Literal["upload"]
    max_bytes: int = 0


class Pull(Spec):
    kind: Literal["http"]
    url: str


class Document(Spec):
    sources: list[Annotated[Upload | Pull, Field(discriminator="kind")]] = Field(default_factory=list)
    name: str = Field(pattern="^[a-z]+$")
    gates: list[Bound | Share] = Field(default_factory=list)
    labels: dict[str, int] = Field(default_factory=dict)
    inner: Share | None = None


def said(raw: Any) -> list[str]:
    with pytest.raises(ValidationError) as error:
        Document.model_validate(raw)
    return [f"{one.place}: {one.rule}" for one in broken_rules(Document, error.value)]


def test_an_unknown_field_is_answered_with_the_nearest() -> None:
    assert said({"name": "a", "gate": []}) == ["gate: no such field; did you mean gates?"]
    assert said({"name": "a", "zzz": 1}) == ["zzz: no such field; there are: sources, name, gates, labels, inner"]


def test_fields_are_named_as_in_yaml() -> None:
    assert said({"name": "a", "inner": {"sliceOf": "x", "max_dorp": 1}}) == [
        "inner.maxDrop: is missing", "inner.max_dorp: no such field; did you mean maxDrop?",
    ]  # fmt: skip


def test_of_a_union_the_member_that_fits_best_is_meant() -> None:
    assert said({"name": "a", "gates": [{"metrc": "auc", "atLeast": 0.6}]}) == [
        "gates[0].metric: is missing", "gates[0].metrc: no such field; did you mean metric?",
    ]  # fmt: skip
    good = {"metric": "auc", "atLeast": 0.6}
    assert said({"name": "a", "gates": [good, {"sliceOf": "carrier", "maxDrop": "much"}]}) == [
        "gates[1].maxDrop: input should be a valid number, unable to parse string as a number"
    ]


def test_of_a_union_with_kinds_the_kind_is_no_part_of_the_place() -> None:
    assert said({"name": "a", "sources": [{"kind": "http", "ulr": "x"}]}) == [
        "sources[0].url: is missing", "sources[0].ulr: no such field; did you mean url?",
    ]  # fmt: skip
    (line,) = said({"name": "a", "sources": [{"kind": "htpt"}]})
    assert line.startswith("sources[0]: ") and "'htpt'" in line and "'http'" in line


def test_a_rule_of_ours_is_said_in_its_own_words() -> None:
    assert said({"name": "a", "gates": [{"metric": "auc"}]}) == ["gates[0]: a bound is needed"]


def test_a_key_of_a_map_is_a_place() -> None:
    assert said({"name": "a", "labels": {"x": "one"}})[0].startswith("labels.x: input should be a valid integer")


def test_the_document_itself_is_a_place() -> None:
    assert said([]) == ["the document: input should be a valid dictionary or instance of Document"]


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "y", "n", "On", "NO"])
def test_words_of_yaml_1_1_stay_words(word: str) -> None:
    assert yaml12.load(f"{word}: {word}") == {word: word}


def test_booleans_of_yaml_1_2() -> None:
    assert yaml12.load("[true, False, TRUE]") == [True, False, True]


@pytest.mark.parametrize(
    ("text", "said_"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: the key 'a' stands twice"),
        ("a:\n  - b: 1\n    b: 2\n", "line 3, column 5: the key 'b' stands twice"),
        ("a: [1\n", "line 2, column 1: expected ',' or ']', but got '<stream end>'"),
        ("a: !!python/name:os.system x", "line 1, column 4: could not determine a constructor for the tag"),
        ("a: *nobody", "line 1, column 4: found undefined alias 'nobody'"),
        ("a: \x00", "unacceptable character #x0000"),
        ("[" * 3000, "it is nested too deeply"),
    ],
)
def test_what_is_no_yaml_is_one_line_with_a_place(text: str, said_: str) -> None:
    with pytest.raises(ValueError) as error:
        yaml12.load(text)
    assert str(error.value).startswith(said_) and "\n" not in str(error.value)


def test_a_merge_key_is_no_ordinary_key() -> None:
    assert yaml12.load("a: &a {x: 1}\nc:\n  <<: *a\n  y: 2\n")["c"] == {"x": 1, "y": 2}
