"""What stands before ONNX Runtime: bytes are read, bounded and allowed here, or refused by name."""

from edge.scoring.onnx_gate.check import MOST_MODEL_BYTES, ModelSummary, check_model

__all__ = ["MOST_MODEL_BYTES", "ModelSummary", "check_model"]
