"""`python -m capstan_client.cluster FOLDER CONTEXT NAMESPACE RELEASE VIA`: `capstan connect` becomes this."""

from __future__ import annotations

import sys
from pathlib import Path

from capstan_client.cluster.connector import Via, connect
from capstan_client.cluster.kubectl import Target

if __name__ == "__main__":
    folder, context, namespace, release, via = sys.argv[1:]
    sys.exit(connect(Target(context, namespace, release), Path(folder), Via(via)))
