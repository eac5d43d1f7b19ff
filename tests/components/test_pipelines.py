"""The rule components in pipelines: saved, copied, in workers, in other processes, and when a note fails."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from component_notes import NOTE, annotations
from spacy.tokens import Doc, DocBin

from spacy_clinbert.components import placeholders, sections, sentences

CLINICAL = {"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}}
COMPONENTS = ["clinbert_placeholders", "clinbert_sections", "clinbert_sentences"]
TEXTS = [NOTE, "", "\n\n", "[**2101-5-3**]", "Allergies: none.\nPlan:\nHome."]


def make_pipeline(lang="en", tokenizer=CLINICAL, **settings):
    nlp = spacy.blank(lang, config=tokenizer)
    for name in COMPONENTS:
        nlp.add_pipe(name, config=settings.get(name, {}))
    return nlp


NLP = make_pipeline()
EXPECTED = [annotations(NLP(text)) for text in TEXTS]


def run_script(tmp_path, script, *arguments):
    """Run a script in a process of its own and read the JSON that it prints."""
    path = tmp_path / "script.py"
    path.write_text(script, encoding="utf8")
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-W", "ignore", str(path), *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_loaded_copied_and_pickled_pipelines_agree(tmp_path):
    NLP.to_disk(tmp_path / "model")
    copies = [
        spacy.load(tmp_path / "model"),
        make_pipeline().from_bytes(NLP.to_bytes()),
        pickle.loads(pickle.dumps(NLP)),
    ]
    for copy in copies:
        assert [annotations(doc) for doc in copy.pipe(TEXTS)] == EXPECTED


READ = """
import json, sys
from component_notes import annotations
from spacy.tokens import DocBin
from spacy.vocab import Vocab
import spacy_clinbert

spacy_clinbert.register_extensions()
docs = DocBin().from_disk(sys.argv[1]).get_docs(Vocab())
print(json.dumps([annotations(doc) for doc in docs]))
"""


def test_doc_bin_read_without_the_pipeline(tmp_path):
    DocBin(docs=NLP.pipe(TEXTS)).to_disk(tmp_path / "notes.spacy")
    assert run_script(tmp_path, READ, tmp_path / "notes.spacy") == EXPECTED


def test_docs_keep_their_annotations_through_bytes_and_copy():
    for text, expected in zip(TEXTS, EXPECTED, strict=True):
        doc = NLP(text)
        assert annotations(Doc(NLP.vocab).from_bytes(doc.to_bytes())) == expected
        assert annotations(doc.copy()) == expected


WORKERS = """
import json, multiprocessing, sys
import spacy
from component_notes import annotations

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    nlp = spacy.load(sys.argv[2])
    texts = json.loads(open(sys.argv[3], encoding="utf8").read())
    print(json.dumps([annotations(doc) for doc in nlp.pipe(texts, n_process=2, batch_size=2)]))
"""


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_worker_processes(tmp_path, method):
    NLP.to_disk(tmp_path / "model")
    (tmp_path / "texts.json").write_text(json.dumps(TEXTS), encoding="utf8")
    assert run_script(tmp_path, WORKERS, method, tmp_path / "model", tmp_path / "texts.json") == EXPECTED


def test_another_pipeline():
    nlp = make_pipeline("pt", {}, clinbert_sections={"lexicon": "pt"})
    doc = nlp("Alergias: nega. Nega febre.\n\nConduta:\nAlta com [**First Name3 (LF) 101**].")
    assert doc.text.startswith("Alergias") and len(doc.spans["placeholders"]) == 1
    assert [span._.clinbert_title for span in doc.spans["sections"]] == ["Alergias", "Conduta"]
    assert [sentence.text.strip() for sentence in doc.sents][:2] == ["Alergias: nega.", "Nega febre."]


@pytest.mark.parametrize(
    "module, rule, name",
    [
        (placeholders, "find_placeholders", "clinbert_placeholders"),
        (sections, "split_sections", "clinbert_sections"),
        (sentences, "split_sentences", "clinbert_sentences"),
    ],
)
def test_a_failing_note_goes_to_the_error_handler_and_the_rest_goes_on(monkeypatch, module, rule, name):
    real = getattr(module, rule)

    def fail_on_second(text, *arguments, **options):
        if text == TEXTS[3]:
            raise RuntimeError("injected")
        return real(text, *arguments, **options)

    monkeypatch.setattr(module, rule, fail_on_second)
    nlp = make_pipeline()
    with pytest.raises(RuntimeError, match="injected"):
        list(nlp.pipe(TEXTS))
    failed = []
    nlp.set_error_handler(lambda *report: failed.append(report))
    assert [annotations(doc) for doc in nlp.pipe(TEXTS)] == EXPECTED[:3] + EXPECTED[4:]
    ((component, pipe, docs, error),) = failed
    assert (component, pipe, str(error)) == (name, nlp.get_pipe(name), "injected")
    assert [doc.text for doc in docs] == [TEXTS[3]]


def test_what_the_components_say_they_do():
    assert NLP.analyze_pipes()["problems"] == {name: [] for name in COMPONENTS}
    assert "token.is_sent_start" in NLP.get_pipe_meta("clinbert_sentences").assigns
