from pathlib import Path

import pytest
import spacy
from spacy.training.corpus import Corpus
from spacy.util import registry

from spacy_clinbert.corpora.catalogue import FORMATS, find_format
from spacy_clinbert.corpora.convert import Conversion, convert
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.synthetic.i2b2_2010 import make_record, write_i2b2_2010


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    write_i2b2_2010(folder, (make_record(number, 0) for number in range(1, 25)))
    return folder


def test_a_reader_gives_what_convert_writes(corpus: Path, tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    convert(Conversion(find_format("i2b2_2010"), corpus, seed=3), tmp_path / "out", nlp.tokenizer)
    make = registry.readers.get("spacy_clinbert.I2b2_2010.v1")
    for split in ("train", "dev", "test"):
        direct = list(make(path=corpus, split=split, seed=3)(nlp))
        through = list(Corpus(tmp_path / "out" / f"{split}.spacy")(nlp))
        assert [one.reference.to_json() for one in direct] == [one.reference.to_json() for one in through]
        assert all(not one.predicted.ents and one.predicted.text == one.reference.text for one in direct)


def test_one_label_alone(corpus: Path) -> None:
    nlp = spacy.blank("en")
    make = registry.readers.get("spacy_clinbert.I2b2_2010.v1")
    ents = [ent.label_ for one in make(path=corpus, split="train", layer="problem")(nlp) for ent in one.reference.ents]
    assert ents and set(ents) == {"problem"}


def test_a_split_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    make = registry.readers.get("spacy_clinbert.I2b2_2010.v1")
    with pytest.raises(ClinbertError, match="no dev documents in the form i2b2_2010"):
        list(make(path=tmp_path / "empty", split="dev")(spacy.blank("en")))


def test_every_form_has_its_reader() -> None:
    ours = {name.split(".")[1].lower() for name in registry.readers.get_all() if name.startswith("spacy_clinbert.")}
    assert {name.replace("_", "") for name in FORMATS} <= {name.replace("_", "") for name in ours}
