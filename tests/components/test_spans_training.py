"""Training `clinbert_spans` with configs/spans*.cfg: whole sentences with all their mentions."""

from pathlib import Path

import pytest
import spacy
from spacy.cli.train import train
from spacy.tokens import DocBin
from spacy.util import load_config, walk_dict

from spacy_clinbert.corpora.docs import GOLD, make_doc
from spacy_clinbert.corpora.gold_spans import gold_mentions
from spacy_clinbert.corpora.records import Mention, Record
from spacy_clinbert.corpora.semclinbr import FORMAT
from spacy_clinbert.synthetic.semclinbr import make_record
from spacy_clinbert.training.sentences import make_sentences_reader

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(scope="module")
def nlp():
    return spacy.blank("pt", config={"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}})


def write(nlp, records, path):
    docs = [make_doc(record, nlp.tokenizer, FORMAT)[0] for record in records]
    DocBin(attrs=["ENT_IOB", "ENT_TYPE"], store_user_data=True, docs=docs).to_disk(path)
    return path


def test_sentences_keep_their_spans_and_all_their_gold(nlp, tmp_path):
    """Of two sentences, the first has a discontinuous mention, and one that runs into the second is cut."""
    text = "Nega febre alta .\n\nTosse seca e dor ."
    places = [("febre alta", "Finding"), ("alta .\n\nTosse", "Finding"), ("dor", "Sign or Symptom")]
    mentions = [Mention(((text.index(words), text.index(words) + len(words)),), label) for words, label in places]
    record = Record("1", text, (*mentions, Mention(((0, 4), (11, 15)), "Finding")))
    examples = list(make_sentences_reader(write(nlp, [record], tmp_path / "a.spacy"), "pt")(nlp))
    first, second = (example.reference for example in examples)
    assert [(span.text, span.label_) for span in first.spans[GOLD]] == [
        ("febre alta", "Finding"),
        ("alta .\n\n", "Finding"),
    ]
    assert [(span.text, span.label_) for span in second.spans[GOLD]] == [
        ("Tosse", "Finding"),
        ("dor", "Sign or Symptom"),
    ]
    assert [span.text for span in second.spans["Sign or Symptom"]] == ["dor"]
    assert first.spans.keys() == {GOLD, *FORMAT.layers} and "sections" not in first.spans
    assert not any(example.predicted.spans for example in examples)
    kept = [[(one.fragments, one.label) for one in gold_mentions(doc, GOLD)] for doc in (first, second)]
    begin = second.user_data[GOLD][0][0][0][0]
    assert kept[1] == [(((begin, begin + 3),), "Sign or Symptom")] and second.text[begin : begin + 3] == "dor"
    assert [label for _, label in kept[0]] == ["Finding"] * 3 and kept[0][2][0] == ((0, 4), (11, 15))


def test_no_mention_of_a_corpus_is_lost_by_its_sentences(nlp, tmp_path):
    records = [make_record(number, 0).record for number in range(1, 20)]
    examples = list(make_sentences_reader(write(nlp, records, tmp_path / "a.spacy"), "pt")(nlp))
    assert sum(len(gold_mentions(one.reference, GOLD)) for one in examples) == sum(len(one.mentions) for one in records)
    for one in examples:
        for mention in gold_mentions(one.reference, GOLD):
            assert 0 <= mention.fragments[0][0] < len(one.reference.text)


def settings(name):
    return {".".join(keys): value for keys, value in walk_dict(load_config(CONFIGS / name))}


@pytest.mark.parametrize("suffix", ["", "-semclinbr"])
def test_the_configs_are_those_of_ner_but_for_the_component(suffix):
    ner, spans = settings(f"ner{suffix}.cfg"), settings(f"spans{suffix}.cfg")
    renamed = {key.replace("clinbert_ner", "clinbert_spans"): value for key, value in ner.items()}
    differing = {key for key in renamed.keys() | spans.keys() if renamed.get(key) != spans.get(key)}
    model = "components.clinbert_spans.model.@architectures"
    expected = {"nlp.pipeline", "components.clinbert_spans.factory", "components.clinbert_spans.decoding", model}
    # Where it is null, it differs from no key in nothing that `get` sees.
    assert differing == expected | ({"components.clinbert_spans.gold_key"} if not suffix else set())
    assert "components.clinbert_spans.gold_key" in spans


def test_spacy_train_with_the_layers_of_semclinbr(nlp, tiny_bert, tmp_path):
    records = [make_record(number, 0).record for number in range(1, 13)]
    path = write(nlp, records, tmp_path / "train.spacy")
    overrides = {
        "paths.train": str(path),
        "paths.dev": str(path),
        "paths.encoder": str(tiny_bert),
        "recipe.epochs": 1,
        # No report of a conversion lies beside the file.
        "training.before_to_disk": None,
    }
    train(CONFIGS / "spans-semclinbr.cfg", tmp_path / "model", overrides=overrides)
    trained = spacy.load(tmp_path / "model" / "model-best")
    assert set(trained.get_pipe("clinbert_spans").labels) == {
        label
        for label in FORMAT.layers
        if any(one.label in FORMAT.layers[label] for r in records for one in r.mentions)
    }
    assert {"spans_f", "spans_macro_f", "spans_per_type"} <= trained.meta["performance"].keys()
    assert "clinbert_spans" in trained(records[0].text).spans
