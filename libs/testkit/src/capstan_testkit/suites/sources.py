"""What every source must do: be written short and long, and refuse a mistyped word."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from capstan_contracts.kinds.sources import SOURCE_KINDS, SOURCE_SPECS


class SourceBehaviour:
    """Inherit, and give the fixtures `kind`, `source` (the class), `example` and `mistyped` (what a dataset writes)."""

    def test_it_says_who_it_is_and_whether_clients_send_to_it(self, kind: str, source: Any) -> None:
        assert source.kind == kind and isinstance(source.pushed, bool)

    def test_what_is_written_is_its_spec_and_comes_back(self, kind: str, example: Any) -> None:
        spec = SOURCE_KINDS.parse(example)
        assert type(spec) is SOURCE_SPECS.get(kind)
        assert SOURCE_KINDS.parse(spec.model_dump(mode="json", by_alias=True)) == spec

    def test_a_mistyped_word_is_one_error_with_its_place(self, mistyped: Any) -> None:
        with pytest.raises(ValidationError) as refused:
            SOURCE_KINDS.parse(mistyped)
        ((place, *_),) = [error["loc"] for error in refused.value.errors()]
        assert place in mistyped
