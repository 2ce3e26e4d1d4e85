"""The states of a batch: the table is whole, and refuses what no action may do."""

from __future__ import annotations

import pytest

from capstan_contracts.rest.ingestion import BatchState
from capstan_contracts.states import IllegalTransition
from capstan_ingestion.domain.batch import BATCH, OPEN
from capstan_testkit.machines import assert_whole


def test_only_a_replaced_batch_stays_what_it_is() -> None:
    assert_whole(BATCH, finals={BatchState.REPLACED}, package="capstan_ingestion")


def test_a_batch_without_a_verdict_is_never_replaced() -> None:
    assert not set(OPEN) & set(BATCH.into(BatchState.REPLACED))
    with pytest.raises(IllegalTransition, match="a batch that is received cannot become committed: only checking can"):
        BATCH.move("received", BatchState.COMMITTED)
