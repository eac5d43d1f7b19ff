"""Annotation of many notes: one function from Arrow record batches to Arrow record batches, whatever runs it."""

import sys
from functools import lru_cache
from itertools import pairwise, takewhile
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

import pyarrow as pa
import spacy
from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc

from .. import register_extensions
from ..components.sections import read_sections
from ..errors import ClinbertError
from .batches import slices
from .failures import failure
from .schemas import OUTPUT_SCHEMA

# The column of Docs that have been through tokenizer and rules, as bytes; null where they could not.
PREPARED = "clinbert_prepared"
# Errors of spaCy and of imports, whose first line says what is wrong with a pipeline.
_CLEAR = (OSError, ValueError, ImportError)


def annotate_batches(batches: Iterable[pa.RecordBatch], model: str, batch_size: int = 64) -> Iterator[pa.RecordBatch]:
    """Annotate notes with a spaCy pipeline, which is loaded once in a process.

    batches (Iterable[pa.RecordBatch]): notes as columns `note_id` and `text`, and `PREPARED` where `feeder.feed` has
        run the rules already; further columns are not looked at.
    model (str): folder of a saved pipeline, or name of an installed one.
    batch_size (int): notes that go through the pipeline together; fewer, where they are long.
    RETURNS (Iterator[pa.RecordBatch]): batches of `OUTPUT_SCHEMA` with at most `batch_size` rows, a row a note in their
        order. A note on which the pipeline fails has the reason in `rejected`; the notes beside it do not suffer.
    RAISES (ClinbertError): if the pipeline cannot be loaded.
    """
    nlp = load_pipeline(model)
    for batch in batches:
        for notes in slices(batch, batch_size):
            ids, texts = notes.column("note_id").to_pylist(), notes.column("text").to_pylist()
            # At its end the vocabulary forgets the words of these notes; else it would grow with every new one.
            with nlp.memory_zone():
                annotations = _annotate(nlp, texts, _prepared(notes))
            rows = [{"note_id": note_id, **row} for note_id, row in zip(ids, annotations, strict=True)]
            yield pa.RecordBatch.from_pylist(rows, OUTPUT_SCHEMA)


@lru_cache(maxsize=1)
def load_pipeline(model: str, exclude: Tuple[str, ...] = ()) -> Language:
    """Load a pipeline for notes of any length, or give the one that this process loaded last.

    model (str): folder of a saved pipeline, or name of an installed one.
    exclude (Tuple[str, ...]): components to leave out.
    RETURNS (Language): the pipeline.
    RAISES (ClinbertError): if it cannot be loaded.
    """
    register_extensions()
    try:
        nlp = spacy.load(model, exclude=exclude)
    except Exception as error:
        # Besides spaCy's own errors, whatever the readers of damaged files raise.
        reason = str(error).strip().split("\n")[0] if isinstance(error, _CLEAR) else type(error).__name__
        raise ClinbertError(
            f"pipeline {model} cannot be loaded ({reason}): give the folder of a saved or the name of an installed one"
        ) from error
    nlp.max_length = sys.maxsize
    return nlp


def rule_names(nlp: Language) -> List[str]:
    """Name the components before the first that has a model: with the tokenizer, what needs no GPU.

    nlp (Language): a pipeline.
    RETURNS (List[str]): the names, in order.
    """
    return [name for name, _ in takewhile(lambda pipe: not isinstance(pipe[1], TrainablePipe), nlp.pipeline)]


def _prepared(notes: pa.RecordBatch) -> List[Optional[bytes]]:
    found = PREPARED in notes.schema.names
    return notes.column(PREPARED).to_pylist() if found else [None] * notes.num_rows


def _annotate(nlp: Language, texts: List[str], prepared: List[Optional[bytes]]) -> List[Dict[str, Any]]:
    try:
        ready = [doc for doc in prepared if doc]
        if len(ready) == len(texts):
            docs = nlp.pipe((Doc(nlp.vocab).from_bytes(doc) for doc in ready), disable=rule_names(nlp))
        else:
            docs = nlp.pipe(texts)
        return [_annotations(doc, text) for doc, text in zip(docs, texts, strict=True)]
    # What a component does with `sys.exit` would end the work as if all were done.
    except (Exception, SystemExit) as error:
        if len(texts) > 1:
            return [row for text, doc in zip(texts, prepared, strict=True) for row in _annotate(nlp, [text], [doc])]
        return [{"rejected": failure(error)}]


def _annotations(doc: Doc, text: str) -> Dict[str, Any]:
    if doc.text != text:
        raise ValueError("the pipeline's tokenizer changes the text, so its offsets are not those of the note")
    sections = doc.spans.get("sections")
    starts = [sentence.start_char for sentence in (doc.sents if doc.has_annotation("SENT_START") else [])]
    return {
        "sections": [
            {
                "start": section.start,
                "end": section.end,
                "title": section.title or None,
                "category": section.category or None,
                "level": section.level,
            }
            for section in (read_sections(doc, "sections") if sections else [])
        ],
        # A span ends where its last token does, before the blank behind it.
        "sentences": [{"start": start, "end": end} for start, end in pairwise([*starts, len(text)])],
        "entities": [
            {
                "start": entity.start_char,
                "end": entity.end_char,
                "label": entity.label_,
                "score": entity._.clinbert_score,
                "section": entity._.clinbert_section or None,
            }
            for entity in doc.ents
        ],
        "dropped": sections.attrs.get("dropped", 0) if sections else 0,
    }
