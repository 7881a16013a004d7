"""An archive is a folder of files, or refused in full before any of it is used."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from rung.data.intake.archive import open_archive
from rung.data.intake.files import Files
from rung.data.intake.limits import Limits
from rung.data.parsing.refusal import Unreadable

LIMITS = Limits(archive_mib=4, file_mib=2)


def zipped(entries: dict[str, bytes], **how: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how.get("method", zipfile.ZIP_DEFLATED)) as archive:
        for name, raw in entries.items():
            archive.writestr(name, raw)
    return file.getvalue()


def refusal(raw: bytes, limits: Limits = LIMITS) -> str:
    with pytest.raises(Unreadable) as caught, open_archive(io.BytesIO(raw), limits):
        pass
    return caught.value.code


def names(raw: bytes) -> list[str]:
    with open_archive(io.BytesIO(raw), LIMITS) as archive:
        return [entry.name for entry in archive.entries]


def test_entries_are_read_as_they_were_packed_and_hidden_ones_left_out() -> None:
    raw = zipped(
        {"b/租.md": b"one", "a.txt": b"two", "__MACOSX/x": b"", ".hid/y.md": b"", "d/": b"", "a.TXT": b"3", "CON": b"4"}
    )
    with open_archive(io.BytesIO(raw), LIMITS) as archive:
        assert {entry.name: archive.read(entry) for entry in archive.entries} == {
            "CON": b"4",
            "a.TXT": b"3",
            "a.txt": b"two",
            "b/租.md": b"one",
        }


def test_names_that_windows_wrote_are_decoded() -> None:
    def as_gbk(name: str) -> bytes:
        return name.encode("gb18030")

    plain = zipped({"in\\aaaa.txt": b"x"}).replace(b"aaaa", as_gbk("押金"))
    assert names(plain) == ["in/押金.txt"]
    assert names(zipped({"é.txt": b"x"})) == ["é.txt"]


def linked(mode: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        info = zipfile.ZipInfo("link.md")
        info.create_system = 3
        info.external_attr = mode << 16
        archive.writestr(info, "/etc/passwd")
    return file.getvalue()


def locked() -> bytes:
    raw = bytearray(zipped({"a.md": b"x"}))
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    return bytes(raw)


def twice() -> bytes:
    return zipped({"a.md": b"one", "b.md": b"two"}).replace(b"b.md", b"a.md")


def overlapping() -> bytes:
    """Two entries of the list whose bytes are the same ones (Fifield, "A better zip bomb", 2019)."""
    raw = zipped({"a.md": b"text"})
    start = raw.index(b"PK\x01\x02")
    end = raw.index(b"PK\x05\x06")
    entry = raw[start:end]
    # The first one's bytes reach over the whole of the second.
    other = raw[:start] + entry + entry.replace(b"a.md", b"b.md")
    return other + struct.pack("<LHHHHLLH", 0x06054B50, 0, 0, 2, 2, 2 * len(entry), start, 0)


def lying() -> bytes:
    """It says 3 bytes and holds a mebibyte."""
    raw = bytearray(zipped({"a.md": b"x" * (1 << 20)}))
    for at in (22, raw.index(b"PK\x01\x02") + 24):
        raw[at : at + 4] = struct.pack("<L", 3)
    return bytes(raw)


@pytest.mark.parametrize(
    ("made", "code"),
    [
        *[
            (lambda name=name: zipped({"good.md": b"x", name: b"x"}), "E2365")
            for name in (
                "../x.md",
                "a/../../x.md",
                "..\\x.md",
                "a/..",
                "/etc/x.md",
                "\\x.md",
                "C:\\x.md",
                "c:x.md",
                "//h/x.md",
            )
        ],
        (lambda: zipped({"aXb.md": b"x"}).replace(b"aXb", b"a\0b"), "E2365"),
        (lambda: linked(stat.S_IFLNK | 0o777), "E2366"),
        (lambda: linked(stat.S_IFIFO | 0o644), "E2366"),
        (lambda: linked(stat.S_IFCHR | 0o644), "E2366"),
        (locked, "E2361"),
        (lambda: zipped({f"{n}.md": b"" for n in range(10_001)}), "E2362"),
        (lambda: zipped({"a.md": os.urandom(3 << 20), "b.md": os.urandom(3 << 20)}), "E2363"),
        (lambda: zipped({"a.md": bytes(3 << 20)}), "E2364"),
        (lambda: zipped({f"{n}.md": bytes(1 << 20) for n in range(3)}), "E2364"),
        (overlapping, "E2367"),
        (lambda: zipped({"in.zip": b"x"}), "E2368"),
        (lambda: zipped({"in.tar.gz": b"x"}), "E2368"),
        (twice, "E2369"),
        (lambda: zipped({"a.md": b"x"}, method=zipfile.ZIP_LZMA), "E2370"),
        (lying, "E2360"),
        (lambda: zipped({"a.md": b"good text"}, method=zipfile.ZIP_STORED).replace(b"good", b"evil"), "E2360"),
        (lambda: b"PK\x03\x04 and no more", "E2360"),
        (lambda: b"", "E2360"),
        (lambda: zipped({"a.md": b"x"})[:-8], "E2360"),
        (lambda: zipped({"a.md": b"x"}).replace(b"PK\x03\x04", b"PK\x03\x05"), "E2360"),
    ],
)
def test_a_dangerous_or_damaged_archive_is_refused(made: Callable[[], bytes], code: str) -> None:
    assert refusal(made()) == code


def test_a_small_page_of_blanks_is_no_bomb() -> None:
    assert names(zipped({"a.md": b" " * 100_000})) == ["a.md"]


def test_a_million_entries_are_refused_before_they_fill_the_memory() -> None:
    """Whether the archive says so or not."""
    entry = struct.pack("<LHHHHHHLLLHHHHHLL", 0x02014B50, 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    listed = entry * 1_000_000
    for said in (0xFFFF, 5):
        raw = listed + struct.pack("<LHHHHLLH", 0x06054B50, 0, 0, said, said, len(listed), 0, 0)
        before, start = psutil.Process().memory_info().rss, time.monotonic()
        assert refusal(raw) == "E2362"
        assert time.monotonic() - start < 10
        assert psutil.Process().memory_info().rss - before < 100 << 20


def test_a_long_list_behind_a_locator_is_refused_as_well() -> None:
    record = struct.pack("<LQHHLLQQQQ", 0x06064B50, 44, 45, 45, 0, 0, 1_000_000, 1_000_000, 47_000_000, 0)
    locator = struct.pack("<LLQL", 0x07064B50, 0, 0, 1)
    end = struct.pack("<LHHHHLLH", 0x06054B50, 0, 0, 1, 1, 46, 0, 0)
    assert refusal(record + locator + end) == "E2362"
    elsewhere = struct.pack("<LLQL", 0x07064B50, 0, 5, 1)
    assert refusal(record + elsewhere + end) == "E2362"


def test_a_damaged_archive_never_ends_in_another_error() -> None:
    raw = zipped({"a.md": b"text " * 50, "b/c.md": b"more"})
    for at in range(len(raw)):
        for bit in (0, 7):
            broken = bytearray(raw)
            broken[at] ^= 1 << bit
            with contextlib.suppress(Unreadable), open_archive(io.BytesIO(bytes(broken)), LIMITS) as archive:
                for entry in archive.entries:
                    archive.read(entry)


# A folder with archives in it, and packed files


def found(source: Path, limits: Limits = LIMITS) -> dict[str, bytes | str]:
    return {
        file.name: file.content.code if isinstance(file.content, Unreadable) else file.content.read()
        for file in Files(source, limits)
    }


def test_an_archive_in_a_folder_is_a_folder_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"x/one.md": b"1", "two.md": os.urandom(2 << 20) + b"!"}))
    (tmp_path / "b.zip").write_bytes(zipped({"../one.md": b"1"}))
    (tmp_path / "c.zip").write_bytes(b"text")
    (tmp_path / "d.zip").write_bytes(zipped({"[Content_Types].xml": b"<x/>", "word/document.xml": b""}))
    files = found(tmp_path)
    assert files.pop("d.zip") == (tmp_path / "d.zip").read_bytes()
    assert files == {"a.zip/two.md": "E2314", "a.zip/x/one.md": b"1", "b.zip": "E2365", "c.zip": "E2360"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "b.zip", "c.zip", "d.zip"]
    assert found(tmp_path / "a.zip") == {"two.md": "E2314", "x/one.md": b"1"}


def gzipped(raw: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return packer.compress(raw) + packer.flush()


def test_a_packed_file_is_unpacked_within_limits(tmp_path: Path) -> None:
    (tmp_path / "a.html.gz").write_bytes(gzipped(b"<p>text"))
    (tmp_path / "bomb.txt.gz").write_bytes(gzipped(bytes(1_900_000)))
    (tmp_path / "long.txt.gz").write_bytes(gzipped(os.urandom(3 << 20)))
    (tmp_path / "none.txt.gz").write_bytes(b"text")
    (tmp_path / "torn.txt.gz").write_bytes(gzipped(b"text" * 99)[:-9])
    (tmp_path / "x.tar.gz").write_bytes(gzipped(b"tar"))
    assert found(tmp_path, replace(LIMITS, file_mib=2)) == {
        "a.html.gz": b"<p>text",
        "bomb.txt.gz": "E2364",
        "long.txt.gz": "E2314",
        "none.txt.gz": "E2360",
        "torn.txt.gz": "E2360",
        "x.tar.gz": "E2368",
    }
    assert [file.suffix for file in Files(tmp_path / "a.html.gz", LIMITS)] == [".html"]
