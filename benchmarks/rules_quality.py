"""Titles and sentences of the rules against hand labels, and their invariants on all open notes.

Prints Markdown tables. Reads the labels in benchmarks/gold and the notes in CLINBERT_SHARED (default ../shared). With
--errors, lists what differs by note id and offset; the text of these open notes is printed only with --text.
"""

import argparse
import gzip
import json
import os
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any, Iterable, NamedTuple

from spacy_clinbert.rules import find_placeholders, split_sections, split_sentences

SHARED = Path(os.environ.get("CLINBERT_SHARED", "../shared"))
LABELS = Path(__file__).parent / "gold" / "labels.jsonl"
SETS = ("aci_bench", "mtsamples")
BACKENDS = ("pysbd", "fast")
CAPITALS = re.compile(r"^[ \t]*[A-Z][A-Z ,/&()-]{2,}[ \t]*$", re.MULTILINE)


class Counts(NamedTuple):
    """True positives, predicted and gold items."""

    hits: int
    predicted: int
    gold: int

    @property
    def row(self) -> str:
        precision, recall = self.hits / max(self.predicted, 1), self.hits / max(self.gold, 1)
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
        return f"{100 * precision:.1f} | {100 * recall:.1f} | {100 * f1:.1f}"


def read_notes(name: str) -> dict[str, str]:
    """Texts by note id."""
    with gzip.open(SHARED / "data" / "notes" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return {row["note_id"]: row["text"] for row in map(json.loads, lines)}


def first_characters(text: str, spans: Iterable[tuple[int, int]]) -> set[int]:
    """The offset of the first character of each span that is not blank."""
    return {
        start + len(text[start:end]) - len(text[start:end].lstrip()) for start, end in spans if text[start:end].strip()
    }


def shipped_sentences(text: str, nlp) -> set[int]:
    """Sentence starts of scispaCy's `pysbd_sentencizer` on the whole note."""
    return first_characters(text, ((sent.start_char, sent.end_char) for sent in nlp(text).sents))


def compare(notes: dict[str, dict[str, str]], errors: bool, show: bool) -> None:
    """Score titles, categories, levels and sentence bounds on the labelled notes."""
    import spacy
    from scispacy.custom_sentence_segmenter import pysbd_sentencizer  # noqa: F401

    nlp = spacy.blank("en")
    nlp.add_pipe("pysbd_sentencizer")
    labels = [json.loads(line) for line in LABELS.read_text().splitlines()]
    print(
        "| notes | titles P | R | F1 | category right | level right | sentences, pysbd P | R | F1 | fast P | R | F1 "
        "| scispaCy as shipped P | R | F1 |"
    )
    print("|" + " --- |" * 15)
    for name in (*SETS, "all"):
        totals = {key: Counts(0, 0, 0) for key in ("titles", *BACKENDS, "shipped")}
        category = level = 0
        for label in labels:
            if name not in (label["source"], "all"):
                continue
            text = notes[label["source"]][label["note_id"]]
            sections = split_sections(text)
            gold = {(start, end): (lev, cat) for start, end, lev, cat in label["titles"]}
            found = {(s.title_start, s.title_end): (s.level, s.category) for s in sections if s.title}
            both = gold.keys() & found.keys()
            category += sum(gold[key][1] == found[key][1] for key in both)
            level += sum(gold[key][0] == found[key][0] for key in both)
            starts = {b: first_characters(text, split_sentences(text, sections, b)) for b in BACKENDS}
            starts["shipped"] = shipped_sentences(text, nlp)
            parts: dict[str, tuple[Any, ...]] = {"titles": (both, found, gold)}
            parts |= {key: (cuts & set(label["sentences"]), cuts, label["sentences"]) for key, cuts in starts.items()}
            for key, items in parts.items():
                totals[key] = Counts(*(old + len(new) for old, new in zip(totals[key], items)))
            if errors and name == "all":
                differences: list[tuple[str, tuple[int, int], Any]] = [
                    ("missed", k, gold[k]) for k in gold.keys() - both
                ]
                differences += [("false", k, found[k]) for k in found.keys() - both]
                differences += [("category", k, (gold[k], found[k])) for k in both if gold[k][1] != found[k][1]]
                for backend in BACKENDS:
                    wanted, cuts = set(label["sentences"]), starts[backend]
                    differences += [(f"{backend} missed", (i, i + 30), "") for i in wanted - cuts]
                    differences += [(f"{backend} false", (i, i + 30), "") for i in cuts - wanted]
                for kind, (start, end), what in sorted(differences, key=lambda item: item[1]):
                    words = repr(text[max(0, start - 20) : end + 20]) if show else ""
                    print(f"{label['source']} {label['note_id']} {start}-{end} {kind} {what} {words}")
        hits = totals["titles"].hits
        quality = f"{100 * category / hits:.1f} | {100 * level / hits:.1f}"
        sentences = " | ".join(totals[key].row for key in (*BACKENDS, "shipped"))
        print(f"| {name} | {totals['titles'].row} | {quality} | {sentences} |")


def check_all(notes: dict[str, dict[str, str]]) -> None:
    """Run every note through the rules and check that spans tile; count ACI-BENCH's ALL-CAPS lines found as titles."""
    lines, missed, broken = 0, Counter[str](), list[str]()
    start, characters = time.perf_counter(), 0
    for name, texts in notes.items():
        for note_id, text in texts.items():
            placeholders, sections = find_placeholders(text), split_sections(text)
            characters += len(text)
            ends = {s.end for s in sections}
            tiled = text == "".join(text[s.start : s.end] for s in sections)
            for backend in BACKENDS:
                sentences = split_sentences(text, sections, backend)
                tiles = tiled and "".join(text[a:b] for a, b in sentences) == text
                whole = all(not p.start < b < p.end for p in placeholders for _, b in sentences)
                if not (tiles and whole and ends <= {b for _, b in sentences}):
                    broken.append(f"{name} {note_id} {backend}")
            if name == "aci_bench":
                titles = [(s.title_start, s.title_end) for s in sections]
                for match in CAPITALS.finditer(text):
                    lines += 1
                    if not any(match.start() <= a < b <= match.end() for a, b in titles):
                        missed[note_id] += 1
    seconds = time.perf_counter() - start
    print(
        f"\n{sum(map(len, notes.values())):,} notes, {characters / 1e6:.1f} MB in {seconds:.0f} s, by both backends: "
        f"{len(broken)} broken {broken[:5]}"
    )
    print(f"ACI-BENCH's ALL-CAPS lines that are titles: {lines - sum(missed.values())} of {lines}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--errors", action="store_true", help="list differences by note id and offset")
    parser.add_argument("--text", action="store_true", help="with the text around them")
    arguments = parser.parse_args()
    notes = {name: read_notes(name) for name in SETS}
    compare(notes, arguments.errors, arguments.text)
    check_all(notes)


if __name__ == "__main__":
    main()
