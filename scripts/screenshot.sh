#!/usr/bin/env bash
# Takes docs/chat.png anew: the chat page on a phone with a sample conversation. Needs Chromium and a Chinese font.
set -euo pipefail
cd "$(dirname "$0")/.."
CHAT_SCREENSHOTS=docs .venv/bin/python -m pytest tests/console -q -k "test_screenshot and light"
