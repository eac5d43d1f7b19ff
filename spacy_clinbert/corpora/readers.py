"""Registered corpus readers: a corpus in its native form, straight into a training config.

[corpora.train]
@readers = "spacy_clinbert.I2b2_2010.v1"
path = ${paths.corpus}
split = "train"
"""

from pathlib import Path
from typing import Callable, Iterator, Literal

from spacy.language import Language
from spacy.training import Example
from spacy.util import registry

from ..errors import ClinbertError

Reader = Callable[[Language], Iterator[Example]]


def _reader(name: str, form_name: str) -> Callable[..., Reader]:
    @registry.readers(name)
    def make_reader(path: Path, split: Literal["train", "dev", "test"], seed: int = 0, layer: str = "") -> Reader:
        """Make a reader that gives what `clinbert convert` would write.

        path (Path): the corpus in its native form.
        split (str): "train", "dev" or "test"; the development split is drawn as by `clinbert convert`.
        seed (int): draws the development split.
        layer (str): a layer of the form, or one of its labels, to which the mentions are restricted; empty for all.
        RETURNS (Reader): gives an Example for each document: the bare Doc and the annotated one. It raises a
            ClinbertError if a document cannot be read or the split holds none.
        """

        def read_examples(nlp: Language) -> Iterator[Example]:
            # Not at import: spaCy imports this module at every start.
            from .catalogue import find_format
            from .convert import Conversion, Rejected, read
            from .docs import make_doc
            from .splits import divide

            job = Conversion(find_format(form_name), path, seed, layer=layer)
            empty = True
            for item in read(job, divide(job.form.entries(path), job.split, seed), {split}):
                if not isinstance(item, Rejected):
                    empty = False
                    doc, _ = make_doc(item[1], nlp.tokenizer, job.form)
                    yield Example(nlp.make_doc(item[1].text), doc)
            if empty:
                raise ClinbertError(
                    f"{path}: no {split} documents in the form {form_name}: give another folder or split"
                )

        return read_examples

    return make_reader


brat = _reader("spacy_clinbert.Brat.v1", "brat")
conll = _reader("spacy_clinbert.Conll.v1", "conll")
i2b2_2006 = _reader("spacy_clinbert.I2b2_2006.v1", "i2b2_2006")
i2b2_2006_smoking = _reader("spacy_clinbert.I2b2_2006_Smoking.v1", "i2b2_2006_smoking")
i2b2_2008 = _reader("spacy_clinbert.I2b2_2008.v1", "i2b2_2008")
i2b2_2010 = _reader("spacy_clinbert.I2b2_2010.v1", "i2b2_2010")
i2b2_2012 = _reader("spacy_clinbert.I2b2_2012.v1", "i2b2_2012")
i2b2_2014 = _reader("spacy_clinbert.I2b2_2014.v1", "i2b2_2014")
labelled = _reader("spacy_clinbert.Labelled.v1", "labelled")
mednli = _reader("spacy_clinbert.MedNLI.v1", "mednli")
n2c2_2018 = _reader("spacy_clinbert.N2c2_2018.v1", "n2c2_2018")
n2c2_2018_track1 = _reader("spacy_clinbert.N2c2_2018_Track1.v1", "n2c2_2018_track1")
pubmed_rct = _reader("spacy_clinbert.PubMedRCT.v1", "pubmed_rct")
pubtator = _reader("spacy_clinbert.PubTator.v1", "pubtator")
semclinbr = _reader("spacy_clinbert.SemClinBr.v1", "semclinbr")
