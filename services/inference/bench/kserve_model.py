"""KServe's Python server with the benchmark's booster: what `load.py --kserve PYTHON` measures beside ours.

PYTHON is the interpreter of an environment that has `kserve` and `lightgbm`; nothing of ours is imported here.

    python kserve_model.py MODEL.txt PORT COLUMN,COLUMN,...
"""

import sys

import lightgbm
import numpy as np
from kserve import Model, ModelServer


class Booster(Model):  # type: ignore[misc]
    """V1 rows in, scores out: one matrix, one call of the booster on one thread."""

    def __init__(self, path: str, columns: list[str]) -> None:
        super().__init__("plain")
        self._booster, self._columns = lightgbm.Booster(model_file=path), columns
        self.ready = True

    def predict(self, payload: dict[str, list[dict[str, float]]], *_: object, **__: object) -> dict[str, list[float]]:
        """Scores of all rows."""
        rows = np.array([[row[name] for name in self._columns] for row in payload["instances"]])
        return {"predictions": self._booster.predict(rows, num_threads=1).tolist()}


if __name__ == "__main__":
    model_file, port, names = sys.argv[1:]
    server = ModelServer(http_port=int(port), enable_grpc=False, workers=1, access_log_format=None)
    server.start([Booster(model_file, names.split(","))])
