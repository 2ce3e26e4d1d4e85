"""The states of a batch: what may become of it, and by whom."""

from __future__ import annotations

from capstan_contracts.rest.ingestion import BatchState
from capstan_contracts.states import Machine

OPEN = (BatchState.RECEIVED, BatchState.CHECKING)
"""Batches that have no verdict yet."""

BATCH = Machine(
    "batch",
    BatchState.RECEIVED,
    {
        (BatchState.RECEIVED, BatchState.CHECKING): ("actions.check_batch",),
        # A check that was interrupted begins again.
        (BatchState.CHECKING, BatchState.CHECKING): ("actions.check_batch",),
        (BatchState.CHECKING, BatchState.COMMITTED): ("actions.commit_batch",),
        (BatchState.CHECKING, BatchState.QUARANTINED): ("actions.check_batch",),
        (BatchState.RECEIVED, BatchState.FAILED): ("actions.check_batch",),
        (BatchState.CHECKING, BatchState.FAILED): ("actions.check_batch",),
        # A replay; or the same bytes came again.
        (BatchState.QUARANTINED, BatchState.RECEIVED): ("actions.start_check",),
        (BatchState.FAILED, BatchState.RECEIVED): ("actions.start_check",),
        # The same bytes came again, and their partition holds others by now.
        (BatchState.COMMITTED, BatchState.RECEIVED): ("actions.start_check",),
        # A corrected batch has taken its place.
        (BatchState.QUARANTINED, BatchState.REPLACED): ("tables",),
        (BatchState.FAILED, BatchState.REPLACED): ("tables",),
    },
)
