# make demo | chat | train | test | lint | format | stop | clean     e.g. make demo PORT=5006 HOST=0.0.0.0
PORT ?= 5005
ACTIONS_PORT ?= 5055
HOST = 127.0.0.1
MODEL = models
TESTS =

python := .venv/bin/python
export TF_CPP_MIN_LOG_LEVEL ?= 2
export SQLALCHEMY_SILENCE_UBER_WARNING ?= 1
export RASA_TELEMETRY_ENABLED ?= false

.DEFAULT_GOAL := help
.PHONY: help setup demo chat train test lint format stop clean

help:
	@echo "make demo    set up, train if needed, start everything, print the address of the chat page"
	@echo "make chat    the same in the terminal"
	@echo "make train   train a new model into models/"
	@echo "make test    set up, then every test this machine can run (TESTS=tests/channels for some)"
	@echo "make lint    ruff, mypy, import-linter      make format   ruff's formatter"
	@echo "make stop    stop a demo that runs elsewhere  make clean    caches and logs"

setup:
	@scripts/setup.sh

demo: setup
	@.venv/bin/kefu demo --port $(PORT) --actions-port $(ACTIONS_PORT) --host $(HOST) --model $(MODEL)

chat: setup
	@.venv/bin/kefu demo --terminal --port $(PORT) --actions-port $(ACTIONS_PORT) --model $(MODEL)

train: setup
	$(python) -m rasa train

test: setup
	$(python) -m pytest $(TESTS)

lint: setup
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy --strict kefu
	.venv/bin/lint-imports

format: setup
	$(python) -m ruff check --fix .
	$(python) -m ruff format .

stop: setup
	@.venv/bin/kefu demo --stop

clean:
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .rasa var/log
	find . -name __pycache__ -not -path './.venv/*' -not -path './.tools/*' -prune -exec rm -rf {} +
