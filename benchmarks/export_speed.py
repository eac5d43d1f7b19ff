"""Time of `clinbert export` against the chain of public parts, and its memory, on the open MTSamples notes.

The chain is what one had to do until now: scispaCy's tokenizer and `pysbd_sentencizer` on each note, the wordpieces of
BERT's own tokenizer in Python, and Google's algorithm in plain Python (bert_reference.py). Ours is the whole command on
one worker, files written and checksums taken, by the recipe `clinicalbert` (128 pieces, five copies), with its own
sentences (pySBD's rules) and with the backend `fast`. The chain is timed without the start of Python and its imports;
a row has ours without them, too, from what more notes cost. All use one vocabulary, trained on the notes. Memory is
measured on the notes once and ten times over.
Run: python benchmarks/export_speed.py [--notes 1900] [--rounds 3]; the open notes are looked for in CLINBERT_SHARED.
"""

import argparse
import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import bert_reference
import spacy
from scispacy.custom_sentence_segmenter import pysbd_sentencizer
from scispacy.custom_tokenizer import combined_rule_tokenizer
from transformers import BertTokenizer, BertTokenizerFast

from spacy_clinbert.corpora.notes import Note
from spacy_clinbert.pretraining.manifest import read_manifest
from spacy_clinbert.pretraining.vocabulary import train_vocabulary, write_tokenizer

SHARED = Path(os.environ.get("CLINBERT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
COPIES = 5
BACKENDS = ("pysbd", "fast")


def chain(texts: list[str], tokenizer: Any) -> tuple[dict[str, float], int]:
    """Run the public parts; return the seconds of each and the number of examples."""
    nlp = spacy.blank("en")
    nlp.tokenizer = combined_rule_tokenizer(nlp)
    nlp.max_length = 10**9
    began = time.perf_counter()
    sentences = [[sentence.text for sentence in pysbd_sentencizer(nlp.make_doc(text)).sents] for text in texts]
    cut = time.perf_counter()
    documents = [[tokenizer.convert_tokens_to_ids(tokenizer.tokenize(s)) for s in note] for note in sentences]
    pieced = time.perf_counter()
    vocabulary = bert_reference.Vocabulary(
        tokenizer.cls_token_id,
        tokenizer.sep_token_id,
        tokenizer.mask_token_id,
        range(len(tokenizer)),
        frozenset(number for piece, number in tokenizer.get_vocab().items() if piece.startswith("##")),
    )
    made = bert_reference.create_instances(documents, COPIES, vocabulary, bert_reference.Limits(), random.Random(12345))
    ended = time.perf_counter()
    return {"sentences": cut - began, "wordpieces": pieced - cut, "examples": ended - pieced}, len(made)


def export(notes: Path, tokenizer: Path, out: Path, backend: str) -> tuple[float, int, float]:
    """Run the command; return seconds, examples and its peak memory in MB."""
    command = [sys.executable, "-m", "spacy_clinbert", "export", str(notes), str(out), "--recipe", "clinicalbert"]
    command += ["--tokenizer", str(tokenizer), "--export.sentences", backend]
    began = time.perf_counter()
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(run.pid, 0)
    if status:
        raise SystemExit(run.stderr.read().decode() if run.stderr else "the export failed")
    seconds = time.perf_counter() - began
    return seconds, read_manifest(out).counts["instances"], usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notes", type=int, default=1900)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed, by turns")
    args = parser.parse_args()
    with gzip.open(SHARED / "data" / "notes" / "mtsamples.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines][: args.notes]
    texts = [row["text"] for row in rows]
    notes = [Note(row["note_id"], row["text"]) for row in rows]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trained = train_vocabulary(lambda: notes, size=8000, min_notes=3, cased=True)
        (folder / "vocabulary").mkdir()
        write_tokenizer(trained.pieces, folder / "vocabulary", cased=True, length=128)
        for times in (1, 10):
            with (folder / f"notes{times}.jsonl").open("w", encoding="utf-8") as file:
                for turn in range(times):
                    file.writelines(
                        json.dumps({"note_id": f"{turn}-{row['note_id']}", "text": row["text"]}) + "\n" for row in rows
                    )
        slow = BertTokenizer.from_pretrained(folder / "vocabulary", do_lower_case=False)
        fast = BertTokenizerFast.from_pretrained(folder / "vocabulary")
        theirs: list[tuple[dict[str, float], int]] = []
        ours: dict[str, list[tuple[float, int, float]]] = {backend: [] for backend in BACKENDS}
        for number in range(args.rounds):
            theirs.append(chain(texts, slow))
            for backend, runs in ours.items():
                out = folder / f"{backend}-{number}"
                runs.append(export(folder / "notes1.jsonl", folder / "vocabulary", out, backend))
        with_fast, _ = chain(texts, fast)
        ten = export(folder / "notes10.jsonl", folder / "vocabulary", folder / "ten", BACKENDS[-1])
    parts = {part: statistics.median(one[part] for one, _ in theirs) for part in theirs[0][0]}
    their = sum(parts.values())
    print(f"| | seconds, median of {args.rounds} | examples | times faster |\n| --- | ---: | ---: | ---: |")
    for part, seconds in parts.items():
        print(f"| chain of public parts: {part} | {seconds:.1f} | | |")
    print(f"| chain of public parts, all | {their:.1f} | {theirs[0][1]:,} | 1.0 |")
    others = sum(with_fast.values())
    print(f"| the same with the fast tokenizer (once) | {others:.1f} | {theirs[0][1]:,} | {their / others:.1f} |")
    for backend, runs in ours.items():
        our = statistics.median(one[0] for one in runs)
        print(f"| `clinbert export`, sentences by `{backend}` | {our:.1f} | {runs[0][1]:,} | {their / our:.1f} |")
    # The chain's time is without its imports, and so is what more notes cost.
    more = (ten[0] - our) / 9
    name = "the same without its start: a ninth of what nine times more notes take"
    print(f"| {name} | {more:.1f} | | {their / more:.1f} |")
    print("\n| notes | seconds | peak memory, MB |\n| ---: | ---: | ---: |")
    print(f"| {len(rows):,} | {our:.1f} | {statistics.median(one[2] for one in runs):.0f} |")
    print(f"| {10 * len(rows):,} | {ten[0]:.1f} | {ten[2]:.0f} |")


if __name__ == "__main__":
    main()
