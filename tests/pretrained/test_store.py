"""The cache of converted models."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kefu.errors import ModelCorrupt
from kefu.pretrained.store import MANIFEST, converted, sha256, verify


def write(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(b"w" * 3000)
    (folder / "config.json").write_text("{}")


def refuse(folder: Path) -> None:
    raise AssertionError(f"{folder} is converted a second time")


def test_a_model_is_converted_once(tmp_path: Path) -> None:
    folder = converted(tmp_path / "cache" / "m-v1", write)
    assert folder == tmp_path / "cache" / "m-v1"
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", MANIFEST, "weights.bin"]
    assert converted(folder, refuse) == folder


@pytest.mark.parametrize("damage", [b"w" * 2999, b"v" + b"w" * 2999])
def test_a_changed_file_is_named_with_the_mend(tmp_path: Path, damage: bytes) -> None:
    folder = converted(tmp_path / "m-v1", write)
    (folder / "weights.bin").write_bytes(damage)
    with pytest.raises(ModelCorrupt) as caught:
        converted(folder, refuse)
    assert str(folder / "weights.bin") in str(caught.value)
    assert f"Delete {folder} and run the command again" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    folder = converted(tmp_path / "m-v1", write)
    (folder / "weights.bin").unlink()
    with pytest.raises(ModelCorrupt, match=re.escape(f"{folder / 'weights.bin'} is missing. Delete {folder}")):
        converted(folder, refuse)


@pytest.mark.parametrize("manifest", [None, "not json"])
def test_a_folder_without_its_digests_is_not_trusted(tmp_path: Path, manifest: str | None) -> None:
    folder = converted(tmp_path / "m-v1", write)
    (folder / MANIFEST).unlink() if manifest is None else (folder / MANIFEST).write_text(manifest)
    with pytest.raises(ModelCorrupt, match=re.escape(f"{folder / MANIFEST} cannot be read. Delete {folder}")):
        converted(folder, refuse)


def test_a_failed_conversion_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        write(folder)
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        converted(tmp_path / "m-v1", fail)
    assert [p.name for p in tmp_path.iterdir() if p.suffix != ".lock"] == []
    assert converted(tmp_path / "m-v1", write).is_dir()  # and the next try succeeds


_RACER = """
import sys, time
from pathlib import Path
from kefu.pretrained.store import converted

def slowly(folder):
    with open(sys.argv[2], "a") as log:
        log.write("converted\\n")
    time.sleep(0.5)
    (folder / "weights.bin").write_bytes(b"w" * 1000)

print(converted(Path(sys.argv[1]), slowly))
"""


def test_two_processes_at_once_convert_once(tmp_path: Path) -> None:
    folder, log = tmp_path / "m-v1", tmp_path / "log"
    command = [sys.executable, "-c", _RACER, str(folder), str(log)]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [racer.communicate(timeout=60)[0].strip() for racer in racers] == [str(folder)] * 2
    assert log.read_text() == "converted\n"
    assert json.loads((folder / MANIFEST).read_text()) == {"weights.bin": sha256(folder / "weights.bin")}


def test_verify_compares_digests(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"abc")
    verify(file, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "Mend it.")
    with pytest.raises(ModelCorrupt, match=r"has sha256 ba7816bf8f01…, expected 000000000000…\. Mend it\."):
        verify(file, "0" * 64, "Mend it.")
