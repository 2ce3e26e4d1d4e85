"""Kinds are found by name among entry points; a foreign one is found like ours, and a broken one harms no other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from capstan_contracts.kinds.family import BrokenKind, Family, UnknownKind
from capstan_testkit.distributions import install_distribution

GROUP = "capstan.test_family"


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Family[object]:
    sources = {
        "foreign_good": "KIND = object()",
        "foreign_bad": "raise RuntimeError('no licence file')",
    }
    kinds = {"good": "foreign_good:KIND", "bad": "foreign_bad:KIND"}
    install_distribution(tmp_path, monkeypatch, name="foreign", modules=sources, entry_points={GROUP: kinds})
    return Family(GROUP)


def test_a_foreign_kind_is_found_and_imported_only_when_asked_for(family: Family[object]) -> None:
    assert family.names == ("bad", "good") and "good" in family
    assert "foreign_good" not in sys.modules
    assert family.get("good") is family.get("good") is sys.modules["foreign_good"].KIND


def test_one_that_fails_on_import_is_named_and_the_others_work(family: Family[object]) -> None:
    assert [(one.name, "RuntimeError: no licence file" in str(one)) for one in family.broken()] == [("bad", True)]
    with pytest.raises(BrokenKind, match="'bad' cannot be used: foreign_bad:KIND fails on import"):
        family.get("bad")
    assert family.get("good") is not None


def test_a_mistyped_kind_names_the_nearest_right_one(family: Family[object]) -> None:
    with pytest.raises(UnknownKind, match="no kind 'goood'; did you mean 'good'?") as refused:
        family.get("goood")
    assert refused.value.nearest == "good" and refused.value.known == ("bad", "good")


def claim(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Another distribution that has the kind `good`, too."""
    module = value.partition(":")[0]
    sources, entries = {module: "KIND = object()"}, {GROUP: {"good": value}}
    install_distribution(folder, monkeypatch, name=name, modules=sources, entry_points=entries)


def test_a_name_that_two_others_claim_is_nobodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: Family[object]
) -> None:
    claim(tmp_path, monkeypatch, "other", "other:KIND")
    with pytest.raises(BrokenKind, match="claimed by foreign_good:KIND and other:KIND; uninstall one of them"):
        Family[object](GROUP).get("good")


def test_a_name_of_ours_stays_ours_and_the_other_claim_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: Family[object]
) -> None:
    claim(tmp_path, monkeypatch, "capstan_own", "capstan_own:KIND")
    claim(tmp_path, monkeypatch, "other", "other:KIND")
    contested = Family[object](GROUP)
    assert contested.get("good") is sys.modules["capstan_own"].KIND
    claims = [(error.name, error.of) for error in contested.broken()]
    assert sorted(claims) == [("bad", ""), ("good", "foreign"), ("good", "other")]
    sentence = "the kind 'good' of other cannot be used: capstan_own:KIND has that name; it is to get another"
    assert sentence in "; ".join(map(str, contested.broken()))
    assert contested.from_outside == ("bad", "good")


def test_an_object_that_is_no_kind_of_the_family_is_broken(family: Family[object]) -> None:
    picky = Family[object](GROUP, lambda name, kind: None if isinstance(kind, str) else f"is no text called {name!r}")
    with pytest.raises(BrokenKind, match="foreign_good:KIND is no text called 'good'"):
        picky.get("good")
