"""Job: unpack a recipe archive, find its pipelines and compile each to KFP's IR YAML."""

from __future__ import annotations

import ast
import json
from dataclasses import asdict
from pathlib import Path

import yaml

from capstan_servicekit.jobs.api import Job, JobRefused
from capstan_training.domain.archive import ArchiveError, members
from capstan_training.domain.jobs import ArchiveToRead, CompiledFunction, CompiledRecipe, FileToCompile
from capstan_training.domain.pipelines import Document, PipelineError, describe
from capstan_training.jobs.child import run_child

MAX_PIPELINE_FILES = 20
MAX_IR_BYTES = 4 << 20


def run(job: Job) -> CompiledRecipe:
    """JobRefused for an archive that breaks a rule; a pipeline that does not compile is an error beside the others."""
    recipe = job.scratch / "recipe"
    unpack(Path(job.read(ArchiveToRead).archive), recipe)
    files, errors = find_pipelines(recipe)
    if len(files) > MAX_PIPELINE_FILES:
        raise JobRefused(
            f"{len(files)} files have pipelines", errors=[("archive", f"at most {MAX_PIPELINE_FILES} pipeline files")]
        )
    recipe_made = CompiledRecipe(irs={}, pipelines={}, errors=errors)
    for index, (file, functions) in enumerate(sorted(files.items())):
        job.progress(index, len(files), f"compiling {file}")
        made = _compile_file(recipe, file, functions, job.scratch / f"ir-{index}")
        recipe_made.irs.update(made.irs)
        recipe_made.pipelines.update(made.pipelines)
        recipe_made.errors.update(made.errors)
    return recipe_made


def unpack(archive: Path, target: Path) -> None:
    """Write the archive's files below `target`, which must not exist. JobRefused names the rule that it breaks."""
    target.mkdir(parents=True)
    try:
        with archive.open("rb") as stream:
            for path, content in members(stream):
                file = target / path
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("xb") as out:
                    out.write(content)
    except ArchiveError as error:
        raise JobRefused(f"The recipe archive is refused: {error}", errors=[(error.place, error.rule)]) from error


def find_pipelines(recipe: Path) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Functions decorated with `@dsl.pipeline`, by file, found without running anything; and errors of syntax."""
    files: dict[str, list[str]] = {}
    errors: dict[str, str] = {}
    for path in sorted(recipe.rglob("*.py")):
        source, name = path.read_bytes(), path.relative_to(recipe).as_posix()
        if b"pipeline" not in source or b"kfp" not in source:
            continue
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError) as error:
            errors[name] = f"cannot be parsed: {error}"
            continue
        functions = [
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and any(_is_pipeline(decorator) for decorator in node.decorator_list)
        ]
        if functions:
            files[name] = functions
    return files, errors


def _is_pipeline(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(target, ast.Attribute):
        return target.attr == "pipeline"
    return isinstance(target, ast.Name) and target.id == "pipeline"


def _compile_file(recipe: Path, file: str, functions: list[str], out: Path) -> CompiledRecipe:
    out.mkdir()
    order, answer, log = out / "order.json", out / "answer.json", out / "log.txt"
    order.write_text(json.dumps(asdict(FileToCompile(str(recipe), file, functions, str(out)))))
    with log.open("wb") as output:
        status = run_child(
            f"{__package__}.compile_child", str(order), str(answer), folder=out, output=output, readable=[recipe]
        )
    if not answer.exists():
        last = log.read_text("utf-8", "replace").strip().rpartition("\n")[2][:500]
        sentence = f"importing {file} ended the process (status {status}): {last}"
        return CompiledRecipe(irs={}, pipelines={}, errors={f"{file}:{name}": sentence for name in functions})
    compiled = {name: CompiledFunction(**entry) for name, entry in json.loads(answer.read_text()).items()}
    made = CompiledRecipe(irs={}, pipelines={}, errors={})
    for name in functions:
        function, key = compiled.get(name, CompiledFunction(error="was not compiled")), f"{file}:{name}"
        try:
            if function.error:
                raise PipelineError(function.error)
            made.pipelines[key] = describe(_first_document(Path(function.ir))).to_json()
            made.irs[key] = function.ir
        except PipelineError as error:
            made.errors[key] = str(error)[:2000]
    return made


def _first_document(path: Path) -> Document:
    """The IR; a second document holds platform settings."""
    if path.stat().st_size > MAX_IR_BYTES:
        raise PipelineError(f"compiles to more than {MAX_IR_BYTES} bytes of YAML")
    for document in yaml.safe_load_all(path.read_text("utf-8")):
        if isinstance(document, dict) and "pipelineInfo" in document:
            return document
    raise PipelineError("the compiler's output has no pipelineInfo")
