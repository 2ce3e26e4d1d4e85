"""`python -m capstan_inference serve | worker | migrate | serve-model | serve-pod`."""

from __future__ import annotations

import importlib
import sys


def run() -> None:
    """The model server is a small process: it must not even import what the service is made of."""
    if sys.argv[1:] == ["serve-model"]:
        importlib.import_module("capstan_inference.dataplane.server").main()
        return
    if sys.argv[1:] == ["serve-pod"]:
        importlib.import_module("capstan_inference.adapters.pod.host").main()
        return
    settings = importlib.import_module("capstan_inference.settings").Settings
    build = importlib.import_module("capstan_inference.app").build
    importlib.import_module("capstan_servicekit.http.serve").main(settings, build)


if __name__ == "__main__":
    run()
