"""The Python SDK: `async with Capstan.connect() as capstan: await capstan.ingestion.upload(...)`.

What is exported here is what users may rely on; everything below may change. Every call may raise an SdkError.
"""

from capstan_client.sdk.capstan import Capstan
from capstan_client.sdk.lineage import FeatureOrigin, Lineage, trace
from capstan_client.sdk.recipe import resolve
from capstan_client.sdk.transport import CapstanProblem, SdkError, UnexpectedAnswer, Unreachable, poll

__all__ = [
    "Capstan",
    "CapstanProblem",
    "FeatureOrigin",
    "Lineage",
    "SdkError",
    "UnexpectedAnswer",
    "Unreachable",
    "poll",
    "resolve",
    "trace",
]
