"""ONNX models on a node: what is let in, and how it is run."""
