"""JSON columns that hold a model of the contracts: rows give and take the model, the database a document."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import TypeAdapter
from sqlalchemy import JSON, Dialect, TypeDecorator

M = TypeVar("M")


class ModelColumn(TypeDecorator[M], Generic[M]):
    """A JSON document that is read and written as `model`: a pydantic model, or a list or mapping of one.

    A document that the model does not take raises ValidationError when its row is read; a model must therefore ignore
    the fields that a later release adds. Assign a new value to change it: what changes inside is not seen.
    """

    impl = JSON
    cache_ok = True

    def __init__(self, model: type[M]) -> None:
        super().__init__()
        self.model = model
        self._adapter: TypeAdapter[M] = TypeAdapter(model)

    def process_bind_param(self, value: M | None, dialect: Dialect) -> object:
        """The document; None stays what JSON has for it."""
        return None if value is None else self._adapter.dump_python(value, mode="json")

    def process_result_value(self, value: object, dialect: Dialect) -> M | None:
        """The model. ValidationError."""
        return None if value is None else self._adapter.validate_python(value)
