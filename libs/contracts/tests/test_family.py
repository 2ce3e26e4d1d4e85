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
        "capstan_foreign_good": "KIND = object()",
        "capstan_foreign_bad": "raise RuntimeError('no licence file')",
    }
    kinds = {"good": "capstan_foreign_good:KIND", "bad": "capstan_foreign_bad:KIND"}
    install_distribution(tmp_path, monkeypatch, name="foreign", modules=sources, entry_points={GROUP: kinds})
    return Family(GROUP)


def test_a_foreign_kind_is_found_and_imported_only_when_asked_for(family: Family[object]) -> None:
    assert family.names == ("bad", "good") and "good" in family
    assert "capstan_foreign_good" not in sys.modules
    assert family.get("good") is family.get("good") is sys.modules["capstan_foreign_good"].KIND


def test_one_that_fails_on_import_is_named_and_the_others_work(family: Family[object]) -> None:
    assert [(one.name, "RuntimeError: no licence file" in str(one)) for one in family.broken()] == [("bad", True)]
    with pytest.raises(BrokenKind, match="'bad' cannot be used: capstan_foreign_bad:KIND fails on import"):
        family.get("bad")
    assert family.get("good") is not None


def test_a_mistyped_kind_names_the_nearest_right_one(family: Family[object]) -> None:
    with pytest.raises(UnknownKind, match="no kind 'goood'; did you mean 'good'?") as refused:
        family.get("goood")
    assert refused.value.nearest == "good" and refused.value.known == ("bad", "good")


def test_a_name_that_two_distributions_claim_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: Family[object]
) -> None:
    entries = {GROUP: {"good": "capstan_other:KIND"}}
    install_distribution(tmp_path, monkeypatch, name="other", modules={"capstan_other": ""}, entry_points=entries)
    with pytest.raises(BrokenKind, match="claimed by capstan_foreign_good:KIND and capstan_other:KIND"):
        Family[object](GROUP).get("good")
