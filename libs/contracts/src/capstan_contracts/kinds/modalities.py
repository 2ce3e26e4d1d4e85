"""What an item of a dataset is (`capstan.modalities`): a row of a table; later a document or an image.

A modality decides how a batch is read and checked, how its items are stored, and what a training set of it looks like.
Its settings stand here; `services/ingestion/.../modalities/<kind>/` implements it. `documents` and `images` will add a
spec each (`metadata: <sidecar file>`, allowed formats, most bytes of an item) and keep the dataset's keys, event time
and contract: those are columns of their metadata table, one row per item, so that the contract, the point-in-time
rules and drift work on them unchanged.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BeforeValidator

from capstan_contracts.base import Spec
from capstan_contracts.kinds.choose import chosen

GROUP: Final = "capstan.modalities"
KINDS: Final = ("table",)


class TableModality(Spec):
    """Rows with columns: a partition is one Parquet file, a training set is one row per label."""

    kind: Literal["table"] = "table"


ModalitySpec = Annotated[TableModality, BeforeValidator(chosen("modality", KINDS))]
"""`modality: table`, or `modality: {kind: table}`."""
