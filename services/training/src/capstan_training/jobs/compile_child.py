"""Process: import one file of a recipe (user code runs here) and compile its pipelines. Arguments: order, answer."""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

from kfp import compiler

from capstan_training.domain.jobs import CompiledFunction, FileToCompile


def main() -> None:
    """Read a FileToCompile; write a CompiledFunction for each function to the answer file."""
    order = FileToCompile(**json.loads(Path(sys.argv[1]).read_text()))
    recipe, out = Path(order.recipe), Path(order.out)
    file = recipe / order.file
    sys.path[:0] = [str(file.parent), str(recipe)]
    answer: dict[str, CompiledFunction] = {}
    try:
        module = _load(file)
    except BaseException as error:  # noqa: BLE001 - the process edge: user code may raise anything, SystemExit too
        sentence = _sentence(error, recipe)
        answer = {
            name: CompiledFunction(error=f"importing {order.file} failed: {sentence}") for name in order.functions
        }
    else:
        for index, name in enumerate(order.functions):
            target = out / f"{index}.yaml"
            try:
                compiler.Compiler().compile(getattr(module, name), str(target))
                answer[name] = CompiledFunction(ir=str(target))
            except BaseException as error:  # noqa: BLE001 - as above
                answer[name] = CompiledFunction(error=_sentence(error, recipe))
    draft = Path(sys.argv[2]).with_suffix(".draft")
    draft.write_text(json.dumps({name: asdict(compiled) for name, compiled in answer.items()}))
    draft.rename(sys.argv[2])


def _load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file.name} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def _sentence(error: BaseException, recipe: Path) -> str:
    """The error, with the last place in the recipe that led to it."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(recipe)
    ]
    place = f" ({Path(frames[-1].filename).relative_to(recipe)}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {str(error)[:1500]}{place}"


if __name__ == "__main__":
    main()
