"""The built wheel, away from the source tree, is enough for `add_pipe("clinbert_sections")`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

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


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_wheel(tmp_path):
    # A copy is built, since a build leaves its folders in the tree, where an old one would end in the wheel.
    source, installed = tmp_path / "source", tmp_path / "installed"
    shutil.copytree(ROOT / "spacy_clinbert", source / "spacy_clinbert", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, source)
    (wheel,) = tmp_path.glob("*.whl")
    run(*pip, "install", "--no-deps", "--no-index", "--target", installed, wheel)
    shutil.rmtree(source)
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    found = json.loads(run(sys.executable, "-W", "ignore", "-c", USE, cwd=tmp_path, env=environment))
    for key in ("package", "lexicons", "distribution"):
        assert Path(found[key]).is_relative_to(installed), f"the {key} is that of the checkout"
    assert {"clinbert_placeholders", "clinbert_sections", "clinbert_sentences"} <= set(found["factories"])
    assert found["sections"] == [["Chief Complaint", "chief_complaint"], ["Allergies", "allergies"]]
