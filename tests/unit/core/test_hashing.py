"""Content hashes: equal contents, equal hashes; and seeds that follow from names."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rung.core.hashing import hash_file, hash_folder, hash_json, seed_from


def test_key_order_and_tuples_do_not_matter_and_contents_do() -> None:
    assert hash_json({"b": [1, "租"], "a": None}) == hash_json({"a": None, "b": (1, "租")})
    different = [{"a": 1}, {"a": "1"}, {"a": [1]}, [["a", 1]], {"a": 1.5}, {"a": None}]
    assert len({hash_json(value) for value in different}) == len(different)
    assert len(hash_json("x", 8)) == 8
    assert hash_json("\ud800") != hash_json("?")


def test_a_folder_is_its_names_and_bytes(tmp_path: Path) -> None:
    for name, text in (("a.txt", "one"), ("in/b.txt", "two"), ("note.log", "x")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    whole, texts = hash_folder(tmp_path), hash_folder(tmp_path, (".txt",))
    assert hash_file(tmp_path / "a.txt") == hashlib.sha256(b"one").hexdigest()
    (tmp_path / "note.log").write_text("y")
    assert hash_folder(tmp_path, (".txt",)) == texts
    assert hash_folder(tmp_path) != whole
    (tmp_path / "a.txt").rename(tmp_path / "c.txt")
    assert hash_folder(tmp_path, (".txt",)) != texts


def test_a_seed_follows_from_its_names_alone() -> None:
    digest = hashlib.sha256(b'["split","0"]').hexdigest()
    assert seed_from("split", 0) == int(digest, 16) % 2**63
    assert len({seed_from("ab"), seed_from("a", "b"), seed_from("b", "a"), seed_from()}) == 4
