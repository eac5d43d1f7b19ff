"""`clinbert evaluate` on assertions: the gold mentions are given, and mentions are judged only where some are found."""

from pathlib import Path

import pytest
import spacy
from spacy.training import Example
from tiny_corpora import write_corpus
from typer import Typer
from typer.testing import CliRunner

from spacy_clinbert.cli.evaluate import evaluate as command
from spacy_clinbert.corpora.records import Mention, Record
from spacy_clinbert.evaluation.assertion_scorer import score_assertions
from spacy_clinbert.evaluation.evaluate import evaluate
from spacy_clinbert.evaluation.gold import read_gold
from spacy_clinbert.evaluation.run import read_run
from spacy_clinbert.training.corpus import make_corpus

# Of the last document, one mention is no entity and one is not asserted.
RECORDS = [
    ("No fever , has cough", [("fever", "absent"), ("cough", "present")]),
    ("No pneumonia", [("pneumonia", "absent")]),
    ("Has nausea after aspirin , febrile", [("nausea", "present"), ("aspirin", ""), ("feb", "present")]),
]
CNN = {
    "@architectures": "spacy.HashEmbedCNN.v2",
    "width": 32,
    "depth": 2,
    "embed_size": 500,
    "window_size": 1,
    "maxout_pieces": 2,
    "subword_features": True,
    "pretrained_vectors": None,
}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    records = []
    for number, (text, mentions) in enumerate(RECORDS):
        found = (((text.index(words), text.index(words) + len(words)), assertion) for words, assertion in mentions)
        kept = tuple(Mention((place,), "problem", assertion=one) for place, one in found)
        records.append(Record(f"r{number}", text, kept))
    return write_corpus(tmp_path / "corpus/dev.spacy", records)


@pytest.fixture
def nlp(corpus: Path) -> spacy.Language:
    pipeline = spacy.blank("en")
    model = {"@architectures": "spacy_clinbert.MentionClassifier.v1", "tok2vec": CNN}
    pipeline.add_pipe("clinbert_assertion", config={"model": model})
    examples = list(make_corpus(corpus, carry=["ents"])(pipeline))
    with pytest.warns(UserWarning, match="1 of 5 gold assertions"):
        optimizer = pipeline.initialize(lambda: examples)
    optimizer.learn_rate = 0.01
    for _ in range(25):
        pipeline.update(examples, sgd=optimizer)
    return pipeline


def test_gold_mentions_are_given_and_mentions_are_not_judged_where_none_are_found(nlp, corpus, tmp_path):
    nlp.to_disk(tmp_path / "model")
    app = Typer()
    app.command()(command)
    result = CliRunner().invoke(app, [str(tmp_path / "model"), str(corpus), "--output", str(tmp_path / "run")])
    assert result.exit_code == 0, result.exception
    assert "assertions, by label" in result.stdout and "Has nausea" not in result.stdout
    run = read_run(tmp_path / "run")
    assert "document" not in run.scores and set(run.rows) == {"assertions"}
    micro = run.scores["assertions"]["micro"]
    assert (micro["p"], micro["r"]) == (1.0, 0.8)
    assert "as the challenge" in (tmp_path / "run" / "report.html").read_text()


def test_it_is_what_the_component_scores(nlp, corpus):
    found = evaluate(nlp, read_gold(corpus), model="m").run.scores["assertions"]
    scores = nlp.evaluate(list(make_corpus(corpus, carry=["ents"])(nlp)))
    assert found["micro"]["f"] == pytest.approx(scores["assertion_f"])
    assert found["macro"]["f"] == pytest.approx(scores["assertion_macro_f"])


def test_a_pipeline_that_finds_mentions_is_judged_on_both(nlp, corpus):
    """What the rules find has no part in the score of assertions, whose entities are given."""
    nlp.add_pipe("entity_ruler", first=True).add_patterns([{"label": "problem", "pattern": "cough"}])
    run = evaluate(nlp, read_gold(corpus), model="m").run
    assert run.scores["assertions"]["micro"]["r"] == 0.8
    assert run.scores["document"]["strict"]["micro"]["p"] == 1.0
    docs = nlp.pipe(text for text, _ in RECORDS)
    golds = [example.reference for example in make_corpus(corpus, carry=["ents"])(nlp)]
    end_to_end = score_assertions([Example(doc, gold) for doc, gold in zip(docs, golds)])
    assert end_to_end["assertion_r"] == pytest.approx(1 / 5)


def test_a_corpus_or_pipeline_without_assertions_has_no_such_score(nlp, corpus):
    rules = spacy.blank("en")
    rules.add_pipe("entity_ruler").add_patterns([{"label": "problem", "pattern": "cough"}])
    assert "assertions" not in evaluate(rules, read_gold(corpus), model="m").run.scores
    plain = Record("a", "some fever", (Mention(((5, 10),), "problem"),))
    gold = read_gold(write_corpus(corpus.parent / "plain.spacy", [plain]))
    assert not gold.has_assertions
    assert "document" in evaluate(nlp, gold, model="m").run.scores
