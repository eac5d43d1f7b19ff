"""`spacy train` with configs/ner.cfg: the same windows at training and evaluation; and many workers after it."""

import subprocess
import sys
from pathlib import Path

import pytest
import spacy
import torch
from spacy.cli.train import train
from spacy.tokens import DocBin

from spacy_clinbert.models import doc_windows, passes

CONFIG = Path(__file__).parents[2] / "configs" / "ner.cfg"
NOTE = """Chief Complaint:
Chest pain and nausea.

History of Present Illness:
The patient was admitted on [**2101-3-4**] with chest pain. He denies fever. He was
given aspirin daily.

# Hypertension: on lisinopril.

Discharge Medications:
1. Aspirin 81 mg daily
2. Metformin 500 mg
"""
MENTIONS = {
    "Chest pain": "problem",
    "nausea": "problem",
    "fever": "problem",
    "aspirin": "treatment",
    "Metformin": "treatment",
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}})
    notes = DocBin()
    for i in range(4):
        doc = nlp(NOTE * (i + 1))
        doc.ents = [doc.char_span(NOTE.index(m), NOTE.index(m) + len(m), label=label) for m, label in MENTIONS.items()]
        notes.add(doc)
    path = tmp_path_factory.mktemp("corpus") / "notes.spacy"
    notes.to_disk(path)
    return path


@pytest.fixture(scope="module")
def run(corpus, tiny_bert, tmp_path_factory):
    """Train for eight steps, and keep what the encoder cut into windows, at training and at evaluation."""
    output = tmp_path_factory.mktemp("model")
    overrides = {
        "paths.train": str(corpus),
        "paths.dev": str(corpus),
        "paths.encoder": str(tiny_bert),
        "corpora.train.@readers": "spacy.Corpus.v1",
        "training.max_steps": 8,
        "training.eval_frequency": 1,
    }
    seen = {True: set(), False: set()}
    forward, cut, training = passes.forward, doc_windows.cut_windows, []

    def watched_forward(model, docs, is_train, **settings):
        training.append(is_train)
        return forward(model, docs, is_train, **settings)

    def watched_cut(starts, *arguments):
        windows = cut(starts, *arguments)
        seen[training[-1]].add((len(starts), tuple(windows)))
        return windows

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "forward", watched_forward)
        patch.setattr(doc_windows, "cut_windows", watched_cut)
        # Four notes of different length: each has a batch, and none is left out.
        train(CONFIG, output, overrides=overrides)
    return output / "model-last", seen


def test_training_and_evaluation_cut_the_same_windows(run):
    _, seen = run
    assert len(seen[True]) == 4
    assert seen[True] <= seen[False]
    # The sample at initialization is of bare Docs, whose windows are others.
    assert max(len(windows) for _, windows in seen[True]) > 20


def test_the_trained_pipeline_remembers_what_its_windows_were_cut_at(run):
    nlp = spacy.load(run[0])
    shim = next(node.shims[0] for node in nlp.get_pipe("clinbert_ner").model.walk() if node.shims)
    assert shim.cfg["trained_with"] == {"sentences": True, "sections": True}
    with pytest.warns(UserWarning, match="without sentences and without sections"):
        nlp(NOTE, disable=["clinbert_sections", "clinbert_sentences"])


WORKERS = """
import multiprocessing, sys
import spacy, torch

def found(docs):
    return [[(e.start_char, e.end_char, e.label_, round(e._.clinbert_score, 4)) for e in doc.ents] for doc in docs]

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[2])
    torch.set_num_threads(2)
    nlp = spacy.load(sys.argv[1])
    texts = [open(sys.argv[3]).read() * n for n in (1, 2, 3, 1, 2)]
    alone = found(nlp.pipe(texts))
    assert found(nlp.pipe(texts, n_process=2, batch_size=2)) == alone
    print(len(alone), "equal")
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_two_workers_after_a_forward_pass_with_two_threads(run, tmp_path, method):
    script, note = tmp_path / "workers.py", tmp_path / "note.txt"
    script.write_text(WORKERS)
    note.write_text(NOTE)
    command = [sys.executable, str(script), str(run[0]), method, str(note)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "5 equal", done.stderr[-2000:]


def test_threads_of_this_process_are_left_alone(run):
    before = torch.get_num_threads()
    spacy.load(run[0])(NOTE)
    assert torch.get_num_threads() == before
