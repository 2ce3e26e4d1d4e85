"""The Python SDK: `async with Capstan.connect() as capstan: await capstan.ingestion.upload(...)`."""

from capstan_client.sdk.capstan import Capstan
from capstan_client.sdk.transport import CapstanProblem, Unreachable

__all__ = ["Capstan", "CapstanProblem", "Unreachable"]
