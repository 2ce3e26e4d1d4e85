"""What an item of a dataset is (`capstan.modalities`): a row of a table; later a document or an image.

A modality decides how a batch is read and checked, how its items are stored, and what a training set of it looks like.
Its settings stand here; `services/ingestion/.../modalities/<kind>/` implements it. `documents` and `images` will add a
spec each (`metadata: <sidecar file>`, allowed formats, most bytes of an item) and keep the dataset's keys, event time
and contract: those are columns of their metadata table, one row per item, so that the contract, the point-in-time
rules and drift work on them unchanged.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from capstan_contracts.kinds.family import Family
from capstan_contracts.kinds.spec import KindSpec, OneOfKinds, name_alone, names_alone

GROUP: Final = "capstan.modalities"


class Modality(KindSpec):
    """Base of the modalities."""


class TableModality(Modality):
    """Rows with columns: a partition is one Parquet file, a training set is one row per label."""

    kind: Literal["table"] = "table"


MODALITY_SPECS: Final[Family[type[Modality]]] = Family("capstan.specs.modalities")
MODALITY_KINDS: Final = OneOfKinds(Modality, MODALITY_SPECS, noun="modality", spell=name_alone, short=names_alone)
ModalitySpec = Annotated[Modality, MODALITY_KINDS]
"""A modality of any kind that is installed: `table`, or `{kind: table}`."""
