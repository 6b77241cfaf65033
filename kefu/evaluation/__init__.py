"""Measuring: figures of merit and the sets they are taken on."""

from kefu.evaluation.metrics import accuracy, expected_calibration_error, f1_by_label, macro_f1, percentile

__all__ = ["accuracy", "expected_calibration_error", "f1_by_label", "macro_f1", "percentile"]
