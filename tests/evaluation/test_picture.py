"""A picture comes out, and it shows what was counted."""

from __future__ import annotations

from pathlib import Path

from kefu.evaluation.picture import confusion_matrix


def test_a_confusion_matrix_is_drawn(tmp_path: Path) -> None:
    file = tmp_path / "new" / "matrix.png"
    confusion_matrix([("inform", "inform"), ("inform", "suggest"), ("greet", "greet")], ["greet", "inform"], file)
    assert file.read_bytes().startswith(b"\x89PNG")
    blank = tmp_path / "blank.png"
    confusion_matrix([], ["greet", "inform"], blank)
    assert blank.read_bytes() != file.read_bytes()
