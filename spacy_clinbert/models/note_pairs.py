"""`spacy_clinbert.NotePairs.v1`: a Hugging Face BERT over pairs of texts, one row per pair."""

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from spacy import registry
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d

from ..errors import ClinbertError
from .batches import MicroBatch, Sequences, first_places, lay_out
from .openvino_graph import has_types
from .passes import check_range, find_length, find_shim, make_encoder, require_cls
from .run_settings import RunSettings
from .transformer_shim import TransformerShim
from .wordpieces import has_text

KIND = "NotePairs"


@registry.architectures("spacy_clinbert.NotePairs.v1")
def NotePairs(
    name: str,
    premise_key: str = "premise",
    hypothesis_key: str = "hypothesis",
    max_pieces: Optional[int] = None,
    max_batch_pieces: int = 4096,
    pooler: bool = True,
    mixed_precision: str = "no",
    dropout: Optional[float] = None,
    freeze_layers: int = 0,
    device: str = "auto",
    width: Optional[int] = None,
    engine: str = "torch",
    precision: str = "fp32",
) -> Model[List[Doc], List[Floats2d]]:
    """Build an encoder of pairs: `[CLS] premise [SEP] hypothesis [SEP]` with token types 0 and 1, one row per pair.

    Where the two are too long, the last wordpiece of the longer one goes, one at a time, of the hypothesis where both
    are as long (`_truncate_seq_pair` of Devlin et al. 2019). Models of another form or without token types (RoBERTa)
    get their own.

    name (str): catalogue alias (`clinbert encoders`), hub id, or folder with a Hugging Face encoder and a fast
        tokenizer.
    premise_key, hypothesis_key (str): keys of the two in `doc.spans`; a group without spans is an empty text.
    max_pieces (Optional[int]): wordpieces of a pair, special pieces included; None for the length the encoder was
        trained at.
    max_batch_pieces (int): padded wordpieces in one micro-batch, whatever the number of Docs; bounds the memory.
    pooler (bool): whether a row goes through the pooler that BERT has on `[CLS]`; where the encoder or its files have
        none, rows are raw.
    mixed_precision, dropout, freeze_layers, device, width, engine, precision: as for `spacy_clinbert.NoteEncoder.v1`.
    RETURNS (Model[List[Doc], List[Floats2d]]): rows of shape (1, width) per Doc.
    RAISES (ClinbertError): for a setting out of range, or an engine that is not installed.
    """
    check_range(KIND, "max_pieces", max_pieces, 5)
    settings = RunSettings(device, mixed_precision, dropout, freeze_layers, max_batch_pieces, pooler, engine, precision)
    layout = PairLayout(premise_key, hypothesis_key, max_pieces)
    return make_encoder(KIND, name, width, settings, layout, rows="pair")


def count_left_out(model: Model[List[Doc], List[Floats2d]], doc: Doc) -> int:
    """Count the wordpieces of a pair that are left out since it is too long.

    model (Model[List[Doc], List[Floats2d]]): what `NotePairs` built, initialized or loaded.
    doc (Doc): the pair.
    RETURNS (int): number of wordpieces.
    """
    shim = find_shim(model)
    layout: PairLayout = shim.layout  # type: ignore[assignment]
    first, second = layout.cut(shim, doc)
    return len(first) + len(second) - sum(shortened(len(first), len(second), layout.limit(shim)))


@dataclass(frozen=True)
class PairLayout:
    """One row per pair; the fields are the settings of `NotePairs`."""

    premise_key: str
    hypothesis_key: str
    max_pieces: Optional[int]

    def __call__(
        self, shim: TransformerShim, docs: Sequence[Doc], is_train: bool
    ) -> Tuple[List[MicroBatch], List[int]]:
        """Lay pairs into micro-batches."""
        assert shim.pieces is not None
        form, limit = shim.pieces.pair_form, self.limit(shim)
        require_cls(KIND, form.before)
        typed = has_types(shim.model_config)
        sequences = Sequences(unique=not is_train)
        numbers = []
        for doc in docs:
            first, second = self.cut(shim, doc)
            n_first, n_second = shortened(len(first), len(second), limit)
            ids, types = form.frame(first[:n_first], second[:n_second])
            numbers.append(sequences.add(ids, types if typed else ()))
        batches = lay_out(sequences, first_places(numbers), shim.pieces.pad_id, shim.bounds(is_train))
        return batches, [1] * len(docs)

    def limit(self, shim: TransformerShim) -> int:
        """The wordpieces that two texts may have together."""
        assert shim.pieces is not None
        return find_length(shim, KIND, self.max_pieces) - shim.pieces.pair_form.n_specials

    def cut(self, shim: TransformerShim, doc: Doc) -> Tuple[List[int], List[int]]:
        """The wordpieces of both texts, whole."""
        assert shim.pieces is not None
        for key in (self.premise_key, self.hypothesis_key):
            if key not in doc.spans and any(has_text(token.text) for token in doc):
                raise ClinbertError(
                    f'{KIND}: a Doc has no doc.spans["{key}"]: make it with make_pair, and read a corpus with '
                    f'spacy_clinbert.Corpus.v1 and carry = ["spans:{self.premise_key}", "spans:{self.hypothesis_key}"]'
                )
        first, second = (
            [piece for span in doc.spans.get(key, []) for token in span for piece in shim.pieces.cut(token.text)]
            for key in (self.premise_key, self.hypothesis_key)
        )
        return first, second


def shortened(first: int, second: int, limit: int) -> Tuple[int, int]:
    """How many wordpieces of two texts are kept: the longer one loses its last, until both fit.

    first, second (int): how many they have; limit (int): how many they may have together.
    RETURNS (Tuple[int, int]): how many of each are kept. Of two that are as long, the second loses first.
    """
    if first + second <= limit:
        return first, second
    kept = min(first, max(limit - second, (limit + 1) // 2))
    return kept, limit - kept
