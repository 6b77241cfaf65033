"""A running Rasa server is switched over HTTP, and believed only when it names the new model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kefu.errors import ModelError
from kefu.feedback.server import switch


def test_switch_and_verify(rasa_server: Any, tmp_path: Path) -> None:
    done = switch(tmp_path / "new.tar.gz", rasa_server.url + "/", "secret")
    assert done.state == "switched"
    assert rasa_server.puts == [("/model?token=secret", {"model_file": str(tmp_path / "new.tar.gz")})]


def test_a_server_that_is_not_running_is_fine(rasa_server: Any, tmp_path: Path) -> None:
    url = rasa_server.url
    rasa_server.close()
    done = switch(tmp_path / "new.tar.gz", url)
    assert done.state == "not running"
    assert "new.tar.gz" in done.message


def test_a_server_that_goes_on_with_the_old_model_is_caught(rasa_server: Any, tmp_path: Path) -> None:
    rasa_server.obeys = False
    with pytest.raises(ModelError, match=r"still runs 'old\.tar\.gz'"):
        switch(tmp_path / "new.tar.gz", rasa_server.url)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (401, {"reason": "NotAuthenticated"}, "KEFU_RASA_TOKEN"),
        (404, None, "--enable-api"),
        (400, {"message": "Agent with name 'x' could not be loaded."}, "400, Agent with name 'x' could not be loaded"),
        (500, None, "500"),
    ],
)
def test_refusals_say_what_to_do(rasa_server: Any, tmp_path: Path, status: int, body: Any, message: str) -> None:
    rasa_server.answer = (status, body)
    with pytest.raises(ModelError, match=message) as error:
        switch(tmp_path / "new.tar.gz", rasa_server.url, "secret")
    assert "secret" not in str(error.value)


def test_a_bad_url_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="did not load"):
        switch(tmp_path / "new.tar.gz", "nonsense")
