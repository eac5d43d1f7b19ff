"""`spacy_clinbert.NoteMentions.v1`: a Hugging Face BERT over marked entities in their sentences, one row per entity."""

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import numpy as np
from spacy import registry
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d

from .batches import MicroBatch, Sequences, lay_out
from .doc_windows import watch_annotations
from .mention_rows import in_sentences
from .passes import check_range, find_length, make_encoder
from .run_settings import RunSettings
from .transformer_shim import TransformerShim

KIND = "NoteMentions"
# A piece that every vocabulary has (Zhou and Chen 2022, "entity marker (punct)"): no new one has to be learned.
MARKER = "@"


@registry.architectures("spacy_clinbert.NoteMentions.v1")
def NoteMentions(
    name: str,
    max_pieces: Optional[int] = None,
    max_batch_pieces: int = 4096,
    mixed_precision: str = "no",
    dropout: Optional[float] = None,
    freeze_layers: int = 0,
    device: str = "auto",
    width: Optional[int] = None,
    engine: str = "torch",
    precision: str = "fp32",
) -> Model[List[Doc], List[Floats2d]]:
    """Build an encoder of entities: each goes through with its sentence, between two markers, `[CLS] no @ fever @ or
    chills [SEP]`, and its row is that of the first marker (Baldini Soares et al. 2019; Zhou and Chen 2022).

    A sentence with three entities is encoded three times. Where a sentence is too long, as much of it is kept on both
    sides of the entity as there is room for; a longer entity is cut behind.

    name (str): catalogue alias (`clinbert encoders`), hub id, or folder with a Hugging Face encoder and a fast
        tokenizer.
    max_pieces (Optional[int]): wordpieces of a sequence, markers and special pieces included; None for the length the
        encoder was trained at.
    max_batch_pieces (int): padded wordpieces in one micro-batch, whatever the number of entities; bounds the memory.
    mixed_precision, dropout, freeze_layers, device, width, engine, precision: as for `spacy_clinbert.NoteEncoder.v1`.
    RETURNS (Model[List[Doc], List[Floats2d]]): rows of shape (len(doc.ents), width) per Doc, in the order of
        `doc.ents`.
    RAISES (ClinbertError): for a setting out of range, or an engine that is not installed.
    """
    check_range(KIND, "max_pieces", max_pieces, 8)
    settings = RunSettings(
        device, mixed_precision, dropout, freeze_layers, max_batch_pieces, engine=engine, precision=precision
    )
    return make_encoder(KIND, name, width, settings, MentionLayout(max_pieces), rows="mention")


@dataclass(frozen=True)
class MentionLayout:
    """One row per entity.

    max_pieces (Optional[int]): see `NoteMentions`.
    """

    max_pieces: Optional[int]

    def __call__(
        self, shim: TransformerShim, docs: Sequence[Doc], is_train: bool
    ) -> Tuple[List[MicroBatch], List[int]]:
        """Lay marked entities into micro-batches."""
        assert shim.pieces is not None
        # Sections are none of its concern: no Doc has spans under an empty key.
        watch_annotations(shim, docs, KIND, "", is_train)
        sequences = Sequences(unique=not is_train)
        picks: List[Tuple[int, int, int, float]] = []
        for doc in docs:
            for ids, place in self.mark(shim, doc):
                number = sequences.add(shim.pieces.frame(ids))
                picks.append((number, place + len(shim.pieces.prefix), len(picks), 1.0))
        table = np.array(picks, dtype=float).reshape(-1, 4)
        batches = lay_out(sequences, table, shim.pieces.pad_id, shim.bounds(is_train))
        return batches, [len(doc.ents) for doc in docs]

    def mark(self, shim: TransformerShim, doc: Doc) -> List[Tuple[List[int], int]]:
        """Mark the entities of a Doc.

        shim (TransformerShim): the encoder, for its tokenizer and lengths.
        doc (Doc): the document.
        RETURNS (List[Tuple[List[int], int]]): for each entity the wordpieces, and where among them its marker stands.
        """
        assert shim.pieces is not None
        marker = shim.pieces.cut(MARKER)
        limit = find_length(shim, KIND, self.max_pieces) - shim.pieces.n_specials - 2 * len(marker)
        marked = []
        for ent, (low, high) in in_sentences(doc):
            before, inside, behind = (
                [piece for token in doc[start:end] for piece in shim.pieces.cut(token.text)]
                for start, end in ((low, ent.start), (ent.start, ent.end), (ent.end, high))
            )
            inside = inside[:limit]
            room = limit - len(inside)
            n_before = min(len(before), max(room // 2, room - len(behind)))
            kept = before[len(before) - n_before :]
            marked.append(([*kept, *marker, *inside, *marker, *behind[: room - n_before]], n_before))
        return marked
