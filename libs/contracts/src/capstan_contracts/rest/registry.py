"""Registry: loops, models, gates, ledger, the MLflow proxy.

PUT  /loops/{loop}?dry_run=                     ResolvedLoop -> LoopStatus         admin
GET  /loops, /loops/{loop}                                                         viewer
GET  /models, /models/{model}/versions, /models/{model}/versions/{version}         viewer
POST /models/{model}/versions/{version}/promotions    -> 202 Promotion             operator
GET  /promotions?model=                                                            viewer
GET  /promotions/{id}                                                              viewer
POST /models/{model}/rollback                   RollbackRequest -> Rollback        operator, a person
PUT  /promotions/{id}/approval                  Approval -> Promotion              operator, a person, not who asked
GET  /models/{model}/champion?at=               Champion                           viewer
GET  /ledger?model=, /ledger/verify                                                viewer
*    /mlflow/...  (outside /v1: MLflow's REST and UI; writes that would move a protected alias are refused)
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from capstan_contracts.base import Instant, Lenient, Wire
from capstan_contracts.events import GateFigure
from capstan_contracts.ids import Digest, Uuid7
from capstan_contracts.loop import ResolvedLoop
from capstan_contracts.rest.common import PartStatus
from capstan_contracts.work import WorkStatus


class LoopStatus(Lenient):
    """The stored Loop object, or what applying it would change."""

    name: str
    generation: int
    applied: bool = Field(description="every service has taken this generation")
    dry_run: bool = False
    parts: list[PartStatus] = Field(default_factory=list)
    resolved: ResolvedLoop | None = None


class Model(Lenient):
    """A model: how many versions it has, the newest, and the one in production."""

    name: str
    versions: int
    newest: int
    champion: int | None = None


class ModelVersion(Lenient):
    """A model version: MLflow's integer and the package's digest."""

    model: str
    version: int
    package: Digest
    run: Uuid7
    holdout: Digest | None = None
    dataset: str
    dataset_version: Digest
    aliases: list[str] = Field(default_factory=list)
    metrics: dict[str, float] = Field(default_factory=dict)
    created_at: Instant


class Approval(Wire):
    """A person's answer to a promotion that waits for one."""

    approve: bool
    reason: str = Field(min_length=1, max_length=2000, description="why; it goes into the ledger")


class ApprovalGiven(Lenient):
    """Who answered what, when, and why."""

    approve: bool
    reason: str
    by: str
    at: Instant


class Promotion(WorkStatus):
    """A request for promotion, and its decision. With state `waiting` its progress says who has to do what."""

    id: Uuid7
    model: str
    version: int
    requested_by: str
    approved: bool | None = None
    gates: list[GateFigure] = Field(default_factory=list)
    approval: ApprovalGiven | None = None
    ledger_sequence: int | None = None
    created_at: Instant


class RollbackRequest(Wire):
    """Go back to a former champion, the one before the champion of now unless another is named."""

    version: int | None = Field(default=None, ge=1, le=2**31 - 1, description="a version that was champion before")
    from_version: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="the champion that was seen; 409 if it is not any more"
    )
    reason: str = Field(min_length=1, max_length=2000, description="why; it goes into the ledger")


class Rollback(Lenient):
    """What was done, by whom and why; the ledger entry has the decision `rolled-back`."""

    model: str
    from_version: int
    to_version: int
    by: str
    reason: str
    ledger_sequence: int
    at: Instant


class LedgerEntry(Lenient):
    """One decision. `hash` = sha256 over the previous hash and the canonical JSON of the entry."""

    sequence: int
    model: str
    version: int
    previous_version: int | None
    decision: str = Field(description="approved, refused or rolled-back")
    by: str
    at: Instant
    package: Digest
    gates: list[dict[str, Any]]
    previous_hash: str
    hash: str


class LedgerVerification(Lenient):
    """Whether the chain is untouched; else the first broken sequence."""

    intact: bool
    entries: int
    broken_at: int | None = None
    head: str = ""


class Champion(Lenient):
    """Which version was production at a time, and why."""

    model: str
    version: int
    package: Digest
    since: Instant
    until: Instant | None = None
    ledger_sequence: int
    gates: list[dict[str, Any]] = Field(default_factory=list)
