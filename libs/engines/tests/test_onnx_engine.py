"""ONNX packages answer what ONNX Runtime answers; what leads out of the file or out of the standard is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from capstan_engines.family import check, load
from capstan_engines.onnx.model_check import OnnxModelError, check_model
from capstan_packages.errors import PackageError
from capstan_packages.models import ModelPackage, read_model
from capstan_testkit.packages import FEATURES, build_package, columns_of, onnx_model

ROWS = np.random.default_rng(3).normal(size=(50, len(FEATURES)))
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def info(name: str, kind: int, *shape: Any) -> Any:
    return helper.make_tensor_value_info(name, kind, list(shape))


def model_of(
    nodes: list[Any], inputs: list[Any], outputs: list[Any], tensors: list[Any] | None = None, **opsets: int
) -> Any:
    imports = [helper.make_opsetid(domain.replace("_", "."), version) for domain, version in opsets.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors or [])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), *imports])
    made.ir_version = 9
    return made


def packed(folder: Path, model: bytes, **given: Any) -> ModelPackage:
    return read_model(build_package(folder, engine="onnx", model=model, **given).path)


def refused(folder: Path, model: bytes, **given: Any) -> str:
    package = packed(folder, model, **given)
    with pytest.raises(PackageError) as caught:
        check(package)
    assert caught.value.place == "model.onnx"
    with pytest.raises(PackageError):
        load(package)
    return str(caught.value)


@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_same_answers_as_onnx_runtime(tmp_path: Path, task: str) -> None:
    data = onnx_model(columns_of(), task=task, classes=4, shift=0.25)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (expected,) = session.run(["scores"], {"rows": ROWS.astype(np.float32)})
    model = load(packed(tmp_path, data, task=task, classes=4))
    answer = model.predict(ROWS)
    if task == "multiclass":
        np.testing.assert_array_equal(answer["probabilities"], expected)
        np.testing.assert_array_equal(answer["prediction"], expected.argmax(axis=1))
    else:
        np.testing.assert_array_equal(answer["prediction"], expected[:, 0])


def test_a_classifier_of_the_ml_domain_with_labels_and_two_probabilities(tmp_path: Path) -> None:
    node = helper.make_node(
        "LinearClassifier", ["rows"], ["label", "probabilities"], domain="ai.onnx.ml",
        coefficients=[-1.0, -2.0, 1.0, 2.0], intercepts=[0.0, 0.0], classlabels_ints=[0, 1], post_transform="SOFTMAX",
    )  # fmt: skip
    outputs = [info("label", INT64, "n"), info("probabilities", FLOAT, "n", 2)]
    data = model_of([node], [info("rows", FLOAT, "n", 2)], outputs, ai_onnx_ml=3).SerializeToString()
    answer = load(packed(tmp_path, data)).predict(ROWS)["prediction"]
    np.testing.assert_allclose(answer, 1 / (1 + np.exp(-2 * (ROWS @ [1.0, 2.0]))), rtol=1e-5)


def test_a_double_matrix_is_read_as_double(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceSum", ["rows", "axis"], ["prediction"], keepdims=0)]
    tensors = [helper.make_tensor("axis", INT64, [1], [1])]
    shapes = [info("rows", TensorProto.DOUBLE, None, None)], [info("prediction", TensorProto.DOUBLE, "n")]
    data = model_of(nodes, *shapes, tensors).SerializeToString()
    answer = load(packed(tmp_path, data, task="regression")).predict(ROWS)
    np.testing.assert_allclose(answer["prediction"], ROWS.sum(axis=1), rtol=1e-15)


def external(model: Any, name: str = "weights") -> bytes:
    """Say that a tensor lies in a file of another folder."""
    tensor = next(one for one in model.graph.initializer if one.name == name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    content: bytes = model.SerializeToString()
    return content


def test_data_outside_the_file_is_refused(tmp_path: Path) -> None:
    found = refused(tmp_path, external(onnx.load_from_string(onnx_model(columns_of()))))
    assert "a tensor lies in another file; save the model with all its data in one file" in found


def test_data_outside_the_file_is_found_in_every_corner() -> None:
    tensor = helper.make_tensor("t", FLOAT, [1], [1.0])
    tensor.data_location = TensorProto.EXTERNAL
    constant = helper.make_node("Constant", [], ["c"], value=tensor)
    inner = helper.make_graph([constant], "inner", [], [info("c", FLOAT, 1)])
    branch = helper.make_node("If", ["b"], ["y"], then_branch=inner, else_branch=inner)
    sparse = helper.make_sparse_tensor(tensor, helper.make_tensor("i", INT64, [1], [0]), [3])
    function = helper.make_function("", "Own", ["x"], ["c"], [constant], [helper.make_opsetid("", 17)])
    rows = [info("rows", FLOAT, "n", 2)]
    with_function = model_of([], rows, [])
    with_function.functions.append(function)
    with_sparse = model_of([], rows, [])
    with_sparse.graph.sparse_initializer.append(sparse)
    for model in (model_of([constant], rows, []), model_of([branch], rows, []), with_function, with_sparse):
        with pytest.raises(OnnxModelError, match="lies in another file"):
            check_model(model.SerializeToString())


@pytest.mark.parametrize("domain", ["com.example", "com.microsoft", "ai.onnx.preview.training"])
def test_an_operator_outside_the_standard_is_refused(tmp_path: Path, domain: str) -> None:
    node = helper.make_node("Gelu", ["rows"], ["prediction"], domain=domain)
    shapes = [info("rows", FLOAT, "n", 2)], [info("prediction", FLOAT, "n", 2)]
    hidden = model_of([node], *shapes)  # ONNX Runtime knows some domains that no model imports
    assert f"the operator 'Gelu' of the domain '{domain}'" in refused(tmp_path / "a", hidden.SerializeToString())
    declared = model_of([], *shapes)
    declared.opset_import.append(helper.make_opsetid(domain, 1))
    assert f"operators of the domain '{domain}'" in refused(tmp_path / "b", declared.SerializeToString())


@pytest.mark.parametrize(("opset", "says"), [(5, "opset 5 of ai.onnx; opsets from 7 on"), (999, "its opset is newer")])
def test_an_opset_that_is_not_run_is_refused(tmp_path: Path, opset: int, says: str) -> None:
    found = refused(tmp_path, onnx_model(columns_of(), opset=opset))
    assert says in found and "[opset]" in found and "/onnxruntime_src" not in found


@pytest.mark.parametrize(
    ("inputs", "output", "says"),
    [
        ([("a", FLOAT, "n", 2), ("b", FLOAT, "n", 2)], ("y", FLOAT, "n", 2), "one input is needed"),
        ([("a", INT64, "n", 2)], ("y", INT64, "n", 2), "one input is needed"),
        ([("a", FLOAT, 1, 2)], ("y", FLOAT, 1, 2), "free first dimension"),
        ([("a", FLOAT, "n", 3)], ("y", FLOAT, "n", 3), "reads 3 columns, the header's features make 2"),
    ],
)
def test_another_input_than_one_matrix_is_refused(tmp_path: Path, inputs: Any, output: Any, says: str) -> None:
    nodes = [helper.make_node("Identity", ["a"], ["y"])]
    data = model_of(nodes, [info(*one) for one in inputs], [info(*output)]).SerializeToString()
    found = refused(tmp_path, data)
    assert says in found and "[signature]" in found


def test_scores_of_another_width_or_without_a_name_are_refused(tmp_path: Path) -> None:
    rows, wide = [info("rows", FLOAT, "n", 2)], [info("y", FLOAT, "n", 2)]
    same = model_of([helper.make_node("Identity", ["rows"], ["y"])], rows, wide).SerializeToString()
    found = refused(tmp_path / "a", same, task="regression")
    assert "answers 2 numbers per row where the task 'regression' has 1" in found
    found = refused(tmp_path / "b", same, task="multiclass", classes=3)
    assert "answers 2 numbers per row where the task 'multiclass' has 3" in found
    nodes = [helper.make_node("Identity", ["rows"], [name]) for name in "yz"]
    two = model_of(nodes, rows, [info(name, FLOAT, "n", 2) for name in "yz"]).SerializeToString()
    assert "one output of floats must hold the scores; the model has y: tensor(float)" in refused(tmp_path / "c", two)


def test_a_list_of_maps_says_how_to_export_instead(tmp_path: Path) -> None:
    node = helper.make_node("ZipMap", ["rows"], ["maps"], domain="ai.onnx.ml", classlabels_int64s=[0, 1])
    kind = helper.make_map_type_proto(INT64, helper.make_tensor_type_proto(FLOAT, []))
    maps = helper.make_value_info("maps", helper.make_sequence_type_proto(kind))
    data = model_of([node], [info("rows", FLOAT, "n", 2)], [maps], ai_onnx_ml=3).SerializeToString()
    assert "zipmap=False" in refused(tmp_path, data)


@pytest.mark.parametrize(
    "data", [b"\x0b", b"\x3a\xff\xff\xff\xff\x0f", b"\x08" + b"\xff" * 12, b"\x00\x00", b"\x3a\x05x"]
)
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    with pytest.raises(OnnxModelError, match="not an ONNX model"):
        check_model(data)


def test_graphs_nested_without_end_are_refused() -> None:
    message = b""
    for _ in range(40):  # graph, node, attribute, graph ...
        for number in (6, 5, 1):
            message = bytes([number << 3 | 2]) + _size(message) + message
    with pytest.raises(OnnxModelError, match="nested deeper"):
        check_model(b"\x3a" + _size(message) + message)


def _size(message: bytes) -> bytes:
    size, found = len(message), []
    while size >= 0x80:
        found.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*found, size])
