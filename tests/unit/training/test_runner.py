"""The training child: how its death reaches the parent."""

from __future__ import annotations

import pytest

from rung.core.errors import BackendError
from rung.training.runner import _launch


def test_a_child_that_dies_is_an_error_with_its_exit_code_and_last_words(tmp_path):
    (tmp_path / "job.json").write_text("{", "utf-8")
    with pytest.raises(BackendError) as caught:
        _launch(tmp_path, lambda line: None)
    assert caught.value.code == "E3020"
    assert caught.value.problems[0].values["exit"] == 1
    assert "JSONDecodeError" in str(caught.value)
    assert (tmp_path / "child.log").is_file()
