"""Builds model packages: small models of each engine, and a header with a default for whatever a test does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from capstan_formats.preprocess import Preprocessor
from capstan_formats.sketches import Baseline, BaselineColumn, NumericSketch, Role
from capstan_packages.draft import draft
from capstan_packages.header import BASELINE, MODEL_JSON
from capstan_packages.kinds.model import ModelHeader
from capstan_packages.writer import write_package

Features = Sequence[Mapping[str, Any]]

#: Two numbers, as they are.
FEATURES: Final[Features] = ({"op": "numeric", "column": "distance"}, {"op": "numeric", "column": "temp"})
#: The member that holds the model, by engine.
MEMBERS: Final = {"lightgbm": "model.txt", "onnx": "model.onnx"}
OBJECTIVES: Final = {"binary": "binary sigmoid:1", "regression": "regression", "multiclass": "multiclass num_class:{}"}


@dataclass(frozen=True)
class Built:
    """A package file, its digest, and the folder it was packed from."""

    path: Path
    digest: str
    content: Path


def build_package(folder: Path, features: Features = FEATURES, **given: Any) -> Built:
    """`build_content`, packed as `package.tar` in the same folder."""
    content = build_content(folder, features, **given)
    path = folder / "package.tar"
    return Built(path, write_package(content, path), content)


def build_content(
    folder: Path,
    features: Features = FEATURES,
    *,
    model: bytes | None = None,
    baseline: Mapping[str, BaselineColumn] | None = None,
    **given: Any,
) -> Path:
    """A folder `content` with the files of a package. Returns it.

    `model`: the bytes of the engine's member, by default a tiny model that fits. `baseline`: by default one sketch of
    the first column. `given`: fields of the header (`capstan_packages.draft`), by default a binary LightGBM model.
    """
    header = header_of(features, **given)
    content = folder / "content"
    content.mkdir(parents=True)
    columns = header.preprocessor().columns
    if model is None:
        make = booster_text if header.engine == "lightgbm" else onnx_model
        model = make(columns, task=header.task, classes=header.signature.classes or 2)
    sketch = BaselineColumn(Role.FEATURE, NumericSketch.build([1.0, 2.0, None]))
    (content / MODEL_JSON).write_bytes(header.to_bytes())
    (content / header.members[0]).write_bytes(model)
    (content / BASELINE).write_bytes(Baseline(baseline or {columns[0]: sketch}).to_bytes())
    return content


def header_of(features: Features = FEATURES, *, engine: str = "lightgbm", **given: Any) -> ModelHeader:
    """A header named `delay` with the members of the engine; `given` are other fields by name."""
    return draft(features, engine=engine, **{"members": (MEMBERS.get(engine, "model.bin"),), "name": "delay", **given})


def columns_of(features: Features = FEATURES) -> list[str]:
    """The names of the matrix's columns."""
    return Preprocessor.from_spec(features).columns


def booster_text(
    columns: Sequence[str], *, task: str = "binary", classes: int = 2, objective: str | None = None, shift: float = 0.0
) -> bytes:
    """A LightGBM model without LightGBM: per output one tree, which splits the first column at `shift`.

    Left of it the raw score is -1, right of it 1 (class k of several: -k - 1 and k + 1).
    """
    outputs = classes if task == "multiclass" else 1
    trees = [_tree(index, shift, float(index + 1)) for index in range(outputs)]
    head = (
        f"tree\nversion=v4\nnum_class={outputs}\nnum_tree_per_iteration={outputs}\nlabel_index=0\n"
        f"max_feature_idx={len(columns) - 1}\nobjective={objective or OBJECTIVES[task].format(classes)}\n"
        f"feature_names={' '.join(columns)}\nfeature_infos={' '.join('[-1e3:1e3]' for _ in columns)}\n"
        f"tree_sizes={' '.join(str(len(tree)) for tree in trees)}\n\n"
    )
    return (head + "".join(trees) + "end of trees\n\nparameters:\nend of parameters\n").encode()


def _tree(index: int, threshold: float, height: float) -> str:
    return (
        f"Tree={index}\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nsplit_gain=1\nthreshold={threshold!r}\n"
        f"decision_type=2\nleft_child=-1\nright_child=-2\nleaf_value={-height!r} {height!r}\nleaf_weight=1 1\n"
        "leaf_count=1 1\ninternal_value=0\ninternal_weight=2\ninternal_count=2\nis_linear=0\nshrinkage=1\n\n\n"
    )


def onnx_model(
    columns: Sequence[str], *, task: str = "binary", classes: int = 2, shift: float = 0.0, opset: int = 17
) -> bytes:
    """A linear ONNX model [rows, columns] -> scores: the sum of a row, through what the task asks for.

    Needs the `onnx` package, which only the environment of the developers has.
    """
    import numpy as np  # noqa: PLC0415 - with `onnx`, 60 MB that only tests of this engine pay for
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

    outputs = classes if task == "multiclass" else 1
    weights = np.outer(np.ones(len(columns)), np.arange(1, outputs + 1)).astype(np.float32)
    last = {"binary": "Sigmoid", "regression": "Identity", "multiclass": "Softmax"}[task]
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["rows", "weights"], ["weighed"]),
            helper.make_node("Add", ["weighed", "shift"], ["raw"]),
            helper.make_node(last, ["raw"], ["scores"]),
        ],
        "linear",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", len(columns)])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", outputs])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([shift], dtype=np.float32), "shift"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 9  # of the year of opset 17; the newest is not read by an older ONNX Runtime
    content: bytes = model.SerializeToString()
    return content
