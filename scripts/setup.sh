#!/usr/bin/env bash
# Builds .venv from requirements.lock: finds Python 3.10, finds or fetches uv, installs, checks. Safe to run again.
set -euo pipefail
cd "$(dirname "$0")/.."
uv_version=0.9.7   # the installer when the machine has none
mkdir -p var       # where endpoints.yml has Rasa keep the conversations

is_310() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10))' >/dev/null 2>&1; }

find_python() {
  local candidate
  if [ -n "${KEFU_PYTHON:-}" ] && ! is_310 "$KEFU_PYTHON"; then
    echo "setup: KEFU_PYTHON=$KEFU_PYTHON is not a Python 3.10, so another is looked for" >&2
  fi
  for candidate in "${KEFU_PYTHON:-}" python3.10 python3 python \
      "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.10.*/bin/python /opt/homebrew/bin/python3.10 /usr/local/bin/python3.10; do
    [ -n "$candidate" ] && is_310 "$candidate" && { "$candidate" -c 'import sys; print(sys.executable)'; return; }
  done
  # Any Python can fetch uv, and uv can fetch Python 3.10.
  local uv
  if uv=$(find_uv python3 2>/dev/null); then
    candidate=$("$uv" python find 3.10 2>/dev/null) || {
      echo "setup: no Python 3.10 on this machine, fetching one with uv" >&2
      candidate=$("$uv" python install 3.10 >&2 && "$uv" python find 3.10 2>/dev/null) || candidate=
    }
    [ -n "$candidate" ] && is_310 "$candidate" && { echo "$candidate"; return; }
  fi
  cat >&2 <<'MESSAGE'
kefu needs Python 3.10 (Rasa 3.6 runs on no newer one) and found none.
Install one of these ways, then run the command again:
  Debian/Ubuntu  apt-get install python3.10 python3.10-venv     macOS  brew install python@3.10
  pyenv          pyenv install 3.10                             uv     uv python install 3.10
Or name one yourself: KEFU_PYTHON=/path/to/python3.10 make setup
MESSAGE
  return 1
}

# A pyenv shim may stand on the PATH and still refuse to run, so it is the answer that counts.
find_uv() {
  if uv --version >/dev/null 2>&1; then echo uv; return; fi
  if [ ! -x .tools/bin/uv ]; then
    echo "setup: no uv on this machine, installing uv $uv_version into .tools" >&2
    "$1" -m venv .tools >&2 && .tools/bin/python -m pip install --quiet "uv==$uv_version" >&2 || return 1
  fi
  echo .tools/bin/uv
}

stamp=.venv/.kefu-setup
wanted="$(cat requirements.lock pyproject.toml | cksum)"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && is_310 .venv/bin/python; then
  exit 0
fi
python=$(find_python)
uv=$(find_uv "$python")
echo "setup: $("$python" --version) at $python"
echo "setup: installing about 250 packages, 7 GB on Linux (PyTorch for CUDA comes along); 1 to 5 minutes"
is_310 .venv/bin/python || "$uv" venv --quiet --clear --python "$python" .venv
"$uv" pip sync --python .venv/bin/python --require-hashes requirements.lock
"$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
echo "$wanted" > "$stamp"
echo "setup: done, the environment is .venv"
