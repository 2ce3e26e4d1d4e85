"""The shape of one line of the prediction log: one answered request. All times are epoch microseconds in UTC."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class PredictionRow(TypedDict):
    """One prediction of a request, with everything that it was made from."""

    prediction_id: str
    event_time: int
    #: Key columns by name, as the request gave them; empty where nothing was looked up.
    entity: dict[str, Any]
    #: Request columns by name.
    inputs: dict[str, Any]
    #: Columns of the model matrix by name, after preprocessing; None where the model saw NaN.
    features: dict[str, float | None]
    #: Event time of the value read, per view; None where the view had none for this row.
    feature_times: dict[str, int | None]
    #: Status per view: present, expired, missing.
    feature_status: NotRequired[dict[str, str]]
    #: What each view was asked by: key -> value, per view; timestamps as ISO-8601 text.
    lookup_keys: NotRequired[dict[str, dict[str, Any]]]
    #: Values looked up, by column, before preprocessing.
    looked_up: NotRequired[dict[str, Any]]
    prediction: float


class PredictionRecord(TypedDict):
    """One request. `version` is the model version, `package` the digest of its package.

    `ext` holds typed extension fields by the name of the extension, each with its own documented shape (a canary's
    arm, a shadow's answer, tokens of a completion). Readers keep the extensions that they do not know.
    """

    id: str
    ts: int
    model: str
    version: int
    package: str
    rows: list[PredictionRow]
    deployment: NotRequired[str]
    revision: NotRequired[int]
    ext: NotRequired[dict[str, Any]]
