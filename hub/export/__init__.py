"""Trained models to ONNX graphs that an edge runs: exact on every float32 row, or refused by name."""

from hub.export.booster import export_booster

__all__ = ["export_booster"]
