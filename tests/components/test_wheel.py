"""The built wheel, away from the source tree, is enough for `add_pipe`, and for the packages of trained heads."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from head_cases import HEADS, build, outcome, texts_of, train
from spacy.cli.package import package
from spacy.tokens import DocBin

ROOT = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]

USE = """
import json, sys
from importlib.metadata import distribution, entry_points
import spacy, spacy_clinbert
from spacy_clinbert.rules import lexicon

nlp = spacy.blank("en")
nlp.add_pipe("clinbert_sections")
doc = nlp("Chief Complaint: chest pain.\\nAllergies: none.\\n")
print(json.dumps({
    "package": spacy_clinbert.__file__,
    "lexicons": str(lexicon.BUILT_IN),
    "distribution": str(distribution("spacy-clinbert").locate_file("")),
    "factories": [point.name for point in entry_points(group="spacy_factories") if point.name.startswith("clinbert_")],
    "sections": [[span._.clinbert_title, span.label_] for span in doc.spans["sections"]],
}))
"""

# Encoders whose weights must be in the package.
ENCODERS = {"clinbert_textcat": "NoteWindows", "clinbert_pair": "NotePairs"}

USE_HEADS = """
import json, socket, sys
from pathlib import Path

def refuse(*arguments):
    raise OSError("the network is not needed")

socket.socket.connect = socket.getaddrinfo = refuse
import spacy
from head_cases import outcome
from spacy.tokens import DocBin

found = {}
for head in sys.argv[2:]:
    nlp = spacy.load("en_" + head)
    docs = nlp.pipe(DocBin().from_disk(Path(sys.argv[1], head)).get_docs(nlp.vocab))
    found[head] = [str(nlp.path), sys.modules["spacy_clinbert"].__file__, [outcome(head, doc) for doc in docs]]
print(json.dumps(found))
"""


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the installed wheel, and nothing of the source tree."""
    folder = tmp_path_factory.mktemp("wheel")
    # A copy is built, since a build leaves its folders in the tree, where an old one would end in the wheel.
    source, target = folder / "source", folder / "installed"
    shutil.copytree(ROOT / "spacy_clinbert", source / "spacy_clinbert", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source)
    (wheel,) = folder.glob("*.whl")
    run(*PIP, "install", "--no-deps", "--no-index", "--target", target, wheel)
    shutil.rmtree(source)
    return target


def use(script, installed, *arguments):
    """Run a script that sees what is installed, and the tests' helpers."""
    paths = os.pathsep.join([str(installed), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-W", "ignore", "-c", script, *arguments]
    return json.loads(run(*command, cwd=installed.parent, env=environment))


@pytest.mark.slow
def test_wheel(installed):
    found = use(USE, installed)
    for key in ("package", "lexicons", "distribution"):
        assert Path(found[key]).is_relative_to(installed), f"the {key} is that of the checkout"
    assert {"clinbert_placeholders", "clinbert_sections", "clinbert_sentences", *HEADS} <= set(found["factories"])
    assert found["sections"] == [["Chief Complaint", "chief_complaint"], ["Allergies", "allergies"]]


@pytest.mark.slow
def test_packages_of_every_head_load_offline_and_give_the_same(installed, tiny_bert, tmp_path):
    bert = shutil.copytree(tiny_bert, tmp_path / "bert")
    expected, packages = {}, []
    (tmp_path / "texts").mkdir()
    for head in HEADS:
        nlp = build(head, ENCODERS.get(head, "NoteEncoder"), bert)
        train(nlp, head, 15)
        DocBin(attrs=["ENT_IOB", "ENT_TYPE"], docs=texts_of(nlp, head)).to_disk(tmp_path / "texts" / head)
        expected[head] = [outcome(head, doc) for doc in nlp.pipe(texts_of(nlp, head))]
        assert any(expected[head])
        nlp.to_disk(tmp_path / head)
        package(tmp_path / head, tmp_path, name=head, create_sdist=False, create_wheel=False)
        packages.append(tmp_path / f"en_{head}-0.0.0")
        assert any(
            need.startswith("spacy-clinbert")
            for need in json.loads((packages[-1] / "meta.json").read_text())["requirements"]
        )
        shutil.rmtree(tmp_path / head)
    shutil.rmtree(bert)
    run(*PIP, "install", "--no-deps", "--no-index", "--no-build-isolation", "--target", installed, *packages)
    for head, (model, ours, found) in use(USE_HEADS, installed, tmp_path / "texts", *HEADS).items():
        assert Path(model).is_relative_to(installed) and Path(ours).is_relative_to(installed)
        assert found == [pytest.approx(one, abs=1e-4) for one in expected[head]]
