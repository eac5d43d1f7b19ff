"""Time of our sentences against scispaCy's `pysbd_sentencizer` as shipped, on the same notes in one run; and quality.

Ours is sections and sentences from the bare text, by each of the backends "fast" and "pysbd", without what the section
rules remember of earlier rounds; scispaCy's is its component alone, on documents tokenized beforehand. Rounds
alternate; times are medians, in seconds of one core. Then: where "fast" and "pysbd" cut in different places, by kind.
benchmarks/rules_quality.py scores both on hand labels.
Run: python benchmarks/sentences_speed.py [--notes 100] [--rounds 5]; the open notes are looked for in CLINBERT_SHARED.
"""

import argparse
import gzip
import json
import os
import random
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import spacy
from scispacy.custom_sentence_segmenter import pysbd_sentencizer

from spacy_clinbert.rules import find_placeholders, lexicon, split_sections, split_sentences

SHARED = Path(os.environ.get("CLINBERT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
LONG = 100_000
# Where the two differ: what stands before the cut, what behind it, and who is right as far as was read; the first match
# wins.
KINDS = [
    ("a quotation and two blanks", r"[\"“”']\s{2,}\Z", r"", "fast"),
    ("a time of day or dose and two blanks", r"\b\w\.[\w.]*\.\s{2,}\Z", r"[A-Z]", "fast"),
    ("two blanks before a label of a list", r"\s{2,}\Z", r"\(?\w{1,2}[.)]\s", "fast"),
    ("a unit or abbreviation and two blanks", r"\b[a-z]{2,5}\.\s{2,}\Z", r"[\da-z(]", "fast"),
    ("a quotation that is not closed, or inches", r"[\"“”]", r"", "fast where it cuts, else open"),
    ("others", r"", r"", ""),
]


def read_notes(name: str) -> list[str]:
    with gzip.open(SHARED / "data" / "notes" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def ours(texts: Sequence[str], backend: str) -> list[list[tuple[int, int]]]:
    return [split_sentences(text, split_sections(text), backend) for text in texts]


def seconds(work: Callable[[], object]) -> float:
    """Of one core, as others may work on the machine, and as on notes never seen before."""
    lexicon.normalise.cache_clear()
    lexicon._find.cache_clear()
    began = time.process_time()
    work()
    return time.process_time() - began


def time_both(name: str, texts: list[str], rounds: int) -> str:
    """Time ours and theirs by turns and return a row of the table."""
    nlp = spacy.blank("en")
    docs = [nlp.make_doc(text) for text in texts]
    work = {
        "fast": lambda: ours(texts, "fast"),
        "pysbd": lambda: ours(texts, "pysbd"),
        "theirs": lambda: [pysbd_sentencizer(doc) for doc in docs],
    }
    times: dict[str, list[float]] = {key: [] for key in work}
    for _ in range(rounds):
        for key, run in work.items():
            times[key].append(seconds(run))
    fast, pysbd, theirs = (statistics.median(times[key]) for key in work)
    counts = [sum(map(len, ours(texts, backend))) for backend in ("fast", "pysbd")]
    counts.append(sum(len(list(doc.sents)) for doc in docs))
    cells = [f"{sum(map(len, texts)):,}", str(rounds), f"{fast:.3f}", f"{pysbd:.2f}", f"{theirs:.2f}"]
    cells += [f"{theirs / fast:.0f}", f"{theirs / pysbd:.1f}", *(f"{count:,}" for count in counts)]
    return f"| {name} | {' | '.join(cells)} |"


def time_steps(name: str, texts: list[str], rounds: int) -> str:
    """Time placeholders, sections and fast sentences, one behind the other, and return a row of the table."""
    steps: list[list[float]] = []
    sections = [split_sections(text) for text in texts]
    for _ in range(rounds):
        first = seconds(lambda: [find_placeholders(text) for text in texts])
        second = seconds(lambda: [split_sections(text) for text in texts])
        third = seconds(lambda: [split_sentences(*pair, "fast") for pair in zip(texts, sections, strict=True)])
        steps.append([first, second, third])
    medians = [statistics.median(step) for step in zip(*steps, strict=True)]
    size = sum(len(text.encode()) for text in texts) / 1e6
    cells = [f"{size:.2f}", str(rounds), *(f"{median:.3f}" for median in medians), f"{size / sum(medians):.1f}"]
    return f"| {name} | {' | '.join(cells)} |"


def compare(name: str, texts: list[str]) -> str:
    """Cuts of "fast" against those of "pysbd": a table's row of counts, F1 and kinds of difference."""
    kinds: Counter[str] = Counter()
    shared = found = expected = 0
    for text, fast, pysbd in zip(texts, ours(texts, "fast"), ours(texts, "pysbd"), strict=True):
        ours_at, theirs_at = {start for start, _ in fast}, {start for start, _ in pysbd}
        shared += len(ours_at & theirs_at)
        found, expected = found + len(ours_at), expected + len(theirs_at)
        kinds.update(f"{'+' if cut in ours_at else '-'} {kind_of(text, cut)}" for cut in ours_at ^ theirs_at)
    rows = [f"| {name} | all cuts | {found:,} | {expected:,} | {200 * shared / (found + expected):.2f} | |"]
    verdicts = {kind: verdict for kind, _, _, verdict in KINDS}
    for kind, count in kinds.most_common():
        added = kind[0] == "+"
        counts = f"{count if added else ''} | {'' if added else count}"
        rows.append(f"| {name} | {kind[2:]} | {counts} | | {verdicts[kind[2:]]} |")
    return "\n".join(rows)


def kind_of(text: str, cut: int) -> str:
    """The kind of a cut that only one of them makes."""
    before, after = text[max(0, cut - 600) : cut].rpartition("\n")[2], text[cut : cut + 6]
    return next(kind for kind, left, right, _ in KINDS if re.search(left, before) and re.match(right, after))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notes", type=int, default=100, help="how many MTSamples notes are timed, drawn with seed 0")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is timed")
    args = parser.parse_args()
    notes = {name: read_notes(name) for name in ("aci_bench", "mtsamples")}
    texts = list(notes["mtsamples"])
    random.Random(0).shuffle(texts)
    long_note = "\n\n".join(texts)[:LONG]
    ours(texts[:5], "pysbd")
    print(
        "| notes | characters | rounds | fast, s | pysbd, s | scispaCy, s | scispaCy / fast | scispaCy / pysbd "
        "| sentences of fast | of pysbd | of scispaCy |"
    )
    print("| --- |" + " ---: |" * 10)
    print(time_both(f"{args.notes} of MTSamples", texts[: args.notes], args.rounds), flush=True)
    print(time_both("one long note", [long_note], args.rounds))
    print("\n| notes | MB | rounds | placeholders, s | sections, s | fast sentences, s | MB/s |")
    print("| --- |" + " ---: |" * 6)
    for name, texts in notes.items():
        print(time_steps(name, texts, args.rounds))
    print('\n| notes | a cut that only one makes, behind | by "fast" | by "pysbd" | F1 | who is right |')
    print("| --- | --- | ---: | ---: | ---: | --- |")
    for name, texts in notes.items():
        print(compare(name, texts))


if __name__ == "__main__":
    main()
