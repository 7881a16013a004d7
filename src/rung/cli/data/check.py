"""`rung data check`: how good the rows are, which to look at first, and what more of them would bring."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli import commands
from rung.cli.options import AsJson, OwnLang
from rung.cli.spoken import asked_language, own_language, say
from rung.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rung.core.task import Language
    from rung.data.quality.record import Look, Quality
    from rung.experiment.inspecting.material import Material

ENCODERS = ("auto", "minilm", "tfidf")
PAGE = "quality.html"


@dataclass(frozen=True)
class Checked:
    """A check and where it was written."""

    quality: Quality
    folder: Path


def check_quality(
    where: str | Path = Path("task.yaml"),
    *,
    out: Path | None = None,
    encoder: str = "auto",
    quick: bool = False,
    language: Language | None = None,
    progress: Callable[[float, float, str], None] | None = None,
) -> Checked:
    """Measure the rows of a task.yaml, a data set ('datasets/desk', 'datasets/desk@1a2b') or a file, and write what was found.

    `out`: folder for quality.{json,html,md}, rows.jsonl and test-rows.jsonl; `quality/` beside the task, in the data set or
    `<file>-quality/` when absent. `encoder`: 'auto', 'minilm', 'tfidf' or 'folder:PATH'. Raises UsageError E2880 for another
    encoder, E1305 for a file that is not there, and as reading the rows does.
    """
    from rung.experiment.inspecting.inspect import Settings, inspect_quality
    from rung.models.embedded import cache_folder

    if encoder not in ENCODERS and not encoder.startswith("folder:"):
        raise UsageError("E2880", value=encoder, known=", ".join(ENCODERS))
    material, home = _open(where)
    found = inspect_quality(material, Settings(encoder, quick, cache_folder()), progress)
    folder = out or home
    _write(found.quality, {"rows.jsonl": found.rows, "test-rows.jsonl": found.test_rows}, folder, language)
    return Checked(found.quality, folder)


def _open(where: str | Path) -> tuple[Material, Path]:
    """The rows, and the folder that the result goes to when nobody names one."""
    from rung.cli.data.rows import open_rows
    from rung.data.versions.dataset import Reference, is_dataset
    from rung.experiment.inspecting.material import file_material, record_material, task_material

    reference = Reference.parse(where)
    if is_dataset(reference.folder):
        rows = open_rows(where)
        return record_material(reference.folder.resolve().name, rows.records), reference.folder / "quality"
    path = Path(where)
    if not path.is_file():
        raise UsageError("E1305", path=path)
    if path.suffix.lower() in {".yaml", ".yml"}:
        return task_material(path), path.parent / "quality"
    home = path.with_name(f"{path.name.split('.')[0]}-quality")
    material = file_material(path)
    return (material if material else record_material(path.stem, open_rows(path).records)), home


def _write(quality: Quality, rows: dict[str, tuple[Look, ...]], folder: Path, language: Language | None) -> None:
    """Pages in both languages, the record, and all rows to look at."""
    from json import dumps

    from rung.core.durable import write_json, write_text
    from rung.reporting.page import in_both
    from rung.reporting.quality import quality_page
    from rung.reporting.quality_text import quality_markdown

    first: Language = language or quality.language
    pages = in_both(folder / PAGE, first)
    for spoken, path in pages.items():
        other = next(page.name for page in pages.values() if page != path)
        write_text(path, quality_page(quality, spoken, other=other))
    for spoken, path in in_both(folder / "quality.md", first).items():
        write_text(path, quality_markdown(quality, spoken))
    for name, looks in rows.items():
        lines = [dumps(look.model_dump(mode="json"), ensure_ascii=False) + "\n" for look in looks]
        write_text(folder / name, "".join(lines))
    write_json(folder / "quality.json", quality.model_dump(mode="json"))


def check_command(
    where: Annotated[
        str,
        typer.Argument(
            help="a task.yaml, a data set's folder (or FOLDER@VERSION), or a file of rows", metavar="TASK|DATASET|FILE"
        ),
    ] = "task.yaml",
    out: Annotated[
        Path | None, typer.Option(help="folder for the result; quality/ beside the rows when absent")
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="sentence vectors: minilm (English), tfidf, folder:PATH; auto chooses by language")
    ] = "auto",
    quick: Annotated[bool, typer.Option("--quick", help="TF-IDF, and one draw of the learning curve: seconds")] = False,
    lang: OwnLang = None,
    json: AsJson = False,
) -> None:
    """Measure the quality of data: labels and answers, variety, amount, and the rows to look at first.

    Nothing is changed. Rows of test are listed apart.

    Example: **rung data check task.yaml --out quality/**
    """
    from rung.cli.screen import Screen
    from rung.reporting.quality_text import quality_text

    language = asked_language(lang) or own_language()
    with Screen(language) as screen:
        bar = screen.bar("check")
        checked = check_quality(
            where, out=out, encoder=encoder, quick=quick, language=asked_language(lang), progress=bar.update
        )
    if json:
        print(commands.to_json(checked.quality.model_dump(mode="json")))
    else:
        print(quality_text(checked.quality, language).rstrip("\n"))
    say(str(checked.folder / PAGE))
