"""The repository as README promises it, and what a command costs before it does anything."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = ["README.md", "README.zh.md", "Makefile", "pyproject.toml", "requirements.lock", ".python-version"]
FILES += ["config.yml", "domain.yml", "credentials.yml", "endpoints.yml"]
FOLDERS = ["data/nlu", "data/rules", "data/dialogues", "data/knowledge", "data/shop"]
FOLDERS += ["components", "actions", "kefu", "console", "tests", "benchmarks", "docs"]
HEAVY = ("torch", "tensorflow", "transformers", "rasa", "rasa_sdk", "spacy", "onnxruntime", "sklearn")
# Modules that are nothing without a heavy library; they are imported when a command runs, never before.
ALLOWED = {
    "kefu.text_classifier.model": {"torch"},
    "kefu.text_classifier.trainer": {"torch"},
    "kefu.text_classifier.training": {"torch"},
    "kefu.text_classifier.export": {"torch"},
    "kefu.text_classifier.losses": {"torch"},
    "kefu.text_classifier.optimisation": {"torch"},
    "kefu.text_classifier.restore": {"torch"},
    "kefu.text_classifier.search": {"torch"},
    "kefu.text_classifier.attribution": {"torch"},
    "kefu.strategy.network": {"torch"},
    "kefu.strategy.training": {"torch"},
    "kefu.generation.decoder": {"torch"},
    "kefu.generation.optimisation": {"torch"},
    "kefu.generation.prefix": {"torch"},
    "kefu.generation.training": {"torch", "transformers"},
    "kefu.rasa_bridge": set(HEAVY),
}


@pytest.mark.parametrize("path", [*FILES, *FOLDERS])
def test_what_rasa_users_expect_is_where_they_expect_it(path: str) -> None:
    found = ROOT / path
    assert found.is_file() if path in FILES else found.is_dir()


def test_the_python_version_is_rasas() -> None:
    assert (ROOT / ".python-version").read_text().strip().startswith("3.10")


@pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])
def test_paths_in_the_readme_exist(readme: str) -> None:
    text = (ROOT / readme).read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w.-]+(?:/[\w.-]+)*/?)`", text)) | set(re.findall(r"\]\(([\w./-]+)\)", text))
    paths = {n for n in named if "/" in n or n.endswith((".yml", ".md", ".toml", ".py"))}
    assert paths
    made_up = {p for p in paths if re.search(r"[A-Z]{3,}|意图", p.removesuffix(".md").removesuffix(".zh"))} - {readme}
    hub_ids = {p for p in paths if p.count("/") == 1 and not (ROOT / p.split("/")[0]).exists()}
    missing = sorted(
        p for p in paths - made_up - hub_ids if not (ROOT / p).exists() and not p.startswith(("var", "models"))
    )
    assert missing == []


def test_no_registry_is_named() -> None:
    """Where packages come from is the business of the machine that installs them."""
    hosts = ["pypi" + ".org", "files.python" + "hosted.org", "registry.npm" + "js.org", "deb." + "debian.org"]
    hosts += ["download.py" + "torch.org", "registry.yarn" + "pkg.com", "security." + "debian.org"]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no git checkout, so there are no tracked files")
    naming = []
    for name in filter(None, listed.stdout.split("\0")):
        file = ROOT / name
        content = file.read_bytes() if file.is_file() else b""
        naming += [(name, host) for host in hosts if host.encode() in content]
    assert naming == []


def run(code: str) -> str:
    """What ``code`` prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "command", [["--help"], ["benchmark", "nlu", "--help"], ["evaluate", "nlu", "--help"], ["explain", "--help"]]
)
def test_help_imports_no_models(command: list[str]) -> None:
    code = f"""
import json, sys
sys.argv = ["kefu", *{command!r}]
from kefu.cli import main
try:
    main()
except SystemExit as done:
    assert not done.code, done.code
print(json.dumps(sorted(m for m in {HEAVY!r} if m in sys.modules)))
"""
    *help_text, loaded = run(code).strip().split("\n")
    assert json.loads(loaded) == []
    assert any("Usage" in line for line in help_text)


def test_modules_import_quickly() -> None:
    """In one process, light ones first: none but the few named pulls in a library that takes seconds."""
    names = sorted(
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for p in (ROOT / "kefu").rglob("*.py")
    )
    light = [n for n in names if n not in ALLOWED]
    code = f"""
import importlib, json, sys
found = {{}}
for name in {light!r}:
    before = set(sys.modules)
    importlib.import_module(name)
    new = [m for m in {HEAVY!r} if m in sys.modules and m not in before]
    if new:
        found[name] = new
print(json.dumps(found))
"""
    assert json.loads(run(code)) == {}
