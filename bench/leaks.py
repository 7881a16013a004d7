"""How many planted copies the leak check finds, how often it is wrong, and how fast it is beside datasketch and rensa.

Planted: copies of training rows put into test, exact, changed in form only (case, spaces, marks, width, Chinese script), and
near (a letter mistyped, lost, doubled or swapped, a word inserted or two swapped). A near copy is one whose shingles, taken by
the few lines of plain Python below and not by the code under test, overlap its source's by 0.8 or more and less than 1, and
whose numbers are the same. It counts as found when its row is flagged with a training row at least as near as its source.

False alarms: rows of the same clean test splits, nothing planted, that are flagged as near copies though a person would not
call the two the same question. BANKING77: every flagged row whose label is not that of its nearest training row, which also
counts the mistakes in its labels, so that the share is an upper bound. The Chinese sets have no such labels: each flagged pair
was read, and those that ask or say something else are listed in `leaks.json` beside this file.

Speed: rows made from BANKING77's words in its own order (each word drawn from those that follow it there), 50 to 100
characters, a tenth of them near copies of others; and `crowded`, where every row is one of its 4,368 questions of that length with
one letter changed, 230 copies of each in a million rows. Every tool runs in a process of its own, the peers single-threaded with
as many bands of as many rows (21 of 6), on the same keys: turning text into keys is counted for Rung alone, and so is looking at
every proposed pair exactly; what the peers return are candidates.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import itertools
import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from harness import finish, need_datasets, say

from rung.core.hashing import hash_json
from rung.core.task import Example
from rung.data.leakage.copies import CopySearch, find_duplicates
from rung.data.leakage.keys import key_of, keys_of, numbers_in
from rung.data.leakage.near import NEAR, Search, find_near
from rung.text.script import is_cjk
from rung.text.variants import script_forms, width_forms

SETS = ("banking77", "sentiment_zh_hotel", "qa_zh_cmrc2018", "qa_en_zh_xquad")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
HAN = "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多"
FILLERS = {"en": ("please", "really", "still", "now", "just", "again"), "zh": ("请问", "现在", "真的", "还是", "一下")}
PER_KIND = 300
BANDS, ROWS = 21, 6
# By hash of the two texts, since the texts are not ours to keep.
NOT_THE_SAME = json.loads(Path(__file__).with_name("leaks.json").read_text("utf-8"))


def shingles(key: str) -> set[str]:
    """Every run of two characters with a Chinese one, every run of three without, by the definition in the docs."""
    wide = [is_cjk(char) for char in key]
    found = set()
    for i in range(len(key)):
        if i + 1 < len(key) and (wide[i] or wide[i + 1]):
            found.add(key[i : i + 2])
        elif i + 2 < len(key):
            found.add(key[i : i + 3])
    return found or {key}


def jaccard(one: str, other: str) -> float:
    a, b = shingles(one), shingles(other)
    return len(a & b) / len(a | b)


def read_set(data: Path, name: str) -> tuple[list[Example], list[Example]]:
    """Train and test: the official split, or a seeded half and half."""
    if name == "banking77":
        return tuple(
            [
                Example(f"{part}{n}", {"text": row["text"]}, (row["category"],))
                for n, row in enumerate(table(data / name / f"{part}.csv"))
            ]
            for part in ("train", "test")
        )
    if name == "sentiment_zh_hotel":
        texts = [(row["review"], row["label"]) for row in table(data / name / "ChnSentiCorp_htl_all.csv.gz")]
    else:
        file = "cmrc2018_dev.json.gz" if "cmrc" in name else "xquad.zh.json.gz"
        articles = json.loads(gzip.open(data / name / file, "rt", encoding="utf-8").read())["data"]
        texts = [
            (qa["question"], qa["answers"][0]["text"]) for a in articles for p in a["paragraphs"] for qa in p["qas"]
        ]
    examples = [Example(f"r{n}", {"text": text}, (answer,)) for n, (text, answer) in enumerate(texts) if text.strip()]
    order = np.random.default_rng(0).permutation(len(examples))
    half = len(order) // 2
    return [examples[i] for i in order[:half]], [examples[i] for i in order[half:]]


def table(path: Path) -> list[dict[str, str]]:
    opened = (
        gzip.open(path, "rt", encoding="utf-8", newline="")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8", newline="")
    )
    with opened as file:
        return list(csv.DictReader(file))


def formed(text: str, rng: np.random.Generator) -> str:
    """The same text in another form."""
    forms = [text.upper(), text.title(), text + " !", "  ".join(text.split()), f'"{text}"', text.replace(" ", "\u3000")]
    forms += [*width_forms(text)[:1], *script_forms(text)]
    other = [form for form in forms if form != text and key_of(form) == key_of(text)]
    return other[rng.integers(len(other))]


def nearly(text: str, rng: np.random.Generator) -> str:
    """The text with one small change."""
    chinese = any(map(is_cjk, text))
    letters = HAN if chinese else LETTERS
    at = int(rng.integers(len(text)))
    words = list(text) if chinese else text.split(" ")
    kind = rng.integers(6)
    if kind == 0:
        return text[:at] + letters[rng.integers(len(letters))] + text[at + 1 :]
    if kind == 1:
        return text[:at] + text[at + 1 :]
    if kind == 2:
        return text[:at] + text[at : at + 1] * 2 + text[at + 1 :]
    if kind == 3:
        return text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]
    place = int(rng.integers(len(words)))
    if kind == 4:
        fillers = FILLERS["zh" if chinese else "en"]
        words.insert(place, fillers[rng.integers(len(fillers))])
    else:
        words[place : place + 2] = words[place : place + 2][::-1]
    return ("" if chinese else " ").join(words)


def plant(train: Sequence[Example], rng: np.random.Generator) -> dict[str, list[tuple[Example, Example, float]]]:
    """(copy, source, overlap) of each kind."""
    planted: dict[str, list[tuple[Example, Example, float]]] = defaultdict(list)
    order = iter(rng.permutation(len(train)).tolist() * 20)
    for kind in ("exact", "normalised", "near"):
        while len(planted[kind]) < PER_KIND:
            source = train[next(order)]
            if len(source.text) < 4:
                continue
            change = {"exact": lambda text, _: text, "normalised": formed, "near": nearly}[kind]
            text = change(source.text, rng)
            overlap = jaccard(key_of(text), key_of(source.text))
            if kind == "near" and not (
                NEAR <= overlap < 1 and numbers_in(key_of(text)) == numbers_in(key_of(source.text))
            ):
                continue
            planted[kind].append(
                (Example(f"{kind}{len(planted[kind])}", {"text": text}, source.references), source, overlap)
            )
    return planted


def recall(name: str, train: Sequence[Example], test: Sequence[Example]) -> dict[str, Any]:
    planted = plant(train, np.random.default_rng(1))
    copies = [copy for kind in planted.values() for copy, _, _ in kind]
    started = time.perf_counter()
    report = find_duplicates({"train": train, "test": [*test, *copies]}, CopySearch(across=True))
    seconds = time.perf_counter() - started
    best: dict[str, float] = defaultdict(float)
    for pair in report.pairs:
        for place in (pair.first, pair.second):
            best[place.id] = max(best[place.id], pair.score)
    found = {k: [best[copy.id] >= overlap - 1e-9 for copy, _, overlap in v] for k, v in planted.items()}
    near = [overlap for _, _, overlap in planted["near"]]
    say(f"{name}: " + ", ".join(f"{k} {sum(v)}/{len(v)}" for k, v in found.items()) + f" in {seconds:.2f} s")
    return {
        "train": len(train),
        "test": len(test),
        "seconds": round(seconds, 2),
        **{f"{kind}_found": f"{sum(hits)}/{len(hits)}" for kind, hits in found.items()},
        "near_overlap_median": round(float(np.median(near)), 3),
        "near_below_0.85": sum(x < 0.85 for x in near),
        "counts": {kind: (sum(hits), len(hits)) for kind, hits in found.items()},
    }


def false_alarms(name: str, train: Sequence[Example], test: Sequence[Example]) -> dict[str, Any]:
    """Rows of a clean test split that are flagged as near copies, and those of them that are none."""
    report = find_duplicates({"train": train, "test": test}, CopySearch(across=True))
    by_id = {example.id: example for example in (*train, *test)}
    nearest: dict[str, Any] = {}
    for pair in report.pairs:
        row = pair.first if pair.first.split == "test" else pair.second
        if row.id not in nearest or pair.score > nearest[row.id].score:
            nearest[row.id] = pair
    wrong = []
    for row, pair in nearest.items():
        both = sorted((by_id[pair.first.id].text, by_id[pair.second.id].text))
        if name == "banking77":
            other = pair.first.id if pair.second.id == row else pair.second.id
            if by_id[row].references != by_id[other].references:
                wrong.append([round(pair.score, 3), hash_json(both)])
        elif hash_json(both) in NOT_THE_SAME[name]:
            wrong.append([round(pair.score, 3), hash_json(both)])
        say(f"  {name} {pair.score:.2f} {both[0][:60]} | {both[1][:60]}") if name != "banking77" else None
    say(f"{name}: {len(nearest)} of {len(test)} clean rows flagged near, {len(wrong)} of them wrongly")
    return {"flagged": len(nearest), "wrong": len(wrong), "of": len(test), "wrong_pairs": wrong}


def made_rows(n: int, crowded: bool) -> tuple[list[str], list[tuple[int, int]]]:
    """Texts like BANKING77's, and the places of planted pairs (source, copy) whose overlap is at least the threshold."""
    data = need_datasets("banking77") / "banking77"
    real = [row["text"] for part in ("train", "test") for row in table(data / f"{part}.csv")]
    rng = np.random.default_rng(2)
    if crowded:
        real = [text for text in real if 50 <= len(text) <= 100]
        return mistyped([real[i % len(real)] for i in range(n)], rng), []
    follows: dict[str, list[str]] = defaultdict(list)
    for text in real:
        words = ["", *text.split()]
        for one, other in itertools.pairwise(words):
            follows[one].append(other)
    sources = n - n // 10
    drawn, lengths, at = rng.random(1 << 22), rng.integers(45, 90, sources).tolist(), 0
    texts = []
    for wanted in lengths:
        words, word, length = [], "", 0
        while length < wanted:
            after = follows.get(word) or follows[""]
            word = after[int(drawn[at] * len(after))]
            at = (at + 1) % len(drawn)
            words.append(word)
            length += len(word) + 1
        texts.append(" ".join(words))
        at = (at + wanted) % len(drawn)
    texts += mistyped(texts[: n - sources], rng)
    pairs = [(i, sources + i) for i in range(n - sources)]
    return texts, pairs


def mistyped(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
    places, kinds, letters = rng.random(len(texts)), rng.integers(0, 3, len(texts)), rng.integers(0, 26, len(texts))
    found = []
    for text, place, kind, letter in zip(texts, places.tolist(), kinds.tolist(), letters.tolist(), strict=True):
        at = int(place * len(text))
        found.append(text[:at] + ("" if kind == 1 else LETTERS[letter]) + text[at + (kind < 2) :])
    return found


def timed(tool: str, n: int, crowded: bool, workers: int) -> dict[str, Any]:
    """One tool on n rows, in this process: seconds, planted pairs found, peak memory."""
    texts, planted = made_rows(n, crowded)
    run: Callable[[list[str]], tuple[dict[str, int], Callable[[int, int], bool], float, float, int]] = {
        "rung": lambda rows: rung_on(rows, workers),
        "datasketch": datasketch_on,
        "rensa": rensa_on,
    }[tool]
    places, linked, seconds, cpu, pairs = run(texts)
    keys = keys_of(texts) if planted else []
    wanted = [
        (places[keys[i]], places[keys[j]])
        for i, j in planted
        if keys[i] != keys[j] and numbers_in(keys[i]) == numbers_in(keys[j]) and jaccard(keys[i], keys[j]) >= NEAR
    ]
    return {
        "tool": tool,
        "rows": n,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "rows_per_second": round(n / seconds),
        "rows_per_cpu_second": round(n / cpu),
        "peak_gib": PEAK[0],
        "pairs": pairs,
        "planted": len(wanted),
        "found": sum(linked(i, j) for i, j in wanted),
    }


PEAK = [0.0]


def rung_on(texts: list[str], workers: int) -> tuple[Any, Any, float, float, int]:
    clock, cpu = time.perf_counter(), time.process_time()
    places = {key: n for n, key in enumerate(sorted(set(keys_of(texts))))}
    pairs = find_near(list(places), Search(workers=workers))
    spent = time.perf_counter() - clock, time.process_time() - cpu
    _peak()
    found = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    return places, lambda i, j: (min(i, j), max(i, j)) in found, *spent, len(pairs)


def datasketch_on(texts: list[str]) -> tuple[Any, Any, float, float, int]:
    from datasketch import MinHash, MinHashLSH

    places = {key: n for n, key in enumerate(sorted(set(keys_of(texts))))}
    clock, cpu = time.perf_counter(), time.process_time()
    lsh = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    hashes = list(MinHash.generator(([s.encode() for s in shingles(key)] for key in places), num_perm=BANDS * ROWS))
    for n, minhash in enumerate(hashes):
        lsh.insert(n, minhash)
    near = [set(lsh.query(minhash)) for minhash in hashes]
    spent = time.perf_counter() - clock, time.process_time() - cpu
    _peak()
    return places, lambda i, j: j in near[i], *spent, sum(map(len, near)) // 2


def rensa_on(texts: list[str]) -> tuple[Any, Any, float, float, int]:
    from rensa import RMinHash, RMinHashLSH

    places = {key: n for n, key in enumerate(sorted(set(keys_of(texts))))}
    clock, cpu = time.perf_counter(), time.process_time()
    lsh = RMinHashLSH(threshold=NEAR, num_perm=BANDS * ROWS, num_bands=BANDS)
    hashes = RMinHash.from_token_sets([list(shingles(key)) for key in places], BANDS * ROWS, 42)
    lsh.insert_many(hashes)
    near = [set(found) for found in lsh.query_all(hashes)]
    spent = time.perf_counter() - clock, time.process_time() - cpu
    _peak()
    return places, lambda i, j: j in near[i], *spent, sum(map(len, near)) // 2


def _peak() -> None:
    PEAK[0] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


def apart(tool: str, n: int, crowded: bool, workers: int) -> dict[str, Any]:
    """`timed` in a process of its own."""
    command = [sys.executable, __file__, "--tool", tool, "--rows", str(n), "--workers", str(workers)]
    done = subprocess.run([*command, *(["--crowded"] if crowded else [])], capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    say(f"{'crowded ' if crowded else ''}{result}")
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--peer-rows", type=int, default=50_000)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--tool", default="")
    parser.add_argument("--crowded", action="store_true")
    given = parser.parse_args()
    if given.tool:
        print(json.dumps(timed(given.tool, given.rows, given.crowded, given.workers)))
        return
    data = need_datasets(*SETS)
    planted: dict[str, Any] = {}
    alarms: dict[str, Any] = {}
    totals: Counter[str] = Counter()
    for name in SETS:
        train, test = read_set(data, name)
        known = {key_of(example.text) for example in train}
        clean = [example for example in test if key_of(example.text) not in known]
        planted[name] = recall(name, train, clean)
        for kind, (found, of) in planted[name].pop("counts").items():
            totals[f"{kind}_found"] += found
            totals[f"{kind}_of"] += of
        alarms[name] = false_alarms(name, train, clean)
    full = [apart("rung", given.rows, crowded, given.workers) for crowded in (False, True)]
    peers = [apart(tool, given.peer_rows, False, 1) for tool in ("rung", "rensa", "datasketch")]
    finish(
        "leaks",
        given.rows,
        exact_recall=min(totals[f"{kind}_found"] / totals[f"{kind}_of"] for kind in ("exact", "normalised")),
        near_recall=round(totals["near_found"] / totals["near_of"], 4),
        false_alarm=round(max(found["wrong"] / found["of"] for found in alarms.values()), 5),
        rows_per_second=full[0]["rows_per_second"],
        speed=full[0],
        speed_crowded=full[1],
        same_rows=peers,
        threads=given.workers or len(os.sched_getaffinity(0)),
        planted=planted,
        false_alarms=alarms,
    )


if __name__ == "__main__":
    main()
