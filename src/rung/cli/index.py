"""`rung index`: a knowledge base of documents, built, searched, kept up to date, taken back and tidied."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli import commands
from rung.cli.options import AsJson, OwnLang, SeenBy, labels_in
from rung.cli.spoken import asked_language, harmless, own_language, say, spoken

if TYPE_CHECKING:
    from rung.core.answer import Hit
    from rung.core.model import Encoder
    from rung.core.task import Language
    from rung.data.documents import DocumentsResult
    from rung.retrieval.base import Change
    from rung.retrieval.versions import Version

Progress = Callable[[float, float, str], None]
NO_ENCODER = "none"
_SHOWN = 20
_EXCERPT = 300

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Keep a knowledge base: documents made searchable by their words and by their meaning.\n\n"
    "Start with **rung index build handbook/ -o kb**, then **rung index search kb 'when is the rent due?'**",
)

BaseFolder = Annotated[
    Path, typer.Argument(help="the knowledge base's folder, or postgres:NAME in the shared store", metavar="BASE")
]
Workers = Annotated[
    int,
    typer.Option(help="processes that encode passages at the same time, each with its own copy of the encoder", min=1),
]
OwnEncoder = Annotated[str | None, typer.Option(help="folder:PATH, where an encoder of your own made the base")]
Documents = Annotated[Path, typer.Argument(help="a folder, a ZIP archive or a file", metavar="DOCS")]


def index_build(
    documents: Path,
    base: Path,
    *,
    encoder: str = "minilm",
    chunk_words: int = 120,
    workers: int = 1,
    progress: Progress | None = None,
) -> tuple[Change, DocumentsResult]:
    """Make a knowledge base of documents. Called again after it was stopped, it goes on where it was.

    `encoder`: a name as in task.yaml, or `none` for a base that is searched by words alone. `workers`: processes that encode.
    Raises as rung.retrieval.base.KnowledgeBase.update and rung.data.access.with_rules do, BackendError E3209.
    """
    recipe = {"chunk_words": chunk_words, "chunk_overlap": chunk_words // 6}
    with _encoding(encoder, workers) as made:
        return _updated(documents, base, made, recipe, False, progress)


def index_update(
    base: Path,
    documents: Path,
    *,
    remove_missing: bool = False,
    encoder: str | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> tuple[Change, DocumentsResult]:
    """Take new and changed documents into a base. `remove_missing`: what is not among them is deleted.

    `encoder`: `folder:PATH` where one of your own made the base. Raises UsageError E2739 without it.
    """
    from rung.retrieval.homes import encoder_name

    with _encoding(encoder_name(base, encoder), workers) as made:
        return _updated(documents, base, made, None, remove_missing, progress)


def index_delete(base: Path, ids: Sequence[str]) -> Change:
    """Take documents out of a base by their ids."""
    from rung.retrieval.homes import home_of

    return home_of(base).delete(ids)


def index_search(
    base: Path,
    question: str,
    *,
    k: int = 5,
    mode: str | None = None,
    version: int | None = None,
    encoder: str | None = None,
    seen_by: frozenset[str] | None = None,
    where: Mapping[str, Sequence[str]] | None = None,
) -> list[Hit]:
    """The best passages for a question, of a base or of an index in a run folder. `mode`: rrf | lexical | dense.

    `encoder`: `folder:PATH` where one of your own made the base.
    """
    from rung.retrieval.asking import MODES
    from rung.retrieval.homes import encoder_name, home_of

    if mode is not None and mode not in MODES:
        raise typer.BadParameter(", ".join(MODES), param_hint="--mode")
    name = "" if mode == "lexical" else encoder_name(base, encoder, version)
    # A base without vectors is searched by words; a search by meaning says what it lacks.
    lexical = mode == "lexical" or (mode is None and not name)
    index = home_of(base).open(_encoder(name), version)
    return index.search([question], k, mode="lexical" if lexical else mode or "rrf", seen_by=seen_by, where=where)[0]


def index_versions(base: Path) -> list[Version]:
    """The versions of a base that can be opened, the oldest first."""
    from rung.retrieval.homes import home_of

    return home_of(base).versions()


def index_rollback(base: Path, to: int | None = None) -> Version:
    """Serve an earlier version of a base again."""
    from rung.retrieval.homes import home_of

    return home_of(base).rollback(to)


def index_compact(base: Path) -> Version:
    """Put all segments of a base together."""
    from rung.retrieval.homes import home_of

    return home_of(base).compact()


def index_prune(base: Path, keep: int = 1) -> list[int]:
    """Remove old versions of a base, and every text that none of the others holds."""
    from rung.retrieval.homes import home_of

    return home_of(base).prune(keep)


def _encoder(name: str) -> Encoder | None:
    from rung.core.answer import create_encoder

    return None if name in {"", NO_ENCODER} else create_encoder(name)


@contextmanager
def _encoding(name: str, workers: int) -> Iterator[Encoder | None]:
    """The encoder of that name, in this process or in several."""
    if workers < 2 or name in {"", NO_ENCODER}:
        yield _encoder(name)
        return
    from functools import partial

    from rung.core.answer import create_encoder
    from rung.models.encoder_spread import SpreadEncoder

    with SpreadEncoder(partial(create_encoder, name), workers) as spread:
        yield spread


def _updated(
    documents: Path,
    base: Path,
    encoder: Encoder | None,
    recipe: Mapping[str, int] | None,
    remove_others: bool,
    progress: Progress | None,
) -> tuple[Change, DocumentsResult]:
    from rung.data.access import rules_path, with_rules
    from rung.data.documents import read_documents
    from rung.retrieval.homes import home_of, parsed_of

    home = home_of(base)
    home.claim()
    found = read_documents(documents, cache=parsed_of(base), skip=[rules_path(documents), base], progress=progress)
    found = with_rules(found, documents)
    return (
        home.update(found.documents, encoder, recipe=recipe, remove_others=remove_others, progress=progress),
        found,
    )


def build_command(
    documents: Documents,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="folder of the new knowledge base, or postgres:NAME", metavar="BASE")
    ],
    encoder: Annotated[
        str, typer.Option(help="minilm, folder:PATH, or none: searched by words alone, with nothing to load")
    ] = "minilm",
    chunk_words: Annotated[int, typer.Option(help="most words of a passage", min=20)] = 120,
    workers: Workers = 1,
    lang: OwnLang = None,
    json: AsJson = False,
) -> None:
    """Make a knowledge base of documents. Stopped, the same command goes on where it was.

    A file `access.yaml` in the folder of documents says who may see what, and what a search can be narrowed by:

        access:   {"hr/*": [hr, board]}
        metadata: {"hr/*": {department: hr}}

    Example: **rung index build handbook/ -o kb**
    """
    language = asked_language(lang) or own_language()
    with _bar(language) as progress:
        change, found = index_build(
            documents, out, encoder=encoder, chunk_words=chunk_words, workers=workers, progress=progress
        )
    _show_change(change, found, out, language, json)


def update_command(
    base: BaseFolder,
    documents: Documents,
    remove_missing: Annotated[
        bool, typer.Option("--remove-missing", help="delete the documents that are not in DOCS any more")
    ] = False,
    encoder: OwnEncoder = None,
    workers: Workers = 1,
    lang: OwnLang = None,
    json: AsJson = False,
) -> None:
    """Take new and changed documents in; only passages that the base does not hold are embedded.

    Example: **rung index update kb handbook/ --remove-missing**
    """
    language = asked_language(lang) or own_language()
    with _bar(language) as progress:
        change, found = index_update(
            base, documents, remove_missing=remove_missing, encoder=encoder, workers=workers, progress=progress
        )
    _show_change(change, found, base, language, json)


def delete_command(
    base: BaseFolder,
    ids: Annotated[list[str], typer.Argument(help="ids of documents, as a search shows them", metavar="ID...")],
    lang: OwnLang = None,
    json: AsJson = False,
) -> None:
    """Delete documents: they are not found any more from now on. Their text is on disk until **rung index prune**.

    Example: **rung index delete kb hr/pay-2019.pdf**
    """
    language = asked_language(lang) or own_language()
    change = index_delete(base, ids)
    _show_change(change, None, base, language, json)


def search_command(
    base: BaseFolder,
    question: Annotated[str, typer.Argument(help="what is asked", metavar="QUESTION")],
    k: Annotated[int, typer.Option("-k", help="passages to show", min=1)] = 5,
    mode: Annotated[str | None, typer.Option(help="rrf (both), lexical (words) or dense (meaning)")] = None,
    version: Annotated[int | None, typer.Option(help="another version than the current one", min=1)] = None,
    encoder: OwnEncoder = None,
    seen_by: SeenBy = None,
    where: Annotated[
        list[str] | None, typer.Option(help="only documents with this metadata; may be repeated", metavar="NAME=VALUE")
    ] = None,
    lang: OwnLang = None,
    json: AsJson = False,
) -> None:
    """Show the passages that are found for a question, best first.

    Example: **rung index search kb 'when is the rent due?' --seen-by hr,board --where year=2025**
    """
    language = asked_language(lang) or own_language()
    labels = labels_in(seen_by)
    wanted = _wanted(where or [])
    hits = index_search(base, question, k=k, mode=mode, version=version, encoder=encoder, seen_by=labels, where=wanted)
    if json:
        rows = [{"id": h.item.id, "score": h.score, "text": h.item.text, "payload": h.item.payload} for h in hits]
        print(commands.to_json(rows))
        return
    if not hits:
        say(spoken("index.nothing", language))
    for n, hit in enumerate(hits, 1):
        text = " ".join(harmless(hit.item.text).split())
        print(f"{n}. {harmless(hit.item.id)}  ({hit.score:.4f})")
        print(f"   {text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + '…'}\n")


def _wanted(pairs: Sequence[str]) -> dict[str, list[str]]:
    """Several values of one name are alternatives."""
    wanted: dict[str, list[str]] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise typer.BadParameter(pair, param_hint="--where NAME=VALUE")
        wanted.setdefault(name, []).append(value)
    return wanted


def versions_command(base: BaseFolder, json: AsJson = False) -> None:
    """List the versions of a knowledge base; the one that is served is marked.

    Example: **rung index versions kb**
    """
    from rung.retrieval.homes import current_of
    from rung.retrieval.versions import summary

    versions, current = index_versions(base), current_of(base)
    if json:
        print(commands.to_json([{**summary(v), "current": v.number == current} for v in versions]))
        return
    language = own_language()
    for v in versions:
        counts = {name: v.change.get(name, 0) for name in ("added", "changed", "deleted")}
        line = spoken(
            "index.version", language, n=v.number, when=v.when, documents=v.documents, items=v.items, **counts
        )
        print(("* " if v.number == current else "  ") + line)


def rollback_command(
    base: BaseFolder,
    to: Annotated[int | None, typer.Option(help="a version's number; the one before when absent", min=1)] = None,
) -> None:
    """Serve an earlier version again. Nothing is lost: the later ones stay until **rung index prune**.

    Example: **rung index rollback kb --to 3**
    """
    version = index_rollback(base, to)
    print(spoken("index.now", own_language(), n=version.number, documents=version.documents, items=version.items))


def compact_command(base: BaseFolder) -> None:
    """Put a knowledge base's segments together. It does so by itself when they become many; results stay the same.

    Example: **rung index compact kb**
    """
    version = index_compact(base)
    print(spoken("index.now", own_language(), n=version.number, documents=version.documents, items=version.items))


def prune_command(
    base: BaseFolder,
    keep: Annotated[int, typer.Option(help="versions to keep, the current one among them", min=1)] = 1,
) -> None:
    """Remove old versions, and from the disk every text of a document that no version holds any more.

    Example: **rung index prune kb --keep 3**
    """
    removed = index_prune(base, keep)
    print(spoken("index.pruned", own_language(), n=len(removed)))


@contextmanager
def _bar(language: Language) -> Iterator[Progress]:
    """A progress bar for the length of a block."""
    from rung.cli.screen import Screen

    with Screen(language) as screen:
        yield screen.bar(spoken("index.bar", language)).update


def _show_change(change: Change, found: DocumentsResult | None, base: Path, language: Language, json: bool) -> None:
    from dataclasses import asdict

    failed = [f"{each.id}: {each.problem.message(language)} [{each.code}]" for each in found.failed] if found else []
    if json:
        print(commands.to_json({**asdict(change), "failed": [each.id for each in found.failed] if found else []}))
        return
    counts = {name: f"{getattr(change, name):,}" for name in ("added", "changed", "deleted", "unchanged", "encoded")}
    print(spoken("index.change", language, base=base, n=change.version, **counts))
    for key, lines in (("failed", failed), ("blank", change.blank), ("unknown", change.unknown)):
        if lines:
            say(spoken(f"index.{key}", language, n=len(lines)))
            for line in lines[:_SHOWN]:
                say(f"  {harmless(line)}")


app.command("build")(build_command)
app.command("update")(update_command)
app.command("delete")(delete_command)
app.command("search")(search_command)
app.command("versions")(versions_command)
app.command("rollback")(rollback_command)
app.command("compact")(compact_command)
app.command("prune")(prune_command)
