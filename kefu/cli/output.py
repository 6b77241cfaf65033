"""Standard output of commands with ``--json``: one object, whatever libraries print."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stdout_kept(wanted: bool = True) -> Iterator[None]:
    """Sends what libraries print to stderr, written through Python or not, so that stdout stays for the result."""
    if not wanted:
        yield
        return
    sys.stdout.flush()
    python, descriptor = sys.stdout, os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = python
        os.dup2(descriptor, 1)
        os.close(descriptor)
