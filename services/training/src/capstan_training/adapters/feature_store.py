"""Asks the feature store for training sets."""

from __future__ import annotations

from capstan_contracts.rest.feature_store import TrainingSet, TrainingSetRequest
from capstan_servicekit.peers import Peers


class FeatureStoreTrainingSets:
    """Training sets by the feature store's REST."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def ask(self, project: str, request: TrainingSetRequest, *, key: str) -> TrainingSet:
        """Ask for a training set; the same key gives the same one."""
        path = f"/v1/projects/{project}/training-sets"
        return await self._peers.post("feature-store", path, request, TrainingSet, key=key)

    async def look(self, project: str, id_: str) -> TrainingSet:
        """How far it is."""
        return await self._peers.get("feature-store", f"/v1/projects/{project}/training-sets/{id_}", TrainingSet)
