"""Parts by name: what is listed is there, and what is not there is said with the nearest name."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

import pytest

from rung.core.errors import UsageError
from rung.core.registry import KINDS, Part, create, find, parts


@pytest.fixture
def fresh() -> Iterator[None]:
    """Entry points are looked up anew in the test, and again after it."""
    parts.cache_clear()
    yield
    parts.cache_clear()


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in parts(kind)])
def test_every_listed_part_is_there_and_says_what_it_is(kind: str, name: str) -> None:
    assert callable(find(kind, name))
    assert parts(kind)[name].about


def test_an_unknown_name_is_refused_with_the_nearest_and_all_known() -> None:
    with pytest.raises(UsageError) as caught:
        find("method", "fewshot")
    said = str(caught.value)
    assert caught.value.code == "E1101"
    assert "Did you mean 'few_shot'?" in said
    assert all(name in said for name in parts("method"))
    with pytest.raises(UsageError) as caught:
        find("method", "zzz")
    assert "Did you mean" not in str(caught.value)


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    part = Part("model", "far", "package_that_nobody_has.model:Model", extra="far")
    monkeypatch.setitem(parts("model"), "far", part)
    with pytest.raises(UsageError) as caught:
        create("model", "far")
    assert caught.value.code == "E1102"
    assert "package_that_nobody_has" in str(caught.value)
    assert "far" in str(caught.value)


def test_a_module_of_our_own_that_is_missing_is_a_bug_and_not_a_user_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(parts("model"), "gone", Part("model", "gone", "rung.models.gone:Gone"))
    with pytest.raises(ModuleNotFoundError):
        find("model", "gone")


@pytest.mark.usefixtures("fresh")
def test_another_package_adds_parts_and_cannot_replace_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    added = [metadata.EntryPoint(name, "collections:Counter", "rung.metrics") for name in ("tally", "accuracy")]
    monkeypatch.setattr(metadata, "entry_points", lambda group: added if group == "rung.metrics" else [])
    assert create("metric", "tally") == {}
    assert parts("metric")["tally"].about == "from collections"
    assert parts("metric")["accuracy"].target.startswith("rung.")
    assert "tally" not in parts("method")
