"""An installed pipeline of rules whose notes may end the process that reads them."""

import os
import signal
import sys
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokens import Doc

NAME = "xx_deadly"
LOADER = """
from pathlib import Path
import deadly_pipeline
from spacy.util import load_model_from_path
__version__ = "0.0.0"
def load(**overrides):
    return load_model_from_path(Path(__file__).parent / "pipeline", **overrides)
"""


@Language.component("test_deadly")
def deadly(doc: Doc) -> Doc:
    """End the process at POISON; at ONCE-n, only the first of all processes that read it."""
    if "POISON" in doc.text:
        os.kill(os.getpid(), signal.SIGKILL)
    for word in doc.text.split():
        if word.startswith("ONCE-"):
            mark = Path(os.environ["DEADLY_MARKS"]) / word
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
    if "FAILS" in doc.text:
        raise RuntimeError(doc.text)
    return doc


def install_deadly(folder: Path, monkeypatch) -> str:
    """Install the pipeline for this test and the processes that it starts, and give its name."""
    package = folder / NAME
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(LOADER)
    information = folder / f"{NAME}-0.0.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 0.0.0\n")
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "DRUG", "pattern": "aspirin"}])
    nlp.add_pipe("test_deadly")
    nlp.to_disk(package / "pipeline")
    marks = folder / "marks"
    marks.mkdir()
    monkeypatch.setenv("DEADLY_MARKS", str(marks))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(Path(__file__).parent)]))
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return NAME
