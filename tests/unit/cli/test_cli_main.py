"""The command line: exit codes, what goes where, both languages, and help that teaches."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from small_task import write_task

from rung.cli import commands, main
from rung.core.errors import (
    BackendError,
    DataError,
    InterruptedRun,
    RungError,
    TargetNotMet,
    UsageError,
    WriteError,
)
from rung.core.evaluation import Answer
from rung.core.model import Failure
from rung.store.records import Decision, Text
from rung.store.runs import RunFolder

COMMANDS = typer.main.get_command(main.app).commands  # type: ignore[attr-defined]
WAITING = """
import sys, time
from rung.cli import commands, main
def wait(*_, **__):
    for word in sys.argv.pop().split(","):
        try:
            print(word, flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            if word == "last":
                raise
commands.check = wait
main.main()
"""


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Said]:
    """The command as a user calls it, in a folder of its own."""
    for name in ("RUNG_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["rung", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main.main()
        said = capsys.readouterr()
        return Said(int(caught.value.code or 0), said.out, said.err)

    return call


def decision(verdict: str) -> Decision:
    return Decision.model_validate(
        {
            "mode": "compare",
            "verdict": verdict,
            "winner": None,
            "metric": "accuracy",
            "margin": 0.02,
            "draws": 0,
            "seed": 0,
            "n": 0,
            "groups": 0,
            "standings": (),
            "reason": Text(en="Because.", zh="因为。"),
        }
    )


# A user's mistakes


def test_every_mistake_of_a_task_file_is_told_at_once_without_a_traceback(
    rung: Callable[..., Said], tmp_path: Path
) -> None:
    write_task(tmp_path, instrution="typo", methods=["promt"], margin=2, data={"examples": "question.csv"})
    said = rung("check")
    assert (said.code, said.out) == (2, "")
    for code in ("E1210", "E1214", "E1222", "E1230"):
        assert f"[{code}]" in said.err
    assert "task.yaml:" in said.err
    assert "Did you mean 'prompt'?" in said.err
    assert "Did you mean 'questions.csv'?" in said.err
    assert "\nhint: " in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("command", ["check", "plan", "run"])
def test_a_task_file_that_is_not_there(rung: Callable[..., Said], command: str) -> None:
    said = rung(command, "nowhere.yaml")
    assert (said.code, said.out) == (2, "")
    assert "nowhere.yaml" in said.err
    assert "rung init" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("text", ["{{{", "just words", "\tx: 1", "", "a: &b 1"])
def test_what_is_no_task_file_at_all(rung: Callable[..., Said], tmp_path: Path, text: str) -> None:
    (tmp_path / "task.yaml").write_text(text)
    said = rung("run")
    assert (said.code, said.out) == (2, "")
    assert "Traceback" not in said.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "cats"),
        ("report", "nowhere"),
        ("show", "nowhere"),
        ("ask", "q", "--run", "nowhere"),
        ("init", "no.csv"),
    ],
)
def test_other_mistakes_are_told_with_a_next_step(rung: Callable[..., Said], arguments: tuple[str, ...]) -> None:
    said = rung(*arguments)
    assert said.code == 2
    assert "[E13" in said.err
    assert "hint: " in said.err
    assert "Traceback" not in said.err


def test_a_language_that_there_is_not(rung: Callable[..., Said], tmp_path: Path) -> None:
    write_task(tmp_path)
    said = rung("run", "--lang", "fr")
    assert (said.code, "E1309" in said.err) == (2, True)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("variable", ["RUNG_LANG", "LC_ALL", "LANG"])
def test_mistakes_are_told_in_the_language_of_the_user(
    rung: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "zh_CN.UTF-8")
    said = rung("check", "nowhere.yaml")
    assert said.code == 2
    assert "无法读取配置文件“nowhere.yaml”" in said.err
    assert "提示：" in said.err
    assert "hint" not in said.err


def test_the_users_own_setting_goes_before_the_systems(
    rung: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    monkeypatch.setenv("RUNG_LANG", "en")
    assert "cannot be read" in rung("check", "nowhere.yaml").err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("E1301", path="x"), 2),
        (DataError("E2401"), 3),
        (BackendError("E3109", model="m"), 4),
        (InterruptedRun("E4001", run="x"), 5),
        (TargetNotMet("E6001"), 6),
        (WriteError("E5002", path="x"), 7),
    ],
)
def test_each_kind_of_error_has_its_exit_code(
    rung: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, error: RungError, code: int
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(commands, "check", fail)
    said = rung("check")
    assert (said.code, said.out) == (code, "")
    assert said.err.splitlines() == list(error.lines())


def test_a_bug_of_ours_is_not_hidden(rung: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(commands, "check", fail)
    with pytest.raises(ZeroDivisionError):
        rung("check")


# The verdict


@pytest.mark.parametrize(
    ("verdict", "code"),
    [("winner", 0), ("tie", 0), ("unresolved", 0), ("nothing_to_compare", 0), ("target_not_met", 6)],
)
@pytest.mark.parametrize("command", ["run", "compare"])
def test_a_target_that_was_not_met_can_be_gated_on(
    rung: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, verdict: str, code: int
) -> None:
    folder = RunFolder(tmp_path / "runs" / "x")
    folder.write_decision(decision(verdict))
    monkeypatch.setattr(commands, command, lambda *_, **__: folder)
    monkeypatch.setattr(commands, "show", lambda *_, **__: "the verdict")
    said = rung(command, "a.jsonl")
    assert (said.code, said.out) == (code, "the verdict\n")
    assert "report.html" in said.err
    assert ("E6001" in said.err) == (code == 6)


def test_a_run_prints_its_verdict_and_goes_on_from_a_finished_one(
    rung: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(commands, "report", lambda *_, **__: {})
    write_task(tmp_path)
    first, second = rung("run"), rung("run")
    assert (first.code, second.code, first.out) == (0, 0, second.out)
    assert "Plain prompt is the only rung with a result" in first.out
    assert "prompt" in first.err
    shown = rung("show", "--lang", "zh")
    assert "只有“仅用提示词”有测试结果" in shown.out
    assert json.loads(rung("show", "--json").out)
    assert json.loads(rung("run", "--json").out) == json.loads(rung("show", "--json").out)


def test_check_and_plan_spend_nothing(rung: Callable[..., Said], tmp_path: Path) -> None:
    write_task(tmp_path, methods=["prompt", "rag"])
    assert json.loads(rung("check", "--json").out)["splits"].keys() == {"train", "dev", "test"}
    assert rung("check").out.startswith("desk: train ")
    planned = json.loads(rung("plan", "--json").out)
    assert [(cell["method"], cell["blockers"]) for cell in planned["cells"]] == [("prompt", []), ("rag", ["E2404"])]
    said = rung("plan")
    assert "cannot run: The task has no documents to retrieve from." in said.out
    assert not (tmp_path / "runs").exists()


def test_what_check_finds_is_told_in_the_language_of_the_user(
    rung: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_task(tmp_path)
    monkeypatch.setenv("RUNG_LANG", "zh")
    said = rung("check")
    assert said.out.startswith("desk：train ")
    assert "hint:" not in said.out


def test_init_writes_a_task_file_that_check_accepts_and_overwrites_none(
    rung: Callable[..., Said], tmp_path: Path
) -> None:
    write_task(tmp_path)
    (tmp_path / "task.yaml").unlink()
    said = rung("init", "questions.csv")
    assert (said.code, said.out.strip()) == (0, "task.yaml")
    assert rung("check").code == 0
    before = (tmp_path / "task.yaml").read_text("utf-8")
    again = rung("init", "questions.csv")
    assert (again.code, "E1306" in again.err) == (2, True)
    assert (tmp_path / "task.yaml").read_text("utf-8") == before
    assert rung("init", "questions.csv", "--force").code == 0


# Asking


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("How", "much", "is", "x=2?"), "How much is x=2?"),
        (("title=Heating", "body=It is cold = bad"), {"title": "Heating", "body": "It is cold = bad"}),
        (("Is 1+1=2?",), "Is 1+1=2?"),
        (("two words=1", "b=2"), "two words=1 b=2"),
    ],
)
def test_a_question_is_its_words_or_its_fields(
    rung: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], expected: object
) -> None:
    asked: list[object] = []

    def ask(question: object, **_: Any) -> Answer:
        asked.append(question)
        return Answer("asked", "ten days", confidence=0.5, citations=("a.md#1",))

    monkeypatch.setattr(commands, "ask", ask)
    said = rung("ask", *arguments)
    assert asked == [expected]
    assert (said.code, said.out) == (0, "ten days\n")
    assert "source: a.md#1" in said.err


def test_no_answer_is_an_unavailable_backend_and_no_text(
    rung: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Answer("asked", "", failure=Failure("timeout", "30 s"))
    monkeypatch.setattr(commands, "ask", lambda *_, **__: failed)
    said = rung("ask", "q")
    assert (said.code, said.out) == (4, "")
    assert "timeout: 30 s" in said.err
    for_programs = rung("ask", "q", "--json")
    assert (for_programs.code, json.loads(for_programs.out)["failure"]["kind"]) == (4, "timeout")


# Lists and help


@pytest.mark.parametrize("kind", ["models", "methods", "metrics"])
def test_lists_are_for_people_and_for_programs(rung: Callable[..., Said], kind: str) -> None:
    found = json.loads(rung("list", kind, "--json").out)
    assert len(found) > 4
    assert all(part["about"] for part in found)
    assert [line.split()[0] for line in rung("list", kind).out.splitlines()] == [part["name"] for part in found]


def test_help_says_where_to_begin_and_what_each_command_does(rung: Callable[..., Said]) -> None:
    said = rung("--help")
    assert said.code == 0
    for words in ("rung init questions.csv", "rung run", *COMMANDS):
        assert words in said.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_all_its_options(rung: Callable[..., Said], name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert command.help.splitlines()[0].endswith(".")
    unexplained = [p.name for p in command.params if p.name != "help" and not getattr(p, "help", None)]
    assert unexplained == []
    said = rung(name, "--help")
    assert said.code == 0
    assert command.help.splitlines()[0][:40] in said.out


def test_an_unknown_command_or_option_is_a_usage_error(rung: Callable[..., Said]) -> None:
    assert rung("runn").code == 2
    assert rung("run", "--colour").code == 2


def python(*arguments: str, **changes: Any) -> subprocess.Popen[str]:
    environment = os.environ | {"RUNG_LANG": "en"}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, *arguments], stdout=pipe, stderr=pipe, text=True, env=environment, **changes
    )


def test_help_loads_no_heavy_library() -> None:
    heavy = "{'torch', 'transformers', 'peft', 'accelerate', 'sklearn', 'altair', 'usearch', 'numpy', 'pydantic'}"
    script = (
        "import sys\nfrom rung.cli import main\nsys.argv = ['rung', '--help']\n"
        f"try:\n    main.main()\nfinally:\n    print('loaded:', sorted({heavy} & set(sys.modules)))\n"
    )
    process = python("-c", script)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.splitlines()[-1] == "loaded: []"


# Signals and pipes


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_stops_gently_and_says_that_it_can_go_on(number: signal.Signals) -> None:
    process = python("-c", WAITING, "check", "last")
    assert process.stdout is not None
    assert process.stdout.readline() == "last\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert process.returncode == InterruptedRun.exit_code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_ends_at_once(number: signal.Signals, code: int) -> None:
    process = python("-c", WAITING, "check", "first,last")
    assert process.stdout is not None
    for expected in ("first\n", "last\n"):
        assert process.stdout.readline() == expected
        started = time.monotonic()
        process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == code
    assert time.monotonic() - started < 10


def test_a_reader_that_leaves_is_no_error() -> None:
    process = python("-c", "from rung.cli.main import main; main()", "list")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
