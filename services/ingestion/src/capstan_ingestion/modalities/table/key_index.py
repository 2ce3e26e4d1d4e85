"""The keys of a table as numbers, by which rows of another table are found. Exact for every type a key may have."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from capstan_ingestion.modalities.port import Rows


class KeyIndex:
    """Equal keys have equal codes, from 0 on. A key with a null is equal to none of another file."""

    def __init__(self, table: pa.Table, keys: Sequence[str]) -> None:
        self._keys, self._table = list(keys), table.select(list(keys))
        self._values: list[pa.Array] = []
        self._combined: list[Rows] = []
        codes = np.zeros(table.num_rows, dtype=np.int64)
        for key in keys:
            values = pc.unique(table[key]).drop_null()
            # Both factors are below the number of rows, so their product stays far below 2**63.
            combined, codes = np.unique(codes * (len(values) + 1) + _places(table[key], values), return_inverse=True)
            self._values.append(values)
            self._combined.append(combined)
        self.codes: Rows = codes.astype(np.int64)

    def find(self, table: pa.Table) -> Rows:
        """Per row of another table the code of its key here; -1 where no row here has it."""
        codes = np.zeros(table.num_rows, dtype=np.int64)
        known = np.ones(table.num_rows, dtype=np.bool_)
        for key, values, combined in zip(self._keys, self._values, self._combined, strict=True):
            places = _places(table[key].cast(values.type), values)
            wanted = codes * (len(values) + 1) + places
            codes = np.searchsorted(combined, wanted).clip(max=len(combined) - 1)
            known &= (places < len(values)) & (combined[codes] == wanted)
        return np.where(known, codes, -1).astype(np.int64)

    def within(self, schema: pa.Schema) -> pads.Expression | None:
        """What rows of a file with this schema have to be to have a key of this table; None where nothing is known.

        By the ends of each key, so that row groups of other keys are not read.
        """
        bounds = []
        for key in self._keys:
            column = self._table[key]
            if column.type != schema.field(key).type or pa.types.is_boolean(column.type):
                continue
            ends = pc.min_max(column)
            if ends["min"].is_valid:
                bounds.append((pads.field(key) >= ends["min"]) & (pads.field(key) <= ends["max"]))
        return reduce(lambda left, right: left & right, bounds) if bounds else None


def _places(column: pa.ChunkedArray, values: pa.Array) -> Rows:
    """Where each value stands among `values`; their number for one that is not there, or is null."""
    places = pc.fill_null(pc.index_in(column, value_set=values, skip_nulls=True), len(values))
    return np.asarray(places.to_numpy(), dtype=np.int64)
