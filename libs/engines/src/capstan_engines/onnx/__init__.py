"""Engine `onnx`: ONNX models of standard operators, through ONNX Runtime on the CPU."""
