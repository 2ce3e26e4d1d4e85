"""Make the virtual environments that a command needs: `bootstrap.py platform ingestion ...`, or `all`.

Starts on any Python 3.8 or newer with the standard library alone, and goes on with the best of 3.12 and 3.11 that it finds.
An environment whose stamp still fits its lock and sources is left as it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from environments import ENVIRONMENTS, LOCKS, ROOT, Environment

if TYPE_CHECKING:
    from collections.abc import Iterator

TOOLS = ROOT / ".tools"
STAMP = "capstan.stamp"
WANTED = ("3.12", "3.11")
PROBE = "import sys; print('%d.%d' % sys.version_info[:2]); print(sys.executable)"


class BootstrapError(Exception):
    """Something that the person at the keyboard has to mend; the message says what and how."""


def interpreters() -> Iterator[str]:
    """Yield commands that may be a fitting Python, the likeliest first."""
    chosen = os.environ.get("CAPSTAN_PYTHON")
    if chosen:
        yield chosen
        return
    roots = [Path(os.environ.get("PYENV_ROOT") or Path(os.path.expanduser("~")) / ".pyenv")]
    roots.append(Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or Path(os.path.expanduser("~")) / ".local/share/uv/python"))
    for version in WANTED:
        yield "python" + version
        for folder in ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"):
            yield "%s/python%s" % (folder, version)
        for root in roots:
            for found in sorted(root.glob("*%s*/bin/python%s" % (version, version))):
                yield str(found)
            for found in sorted(root.glob("versions/%s*/bin/python%s" % (version, version))):
                yield str(found)
    yield sys.executable
    yield "python3"


def find_python() -> tuple[str, str]:
    """Return version and path of the first interpreter that really starts and has a fitting version."""
    for command in interpreters():
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            probe = subprocess.run([command, "-c", PROBE], capture_output=True, text=True, timeout=20, check=False)
            lines = probe.stdout.splitlines()
            if probe.returncode == 0 and len(lines) == 2 and lines[0] in WANTED:
                return lines[0], lines[1]
    raise BootstrapError(
        "Capstan needs Python 3.12 (or 3.11), and none was found. Install it (Debian and Ubuntu: apt install python3.12 "
        "python3.12-venv; macOS: brew install python@3.12), or name one: CAPSTAN_PYTHON=/path/to/python3.12 make ..."
    )


def fingerprint(parts: list[Path]) -> str:
    """Return a digest over the contents of the files and of the bootstrap itself."""
    digest = hashlib.sha256()
    for path in [*parts, Path(__file__), ROOT / "tools" / "environments.py"]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def is_current(folder: Path, stamp: str) -> bool:
    """Tell whether the environment was made from exactly this, here, and its interpreter is still there."""
    if not (folder / "bin" / "python").exists():
        return False
    with contextlib.suppress(OSError):
        return (folder / STAMP).read_text() == "%s %s" % (stamp, folder)
    return False


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Print one line: what is being done, and when it is done how long it took."""
    print("  %s ... " % text, end="", flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print("%.1f s" % (time.monotonic() - started), flush=True)


def run(command: list[str], hint: str) -> None:
    """Run a command silently; if it fails, its own last words and the hint become the error."""
    settings = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    for inherited in ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT"):
        settings.pop(inherited, None)
    if not os.path.isdir(settings.get("HOME") or ""):
        settings.setdefault("UV_CACHE_DIR", str(TOOLS / "cache"))
    done = subprocess.run(command, cwd=str(ROOT), env=settings, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise BootstrapError("%s\n%s" % (hint, words))


def make_tools() -> None:
    """Put a pinned uv into .tools, by the pip of the interpreter that will run everything."""
    stamp = fingerprint([LOCKS / "tools.txt"])
    if is_current(TOOLS, stamp):
        return
    version, python = find_python()
    with step("tools: uv, with Python %s" % version):
        run(
            [python, "-m", "venv", "--clear", str(TOOLS)],
            "This Python cannot make a virtual environment. Debian and Ubuntu keep that apart: apt install "
            "python%s-venv (or python3-venv)." % version,
        )
        run(
            [str(TOOLS / "bin" / "python"), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(LOCKS / "tools.txt")],
            "Could not install uv. Is a package index reachable (proxy, PIP_INDEX_URL)?",
        )
    (TOOLS / STAMP).write_text("%s %s" % (stamp, TOOLS))


def make(environment: Environment) -> None:
    """Bring one environment to its lock and put our own distributions in as sources."""
    locks = [LOCKS / (name + ".txt") for name in environment.locks]
    stamp = fingerprint(locks + [ROOT / one / "pyproject.toml" for one in environment.distributions])
    folder = environment.folder
    if is_current(folder, stamp):
        return
    uv, python = str(TOOLS / "bin" / "uv"), str(folder / "bin" / "python")
    pinned = sum(line.count("==") for lock in locks for line in lock.read_text().splitlines() if "==" in line)
    with step("%s: %d packages" % (folder.relative_to(ROOT), pinned)):
        if not os.path.exists(python):
            run([uv, "venv", "--clear", "--python", str(TOOLS / "bin" / "python"), str(folder)], "Could not make %s." % folder)
        with contextlib.suppress(FileNotFoundError):
            (folder / STAMP).unlink()
        run(
            [uv, "pip", "sync", "--python", python, "--require-hashes", *map(str, locks)],
            "Could not install the %s environment. Is a package index reachable (proxy, UV_DEFAULT_INDEX)?" % environment.name,
        )
        sources = [part for one in environment.distributions for part in ("-e", "./" + one)]
        run([uv, "pip", "install", "--python", python, "--no-deps", *sources], "Could not install Capstan's own parts.")
    (folder / STAMP).write_text("%s %s" % (stamp, folder))


def main(names: list[str]) -> int:
    """Make what was asked for, one process at a time; return the exit status."""
    wanted = list(ENVIRONMENTS) if names == ["all"] else names
    unknown = [name for name in wanted if name not in ENVIRONMENTS]
    if unknown:
        print("bootstrap: no environment %s; there are: %s" % (", ".join(unknown), ", ".join(ENVIRONMENTS)), file=sys.stderr)
        return 2
    try:
        with (ROOT / "tools" / "bootstrap.py").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            make_tools()
            for name in wanted:
                make(ENVIRONMENTS[name])
    except BootstrapError as error:
        print("\n%s" % error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
