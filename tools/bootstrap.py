"""Make the virtual environments that a command needs: `bootstrap.py platform ingestion ...`, or `all`.

Starts on any Python 3.8 or newer with the standard library alone, then uses the best of 3.12 and 3.11 that it finds.
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
NO_PYTHON = """Capstan needs Python 3.12 (or 3.11), and none was found.
Install it (Debian and Ubuntu: apt install python3.12 python3.12-venv; macOS: brew install python@3.12),
or name one: CAPSTAN_PYTHON=/path/to/python3.12 make ..."""
NO_INDEX = "Is a package index reachable (proxy, PIP_INDEX_URL, UV_DEFAULT_INDEX)?"
INHERITED = ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT")


class BootstrapError(Exception):
    """Something that the person at the keyboard has to mend; the message says what and how."""


def interpreters() -> Iterator[str]:
    """Yield commands that may be a fitting Python, the likeliest first."""
    chosen = os.environ.get("CAPSTAN_PYTHON")
    if chosen:
        yield chosen
        return
    home = Path(os.path.expanduser("~"))
    roots = [
        Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions",
        Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local/share/uv/python"),
    ]
    for version in WANTED:
        yield f"python{version}"
        yield from (f"{folder}/python{version}" for folder in ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"))
        for root in roots:
            yield from (str(interpreter) for interpreter in sorted(root.glob(f"*{version}*/bin/python{version}")))
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
    raise BootstrapError(NO_PYTHON)


def fingerprint(parts: list[Path]) -> str:
    """Return a digest over the names and contents of the files that decide what is in an environment."""
    digest = hashlib.sha256()
    for path in parts:
        digest.update(str(path.relative_to(ROOT)).encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def read_stamp(folder: Path) -> tuple[str, str]:
    """Return what the environment was made from, and where; two empty strings if it was never finished."""
    with contextlib.suppress(OSError, ValueError):
        made_from, made_at = (folder / STAMP).read_text(encoding="utf-8").split("\n")
        return made_from, made_at
    return "", ""


def is_current(folder: Path, stamp: str) -> bool:
    """Tell whether the environment was made from exactly this, here, and its interpreter is still there."""
    return (folder / "bin" / "python").exists() and read_stamp(folder) == (stamp, str(folder))


def write_stamp(folder: Path, stamp: str) -> None:
    """Mark the environment as finished."""
    (folder / STAMP).write_text(f"{stamp}\n{folder}", encoding="utf-8")


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Print one line: what is being done, and when it is done how long it took."""
    print(f"  {text} ... ", end="", flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"{time.monotonic() - started:.1f} s", flush=True)


def run(command: list[str], hint: str) -> None:
    """Run a command silently; if it fails, the hint and its own last words become the error."""
    settings = {name: value for name, value in os.environ.items() if name not in INHERITED}
    settings.update(UV_PYTHON_DOWNLOADS="never", PIP_DISABLE_PIP_VERSION_CHECK="1")
    settings.setdefault("UV_SYSTEM_CERTS", "true")  # a company's own certificate authority is in the system's store
    if not os.path.isdir(settings.get("HOME") or ""):
        settings.setdefault("UV_CACHE_DIR", str(TOOLS / "cache"))
        settings.setdefault("PIP_CACHE_DIR", str(TOOLS / "cache" / "pip"))
    done = subprocess.run(command, cwd=str(ROOT), env=settings, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise BootstrapError(f"{hint}\n{words}")


def make_tools() -> None:
    """Put a pinned uv into .tools, by the pip of the interpreter that will run everything."""
    stamp = fingerprint([LOCKS / "tools.txt"])
    if is_current(TOOLS, stamp):
        return
    version, python = find_python()
    with step(f".tools: uv, on Python {version}"):
        run(
            [python, "-m", "venv", "--clear", str(TOOLS)],
            "This Python cannot make virtual environments. Debian and Ubuntu keep that in a package of its own: "
            f"apt install python3-venv (or python{version}-venv), then call again.",
        )
        pip = [str(TOOLS / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        run([*pip, "--require-hashes", "-r", str(LOCKS / "tools.txt")], f"Could not install uv. {NO_INDEX}")
    write_stamp(TOOLS, stamp)


def make(environment: Environment) -> None:
    """Bring one environment to its lock and put our own distributions in as sources."""
    locks = [LOCKS / f"{name}.txt" for name in environment.locks]
    stamp = fingerprint([*locks, *(ROOT / source / "pyproject.toml" for source in environment.distributions)])
    folder = environment.folder
    if is_current(folder, stamp):
        return
    uv, python = str(TOOLS / "bin" / "uv"), str(folder / "bin" / "python")
    packages = sum(lock.read_text(encoding="utf-8").count("==") for lock in locks)
    with step(f"{folder.relative_to(ROOT)}: about {packages} packages"):
        if not os.path.exists(python) or read_stamp(folder)[1] not in ("", str(folder)):
            base = str(TOOLS / "bin" / "python")
            run([uv, "venv", "--clear", "--python", base, str(folder)], f"Could not make {folder}.")
        with contextlib.suppress(FileNotFoundError):
            (folder / STAMP).unlink()
        pinned = [uv, "pip", "sync", "--python", python, "--require-hashes", *map(str, locks)]
        run(pinned, f"Could not install the {environment.name} environment. {NO_INDEX}")
        if sources := [part for source in environment.distributions for part in ("-e", f"./{source}")]:
            install = [uv, "pip", "install", "--python", python, "--no-deps", *sources]
            run(install, "Could not install Capstan's own parts.")
    write_stamp(folder, stamp)


def main(names: list[str]) -> int:
    """Make what was asked for, one process at a time; return the exit status."""
    wanted = list(ENVIRONMENTS) if names == ["all"] else names
    unknown = [name for name in wanted if name not in ENVIRONMENTS]
    if unknown:
        print(f"bootstrap: no environment {', '.join(unknown)}; there are: {', '.join(ENVIRONMENTS)}", file=sys.stderr)
        return 2
    try:
        with Path(__file__).open(encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            make_tools()
            for name in wanted:
                make(ENVIRONMENTS[name])
    except BootstrapError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; call again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
