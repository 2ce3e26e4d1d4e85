"""Build the images of the six services with any Docker, bring them where pods can use them, print their sizes.

tools/images.py --tag dev                            build all six
tools/images.py --tag dev --load "kind load docker-image"
tools/images.py registry training --tag dev          some of them
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from environments import ROOT, SERVICES

NAMES = tuple(Path(folder).name for folder in SERVICES)
MB = 1_000_000


@dataclass(frozen=True)
class Built:
    """One image: its name with tag, bytes in all and in layers that only this image has, seconds to build and load."""

    image: str
    bytes: int
    own_bytes: int
    build_s: float
    load_s: float | None = None


def output(*command: str) -> str:
    """Standard output of a command; ends with its own words when it fails."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        sys.exit(f"images: {command[0]} is not installed")
    if done.returncode:
        sys.exit(f"images: {shlex.join(command)} failed:\n{(done.stderr or done.stdout).strip()[-4000:]}")
    return done.stdout.strip()


def revision() -> str:
    """The commit of the sources, with a mark when there are changes that it does not have."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def build(docker: str, service: str, image: str, tag: str, extra: Sequence[str]) -> float:
    """Build one image; the seconds it took."""
    begun = time.monotonic()
    arguments = [f"SERVICE={service}", f"VERSION={tag}", f"REVISION={revision()}", *extra]
    options = [part for argument in arguments for part in ("--build-arg", argument)]
    output(docker, "build", "--quiet", *options, "--tag", image, ".")
    return time.monotonic() - begun


def layers(docker: str, image: str) -> tuple[int, list[str]]:
    """Bytes of an image, and the digests of its layers."""
    image_info = json.loads(output(docker, "image", "inspect", image))[0]
    return int(image_info["Size"]), list(image_info["RootFS"]["Layers"])


def history(docker: str, image: str) -> list[int]:
    """Bytes of each layer that is not empty, the first one first."""
    lines = output(docker, "history", "--no-trunc", "--human=false", "--format", "{{.Size}}", image).splitlines()
    return [int(line) for line in reversed(lines) if int(line)]


def load(command: str, images: Sequence[str]) -> float:
    """Run the loader once with all images; the seconds it took."""
    begun = time.monotonic()
    done = subprocess.run([*shlex.split(command), *images], cwd=ROOT, check=False, stdout=sys.stderr)
    if done.returncode:
        sys.exit(f"images: {command} failed with status {done.returncode}")
    return time.monotonic() - begun


def common_bytes(docker: str, images: Sequence[str]) -> int:
    """Bytes of the layers with which all the images begin."""
    digests = [layers(docker, image)[1] for image in images]
    shared = 0
    for same in zip(*digests, strict=False):
        if len(set(same)) > 1:
            break
        shared += 1
    sizes = history(docker, images[0])
    return sum(sizes[:shared]) if len(sizes) >= shared else 0


def table(built: Sequence[Built], load_s: float | None) -> str:
    """The sizes, for people."""
    rows = [f"{'image':<34} {'MB':>6} {'own MB':>7} {'build s':>8}"]
    rows += [
        f"{item.image:<34} {item.bytes / MB:>6.0f} {item.own_bytes / MB:>7.0f} {item.build_s:>8.1f}" for item in built
    ]
    stored = max(item.bytes - item.own_bytes for item in built) + sum(item.own_bytes for item in built)
    rows.append(f"{'together, shared layers once':<34} {stored / MB:>6.0f}")
    if load_s is not None:
        rows.append(f"loaded in {load_s:.1f} s")
    return "\n".join(rows)


def main(arguments: Sequence[str]) -> int:
    """Build what the arguments name; return the exit status."""
    parser = argparse.ArgumentParser(description="Build the images of the services.")
    parser.add_argument("services", nargs="*", choices=[[], *NAMES], metavar="service", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--tag", default="dev")
    parser.add_argument("--registry", default="", help="prefix of the names, such as localhost:5001")
    parser.add_argument("--docker", default="docker", help="the command to build with")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--load", metavar="COMMAND", help="called with all names, such as `kind load docker-image`")
    parser.add_argument("--push", action="store_true")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args(arguments)
    if given.tag == "latest":
        parser.error("`latest` names no version; give another tag")
    docker, prefix = given.docker, f"{given.registry}/" if given.registry else ""
    names = {service: f"{prefix}capstan/{service}:{given.tag}" for service in given.services or NAMES}
    seconds = {}
    for service, image in names.items():
        seconds[image] = build(docker, service, image, given.tag, given.build_arg)
        print(f"{image}: {seconds[image]:.1f} s", file=sys.stderr)
    images = list(names.values())
    shared = common_bytes(docker, images) if len(images) > 1 else 0
    sizes = {image: layers(docker, image)[0] for image in images}
    load_s = load(given.load, images) if given.load else None
    if given.push:
        for image in images:
            output(docker, "push", "--quiet", image)
    built = [Built(image, sizes[image], sizes[image] - shared, round(seconds[image], 1), load_s) for image in images]
    print(json.dumps([asdict(item) for item in built], indent=1) if given.json else table(built, load_s))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
