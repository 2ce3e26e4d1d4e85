"""`python -m capstan_client.platform HOME`: the supervisor in the foreground. The command `capstan up` becomes this."""

from __future__ import annotations

import sys
from pathlib import Path

from capstan_client.platform.supervisor import supervise

if __name__ == "__main__":
    sys.exit(supervise(Path(sys.argv[1])))
