"""`rung index` on a base in PostgreSQL: the same commands, the same words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from letters import LETTERS, register_letters
from typer.testing import CliRunner, Result

from rung.cli.index import app
from rung.core.errors import UsageError


def ran(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    return result


def test_every_command_takes_a_base_of_the_store(
    postgres_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_letters(monkeypatch)
    monkeypatch.setenv("RUNG_LANG", "en")
    monkeypatch.setenv("RUNG_POSTGRES", postgres_server)
    monkeypatch.chdir(tmp_path)
    docs, base = tmp_path / "docs", f"postgres:{tmp_path.name}"
    docs.mkdir()
    (docs / "rent.md").write_text("The rent is due on the first day of the month.")
    (docs / "pay.md").write_text("The rent allowance of directors is secret.")
    (docs / "access.yaml").write_text('access: {"pay.md": [hr]}')

    def found(*more: str) -> set[str]:
        rows = json.loads(ran("search", base, "when is the rent due", "--json", *more).stdout)
        return {row["id"] for row in rows}

    assert f"{base}" in ran("build", docs, "-o", base, "--encoder", LETTERS).stdout
    assert found() == {"rent.md#1", "pay.md#1"}
    assert found("--seen-by", "") == {"rent.md#1"}
    (docs / "new.md").write_text("The rent is paid late.")
    assert json.loads(ran("update", base, docs, "--json").stdout)["added"] == 1
    assert json.loads(ran("delete", base, "rent.md", "--json").stdout)["deleted"] == 1
    assert found() == {"new.md#1", "pay.md#1"}
    assert found("--version", "1", "--mode", "lexical") == {"rent.md#1", "pay.md#1"}
    assert [row["current"] for row in json.loads(ran("versions", base, "--json").stdout)] == [False, False, True]
    ran("rollback", base, "--to", 2)
    assert len(found()) == 3
    ran("compact", base)
    assert "2 versions removed" in ran("prune", base, "--keep", 1).stdout
    assert len(found()) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["docs"], "nothing is left in the folder"
    with pytest.raises(UsageError, match="E2785"):
        CliRunner().invoke(app, ["versions", "postgres:"], catch_exceptions=False)
