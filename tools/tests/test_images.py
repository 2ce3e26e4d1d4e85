"""Building images: the command lines, the sizes that are counted once, and what is said when something is missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import images

DOCKER = """#!{python}
import json, sys
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
verb, name = sys.argv[1], sys.argv[-1]
if verb == "build" and "registry" in " ".join(sys.argv):
    if {broken!r}:
        sys.exit("step 3 failed: no space left")
if verb == "image":
    own = name.split("/")[1].split(":")[0]
    print(json.dumps([{{"Size": 100_000_000, "RootFS": {{"Layers": ["base", "libs", own]}}}}]))
elif verb == "history":
    print("30000000\\n0\\n20000000\\n50000000")
"""


class Docker:
    """A docker that notes its calls. Every image has the layers base (50 MB), libs (20 MB) and one of its own (30)."""

    def __init__(self, folder: Path, broken: bool = False) -> None:
        self.program, self._log = folder / "docker", folder / "docker.log"
        self.program.write_text(DOCKER.format(python=sys.executable, log=str(self._log), broken=broken))
        self.program.chmod(0o755)

    def calls(self, verb: str) -> list[list[str]]:
        return [call for call in map(json.loads, self._log.read_text().splitlines()) if call[0] == verb]


def test_each_image_is_built_from_the_one_dockerfile_with_its_service(tmp_path: Path) -> None:
    docker = Docker(tmp_path)
    arguments = ["registry", "training", "--tag", "1.2", "--docker", str(docker.program), "--build-arg", "INDEX=x"]
    assert images.main(arguments) == 0
    first, second = docker.calls("build")
    assert first[-3:] == ["--tag", "capstan/registry:1.2", "."]
    assert {"SERVICE=registry", "VERSION=1.2", "INDEX=x"} <= set(first)
    assert "SERVICE=training" in second and second[-2] == "capstan/training:1.2"


def test_without_names_all_six_are_built(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    docker = Docker(tmp_path)
    assert images.main(["--docker", str(docker.program), "--json"]) == 0
    built = json.loads(capsys.readouterr().out)
    assert [one["image"] for one in built] == [f"capstan/{name}:dev" for name in images.NAMES]
    assert {one["own_bytes"] for one in built} == {30_000_000}, "the two layers that all begin with are shared"


def test_people_read_what_all_take_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images.main(["--docker", str(Docker(tmp_path).program)])
    last = capsys.readouterr().out.splitlines()[-1].split()
    assert last[-1] == str(70 + 6 * 30)


def test_images_are_loaded_in_one_call_and_pushed_one_by_one(tmp_path: Path) -> None:
    docker = Docker(tmp_path)
    loader = tmp_path / "kind"
    loader.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/loaded\n')
    loader.chmod(0o755)
    command = ["registry", "training", "--docker", str(docker.program), "--registry", "localhost:5001", "--push"]
    assert images.main([*command, "--load", f"{loader} load docker-image"]) == 0
    names = ["localhost:5001/capstan/registry:dev", "localhost:5001/capstan/training:dev"]
    assert (tmp_path / "loaded").read_text().splitlines() == [f"load docker-image {' '.join(names)}"]
    assert [call[-1] for call in docker.calls("push")] == names


def test_a_loader_that_fails_ends_it(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="images: false failed with status 1"):
        images.main(["registry", "--docker", str(Docker(tmp_path).program), "--load", "false"])


def test_a_failed_build_is_told_with_docker_s_words(tmp_path: Path) -> None:
    docker = Docker(tmp_path, broken=True)
    with pytest.raises(SystemExit, match=r"(?s)build --quiet .* failed:\nstep 3 failed: no space left"):
        images.main(["registry", "--docker", str(docker.program)])


def test_a_docker_that_is_not_there_is_named() -> None:
    with pytest.raises(SystemExit, match="images: no-such-docker is not installed"):
        images.main(["registry", "--docker", "no-such-docker"])


@pytest.mark.parametrize(
    ("arguments", "said"), [(["--tag", "latest"], "names no version"), (["regsitry"], "invalid choice: 'regsitry'")]
)
def test_wrong_arguments_are_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        images.main(arguments)
    assert ended.value.code == 2 and said in capsys.readouterr().err
