"""A set of documents: every file counted, each content parsed once, kept for the next time, gone when it has gone."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from rung.core.errors import DataError, WriteError
from rung.data.documents import DocumentsResult, read_documents
from rung.data.intake import bench
from rung.data.intake.limits import Limits
from rung.data.intake.pool import Pool

LIMITS = Limits(workers=2)


def folder_of(path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text, "utf-8")
    return path


def summed(result: DocumentsResult) -> DocumentsResult:
    assert len(result.documents) + len(result.copies) + len(result.failed) == result.total
    ids = [*(d.id for d in result.documents), *result.copies, *(f.id for f in result.failed)]
    assert len(ids) == len(set(ids))
    return result


def texts(result: DocumentsResult) -> dict[str, str]:
    return {document.id: document.text for document in result.documents}


def test_a_document_knows_its_file_its_pages_and_its_copies(tmp_path: Path) -> None:
    folder_of(
        tmp_path, {"b/x.md": "one\ftwo", "a.md": "one\ftwo", "c.md": "remark", "d.md": "locked", "e.md": "locked"}
    )
    result = summed(read_documents(tmp_path, limits=LIMITS))
    assert result.copies == {"b/x.md": "a.md"}
    assert [failed.id for failed in result.failed] == ["d.md", "e.md"]
    document, other = result.documents
    assert (document.id, document.title, document.text) == ("a.md", "a", "one\n\ntwo")
    assert document.place(document.text.index("two")) == "p. 2"
    assert {"file": "a.md", "bytes": "7", "format": "md", "copies": "b/x.md"}.items() <= document.meta.items()
    assert len(document.meta["sha256"]) == 64
    assert {id: [remark.code for remark in told] for id, told in result.remarks.items()} == {other.id: ["E2356"]}
    assert result.parsed == 3


def test_hostile_names_are_documents_like_others(tmp_path: Path) -> None:
    odd = ["CON", "nul.txt", "trailing. ", "inv\u202eoice.md", "A.md", "a.md", "%2e%2e%2fx.md", "é" * 126 + ".md"]
    folder_of(tmp_path, {name: f"text {n}" for n, name in enumerate(odd)})
    Path(os.fsdecode(os.fsencode(tmp_path) + "/押金.md".encode("gb18030"))).write_text("text 99")
    result = summed(read_documents(tmp_path, limits=LIMITS))
    assert (len(result.documents), result.failed) == (9, ())
    [bidi] = [document for document in result.documents if "name" in document.meta and "oice" in document.id]
    assert (bidi.title, bidi.meta["name"]) == ("invoice", "inv\\u202eoice.md")
    assert result.remarks[bidi.id][0].code == "E2356"
    assert any(document.title == "押金" for document in result.documents)


def test_a_content_that_one_name_makes_readable_is_read(tmp_path: Path) -> None:
    """The kind may be told by the name: the copy with the right one counts."""
    folder_of(tmp_path, {"a.md": "stumble", "b.md": "text", "c.txt": "text"})
    result = summed(read_documents(tmp_path, limits=LIMITS))
    assert result.copies == {"c.txt": "b.md"}


def test_archives_and_single_files_are_sources(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("in/a.md", "text")
        archive.writestr("b.md", "more")
    assert list(texts(read_documents(tmp_path / "set.zip", limits=LIMITS))) == ["b.md", "in/a.md"]
    assert list(texts(read_documents(tmp_path, limits=LIMITS))) == ["set.zip/b.md", "set.zip/in/a.md"]
    (tmp_path / "one.md").write_text("text")
    assert texts(read_documents(tmp_path / "one.md", limits=LIMITS)) == {"one.md": "text"}


def test_only_what_changed_is_parsed_and_what_was_deleted_is_forgotten(tmp_path: Path) -> None:
    source, cache = tmp_path / "docs", tmp_path / "cache"
    folder_of(source, {"a.md": "one", "b.md": "two", "c.md": "three secrets", "d.md": "locked"})

    def read() -> DocumentsResult:
        return summed(read_documents(source, cache=cache, limits=LIMITS))

    assert read().parsed == 4
    assert read().parsed == 0
    (source / "a.md").rename(source / "z.md")
    assert (read().parsed, list(texts(read()))) == (0, ["b.md", "c.md", "z.md"])
    folder_of(source, {"b.md": "two, changed"})
    assert read().parsed == 1
    (source / "c.md").unlink()
    assert read().parsed == 0
    kept = "".join(path.read_text("utf-8") for path in cache.rglob("*") if path.is_file())
    assert "secrets" not in kept
    assert "two, changed" in kept
    assert '"two"' not in kept
    # Read from what is kept, it is the same set.
    assert read() == replace(read_documents(source, limits=LIMITS), parsed=0)


def test_another_folder_with_the_same_cache_is_left_alone(tmp_path: Path) -> None:
    one, two = (folder_of(tmp_path / name, {"a.md": name}) for name in ("one", "two"))
    for source in (one, two, one, two):
        result = read_documents(source, cache=tmp_path / "cache", limits=LIMITS)
    assert result.parsed == 0
    # A project that is moved keeps what it knows.
    shutil.copytree(tmp_path, tmp_path.with_name(tmp_path.name + "-moved"))
    moved = tmp_path.with_name(tmp_path.name + "-moved")
    assert read_documents(moved / "one", cache=moved / "cache", limits=LIMITS).parsed == 0
    shutil.rmtree(moved)


@pytest.mark.parametrize("damage", [b"", b"{", None])
def test_what_is_damaged_in_the_cache_is_parsed_again(tmp_path: Path, damage: bytes | None) -> None:
    source, cache = folder_of(tmp_path / "docs", {"a.md": "text"}), tmp_path / "cache"
    read_documents(source, cache=cache, limits=LIMITS)
    [path] = [path for path in cache.rglob("*.json") if path.is_file()]
    path.write_bytes(path.read_bytes().replace(b"text", b"tExt") if damage is None else damage)
    result = read_documents(source, cache=cache, limits=LIMITS)
    assert (result.parsed, texts(result)) == (1, {"a.md": "text"})


def test_a_refusal_for_a_limit_is_kept_for_that_limit_only(tmp_path: Path) -> None:
    source, cache = folder_of(tmp_path / "docs", {"a.md": "text", "b.md": "grow"}), tmp_path / "cache"
    small, large = replace(LIMITS, memory_mib=200), replace(LIMITS, memory_mib=220)
    parsed = [read_documents(source, cache=cache, limits=limits).parsed for limits in (small, small, large)]
    assert parsed == [2, 0, 1]


def test_progress_ends_at_the_total_and_the_hook_sees_every_block(tmp_path: Path) -> None:
    folder_of(tmp_path, {"a.md": "one", "b.md": "one", "c.md": "locked", "d.md": "foot\fpage"})
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        for n in range(3):
            archive.writestr(f"{n}.md", f"entry {n}")
    seen: list[tuple[float, float]] = []
    result = read_documents(
        tmp_path,
        limits=LIMITS,
        progress=lambda done, total, note: seen.append((done, total)),
        clean=lambda blocks: [block for block in blocks if block.text != "foot"],
    )
    assert [done for done, _ in seen] == [1, 2, 3, 4, 5, 6, 7]
    assert seen[-1] == (7, 7)
    assert texts(result)["d.md"] == "page"


def test_nothing_readable_is_an_error_with_the_reasons(tmp_path: Path) -> None:
    for source in (tmp_path / "absent", tmp_path / "nul\0"):
        with pytest.raises(DataError) as caught:
            read_documents(source)
        assert caught.value.code == "E2301"
    folder_of(tmp_path, {"a.md": "locked"})
    with pytest.raises(DataError) as caught:
        read_documents(tmp_path, limits=LIMITS)
    assert [problem.code for problem in caught.value.problems] == ["E2302", "E2361"]


# The disk, and the power


def refusing(number: int, after: int, real: Callable[..., object]) -> Callable[..., object]:
    calls = iter(range(1 << 30))

    def call(*args: object, **kwargs: object) -> object:
        if next(calls) >= after:
            raise OSError(number, os.strerror(number))
        return real(*args, **kwargs)

    return call


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("broken", ["write_bytes", "replace"])
def test_a_full_disk_ends_the_reading_and_what_is_kept_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, after: int
) -> None:
    source, cache = folder_of(tmp_path / "docs", {f"{n}.md": f"text {n}" for n in range(6)}), tmp_path / "cache"
    with monkeypatch.context() as patch:
        patch.setattr(Path, broken, refusing(errno.ENOSPC, after, getattr(Path, broken)))
        with pytest.raises(WriteError) as caught:
            read_documents(source, cache=cache, limits=replace(LIMITS, workers=1))
    assert caught.value.code == "E5002"
    assert not psutil.Process().children()
    assert not [path for path in cache.rglob("*") if "tmp" in path.name or "staging" in path.name]
    done = len(list(cache.rglob("*.json")))
    assert read_documents(source, cache=cache, limits=LIMITS).parsed == 6 - done


def test_a_cache_that_cannot_be_made_is_a_write_error(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "docs", {"a.md": "text"})
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(WriteError) as caught:
        read_documents(source, cache=tmp_path / "cache", limits=LIMITS)
    assert caught.value.code == "E5001"


def test_ctrl_c_ends_the_children_and_keeps_what_is_done(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "docs", {"a.md": "text", **{f"b{n}.md": f"nap 60 {n}" for n in range(6)}})

    def pressed(done: float, total: float, note: str) -> None:
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        read_documents(source, cache=tmp_path / "cache", limits=LIMITS, progress=pressed)
    assert time.monotonic() - start < 30
    assert not psutil.Process().children()
    assert len(list((tmp_path / "cache").rglob("*.json"))) == 1


_READER = """
import json, sys
from pathlib import Path
from rung.data.documents import read_documents
from rung.data.intake import pool
from rung.data.intake.limits import Limits
pool.COMMAND = tuple(json.loads(sys.argv[3]))
result = read_documents(Path(sys.argv[1]), cache=Path(sys.argv[2]), limits=Limits(workers=2))
print(json.dumps([result.parsed, {d.id: d.text for d in result.documents}]))
"""


def test_a_reading_that_is_killed_at_any_moment_goes_on_and_nothing_is_missing_or_double(tmp_path: Path) -> None:
    from rung.data.intake.pool import COMMAND

    files = {f"{n:02}.md": f"nap 0.02 {n}" for n in range(20)}
    source, cache = folder_of(tmp_path / "docs", files), tmp_path / "cache"
    command = [sys.executable, "-c", _READER, str(source), str(cache), json.dumps(COMMAND)]
    draw = random.Random(4)
    kept = [0]
    for _ in range(4):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        time.sleep(draw.uniform(0.3, 1.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept.append(len([path for path in cache.rglob("*.json") if not path.name.startswith(".")]))
    assert kept == sorted(kept)
    parsed, found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert found == files
    assert parsed == 20 - kept[-1]
    assert len(list(cache.rglob("*.json"))) == 20
    assert not list(cache.rglob("rung-staging-*"))
    for leftover in psutil.process_iter(["cmdline"]):
        assert COMMAND[-1] not in (leftover.info["cmdline"] or [])


def test_the_temporary_folder_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    (place / "rung-staging-dead").mkdir()
    (place / "rung-staging-dead" / "0.md").write_text("left by a process that was killed")
    monkeypatch.setattr(bench.tempfile, "gettempdir", lambda: str(place))
    during: list[list[str]] = []
    folder_of(tmp_path / "docs", {"a.md": "text"})
    real = Pool.parse

    def watched(self: Pool, path: Path, name: str) -> object:
        during.append(sorted(entry.name for entry in place.iterdir()))
        assert path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0
        return real(self, path, name)

    monkeypatch.setattr(Pool, "parse", watched)
    read_documents(tmp_path / "docs", limits=LIMITS)
    assert len(during[0]) == 1
    assert during[0] != ["rung-staging-dead"]
    assert list(place.iterdir()) == []
