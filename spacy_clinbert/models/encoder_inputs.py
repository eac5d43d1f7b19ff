"""What the encoders of a pipeline read on given notes: sequences of wordpieces."""

from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterable, List, Sequence, Union

from spacy.language import Language
from spacy.tokens import Doc
from tqdm import tqdm

from ..corpora.sources import read_source
from ..training.corpus import make_corpus
from .batches import MicroBatch
from .openvino_engine import Arrays
from .transformer_shim import find_shims

# Different sequences of each encoder, for `quantization.quantize` to choose from.
ENOUGH = 1000


def read_docs(source: Union[str, Path], nlp: Language) -> Iterable[Union[str, Doc]]:
    """What a pipeline is given: the texts of notes, or the Docs of a .spacy file with all that is annotated.

    source (Union[str, Path]): a .spacy file, or whatever `read_source` reads.
    nlp (Language): the pipeline.
    RAISES (ClinbertError): if the source cannot be read.
    """
    if str(source).endswith(".spacy"):
        return (example.reference for example in make_corpus(source, carry=[])(nlp))
    return (note.text for note in read_source(source))


def read_inputs(nlp: Language, docs: Iterable[Union[str, Doc]]) -> List[List[Arrays]]:
    """Run a pipeline over notes until each of its encoders has read enough.

    nlp (Language): the pipeline; not to be used afterwards.
    docs (Iterable[Union[str, Doc]]): the notes.
    RETURNS (List[List[Tuple[ndarray, ndarray, Optional[ndarray]]]]): of each encoder the different sequences, each a
        batch of its own without padding.
    """
    read: List[Dict[Any, Arrays]] = []
    for shim in find_shims(nlp):
        read.append({})
        shim.watch = partial(_keep, read[-1])
    with tqdm(total=ENOUGH, unit=" sequences", desc="reading notes", disable=None) as progress:
        for _ in nlp.pipe(docs, batch_size=16):
            least = min(map(len, read))
            progress.update(min(least, ENOUGH) - progress.n)
            if least >= ENOUGH:
                break
    return [list(known.values()) for known in read]


def _keep(known: Dict[Any, Arrays], batches: Sequence[MicroBatch]) -> None:
    """Keep the sequences of micro-batches that are not known yet."""
    for batch in batches:
        for i, length in enumerate(batch.mask.sum(axis=1)):
            types = None if batch.types is None else batch.types[i : i + 1, :length].copy()
            ids, mask = (part[i : i + 1, :length].copy() for part in (batch.ids, batch.mask))
            known.setdefault((ids.tobytes(), b"" if types is None else types.tobytes()), (ids, mask, types))
