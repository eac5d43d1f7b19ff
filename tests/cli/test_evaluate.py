"""`clinbert evaluate` from the command line, with a pipeline of the real components."""

import json
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import spacy
import typer
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from tiny_corpora import annotate, write_corpus, write_rules
from typer.testing import CliRunner, Result

from spacy_clinbert.cli.evaluate import evaluate
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.evaluation.evaluate import evaluate as judge
from spacy_clinbert.evaluation.gold import read_gold
from spacy_clinbert.evaluation.run import read_run

RECORDS = [
    annotate("a", "Zebra took aspirin .\nNo chest pain .\n", ("aspirin", "treatment"), ("chest pain", "problem")),
    annotate("b", "Walrus has fever .\n", ("fever", "problem")),
]


@Language.component("test_cli_evaluate_fails")
def fails(doc: Doc) -> Doc:
    """Raise on one of the documents, with its text in the message."""
    if "Walrus" in doc.text:
        raise RuntimeError(doc.text)
    return doc


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(evaluate)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus/test.spacy", RECORDS)


def test_a_trained_pipeline(corpus: Path, tiny_bert: Path, tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    for name in ("clinbert_placeholders", "clinbert_sections", "clinbert_sentences"):
        nlp.add_pipe(name)
    nlp.add_pipe("clinbert_ner", config={"model": {"tok2vec": {"name": str(tiny_bert)}}})
    examples = []
    for record in RECORDS:
        doc = nlp.make_doc(record.text)
        ents = [(*one.fragments[0], one.label) for one in record.mentions]
        examples.append(Example.from_dict(doc, {"entities": ents}))
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.01
    for _ in range(15):
        nlp.update(examples, sgd=optimizer, annotates=["clinbert_sections", "clinbert_sentences"])
    nlp.to_disk(tmp_path / "model")
    with warnings.catch_warnings():
        # The encoder must not complain that lines come without sections: they do by definition.
        warnings.filterwarnings("error", message="NoteEncoder")
        result = run(tmp_path / "model", corpus, "--output", tmp_path / "run", "--system", "ours")
    assert result.exit_code == 0, result.exception
    found = read_run(tmp_path / "run")
    assert (found.system, found.seed, found.ids, found.format) == ("ours", None, ("a", "b"), "i2b2_2010")
    assert found.scores["paper"]["cut_at"] == 150 and found.scores["encoder"]["verdict"] == "unknown"
    assert found.scores["document"]["strict"]["micro"]["r"] > 0
    assert not any("does not know" in note for note in found.scores["notes"])


def test_outputs_and_terminal_hold_no_text(corpus: Path, tmp_path: Path) -> None:
    model = write_rules(tmp_path / "model", {"Zebra": "problem", "aspirin": "treatment"})
    result = run(model, corpus, "--output", tmp_path / "run")
    assert result.exit_code == 0, result.exception
    outputs = sorted((tmp_path / "run").iterdir())
    assert [path.name for path in outputs] == ["documents.jsonl", "metrics.json", "report.html"]
    said = [result.output, *(path.read_text(encoding="utf-8") for path in outputs)]
    assert not any(word in one for one in said for word in ("Zebra", "Walrus", "aspirin", "chest pain", "fever"))
    assert "document: strict IOB2" in result.output and "50.00" in result.output
    assert "1 of this pipeline, 1 in all" in result.output and "no pretrained encoder" in result.output
    # Again: an earlier evaluation is replaced, and the count goes up.
    assert run(model, corpus, "--output", tmp_path / "run", "--with-text").exit_code == 0
    metrics = (tmp_path / "run/metrics.json").read_text(encoding="utf-8")
    assert json.loads(metrics)["test_evaluations"] == {"by_this_model": 2, "by_all": 2} and "Zebra" not in metrics
    assert "Zebra" in (tmp_path / "run/report.html").read_text(encoding="utf-8")


def test_a_failing_component_names_the_document_and_leaves_nothing(corpus: Path, tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("test_cli_evaluate_fails")
    nlp.to_disk(tmp_path / "model")
    error = run(tmp_path / "model", corpus, "--output", tmp_path / "run").exception
    assert isinstance(error, ClinbertError) and error.__suppress_context__
    assert str(error).startswith("the pipeline fails on document b: RuntimeError in test_evaluate.py, line ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "model"]
    # A test set that nobody saw the scores of was not opened.
    assert [path.name for path in corpus.parent.iterdir()] == ["test.spacy"]


def test_a_tokenizer_that_fails_does_not_quote_the_text(corpus: Path) -> None:
    def fail(text: str) -> Doc:
        raise RuntimeError(text)

    nlp = spacy.blank("en")
    nlp.tokenizer = fail
    with pytest.raises(ClinbertError, match="fails on document a: RuntimeError in test_evaluate\\.py") as raised:
        judge(nlp, read_gold(corpus), model="m")
    assert raised.value.__suppress_context__


class LeavesOut:
    """Leave a document out, as a pipeline does whose error handler passes over what fails."""

    def __call__(self, doc: Doc) -> Doc:
        return doc

    def pipe(self, docs: Iterable[Doc], **options: object) -> Iterator[Doc]:
        return (doc for doc in docs if "Walrus" not in doc.text)


@Language.factory("test_cli_evaluate_leaves_out")
def make_leaves_out(nlp: Language, name: str) -> LeavesOut:
    return LeavesOut()


def test_a_document_that_is_left_out_is_named(corpus: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("test_cli_evaluate_leaves_out")
    with pytest.raises(ClinbertError, match="fails on document b: ValueError in predictions\\.py"):
        judge(nlp, read_gold(corpus), model="m")


def test_a_tokenizer_that_changes_the_text_is_refused(corpus: Path, tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.tokenizer = lambda text: Doc(nlp.vocab, words=text.split())
    with pytest.raises(ClinbertError, match="changes the text of document a"):
        judge(nlp, read_gold(corpus), model="m")


@pytest.mark.parametrize(
    "model, corpus_name, message",
    [
        ("nowhere", "test.spacy", "pipeline .*nowhere cannot be loaded"),
        ("model", "other.spacy", "no such file"),
        ("model", "note.spacy", "is no DocBin"),
    ],
)
def test_bad_arguments_end_in_one_sentence(
    model: str, corpus_name: str, message: str, corpus: Path, tmp_path: Path
) -> None:
    write_rules(tmp_path / "model", {"aspirin": "treatment"})
    (corpus.parent / "note.spacy").write_text("Zebra")
    error = run(tmp_path / model, corpus.parent / corpus_name, "--output", tmp_path / "run").exception
    assert isinstance(error, ClinbertError)
    with pytest.raises(ClinbertError, match=message):
        raise error
    assert "Zebra" not in str(error) and not (tmp_path / "run").exists()


def test_an_output_that_is_no_evaluation_is_not_replaced(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/thesis.txt").write_text("mine")
    error = run(write_rules(tmp_path / "model", {"a": "b"}), corpus, "--output", tmp_path / "run").exception
    assert isinstance(error, ClinbertError) and "thesis.txt" in str(error)


def test_help_shows_an_example() -> None:
    assert "clinbert evaluate" in run("--help").output
