"""The development runner: a changed source starts the process again, and a signal ends both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_change_starts_the_module_again(tmp_path: Path) -> None:
    package, out = tmp_path / "capstan_example", tmp_path / "out"
    package.mkdir()
    (package / "__init__.py").touch()
    source = package / "__main__.py"
    source.write_text(f"import time\nopen({str(out)!r}, 'a').write('one ')\ntime.sleep(60)\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    runner = [sys.executable, "-m", "capstan_servicekit.http.reload", "capstan_example"]
    with subprocess.Popen(runner, env=environment, stderr=subprocess.PIPE, text=True) as process:
        wait(lambda: out.exists() and out.read_text() == "one ")
        source.write_text(source.read_text().replace("'one '", "'two '"))
        wait(lambda: out.read_text() == "one two ")
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "__main__.py" in said
