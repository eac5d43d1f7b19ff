"""The judgements of i2b2 2008: on each document and disease, one by each source."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Set, Tuple

from ..errors import ClinbertError
from .markup import read_xml
from .record_files import xml_text
from .records import Rejection

# Present, absent, questionable, unmentioned; who judges by intuition knows no unmentioned.
JUDGEMENTS = {"textual": "YNQU", "intuitive": "YNQ"}
# Source and disease.
Question = Tuple[str, str]


def judgement_cats(source: str, disease: str, judgement: str) -> Dict[str, float]:
    """Make the categories of a judgement.

    source (str): textual or intuitive; disease (str): the disease; judgement (str): Y, N, Q or U.
    RETURNS (Dict[str, float]): 1.0 for it, 0.0 for the source's others.
    """
    return {f"{source}:{disease}={one}": float(one == judgement) for one in JUDGEMENTS[source]}


@dataclass
class Judgements:
    """The judgements of a split.

    answers (Dict[str, Dict[Question, str]]): by document and question.
    files (Dict[str, str]): the file in which a document was last judged.
    doubts (Dict[str, List[Rejection]]): by document.
    questions (Set[Question]): all that are judged.
    error (Optional[ClinbertError]): why the judgements cannot be used.
    """

    answers: Dict[str, Dict[Question, str]] = field(default_factory=lambda: defaultdict(dict))
    files: Dict[str, str] = field(default_factory=dict)
    doubts: Dict[str, List[Rejection]] = field(default_factory=lambda: defaultdict(list))
    questions: Set[Question] = field(default_factory=set)
    error: Optional[ClinbertError] = None

    def read(self, path: Path, file: str) -> None:
        """Add the judgements of a file; of two that differ, the later is kept.

        path (Path): the file; file (str): the same, relative to the corpus.
        RAISES (ClinbertError): if it cannot be read, or has a source that the challenge does not have.
        """
        for diseases in read_xml(path).iter("diseases"):
            source = diseases.get("source", "")
            if source not in JUDGEMENTS:
                raise ClinbertError(
                    f"{path}: has diseases of a source other than {' and '.join(JUDGEMENTS)}: correct it"
                )
            for disease in diseases.iter("disease"):
                question = (source, disease.get("name", ""))
                self.questions.add(question)
                for doc in disease.iter("doc"):
                    self._add(file, doc.get("id", ""), question, doc.get("judgment", ""))

    def _add(self, file: str, name: str, question: Question, judgement: str) -> None:
        answers, where = self.answers[name], f"doc {name}, {question[0]} {question[1]}"
        self.files[name] = file
        if judgement not in tuple(JUDGEMENTS[question[0]]):
            self.doubts[name].append(Rejection(file, where, "left out: a judgement that its source does not have"))
            return
        if answers.setdefault(question, judgement) != judgement:
            self.doubts[name].append(Rejection(file, where, "differs from an earlier judgement, and is kept"))
        answers[question] = judgement


def judgements_xml(judged: Dict[Question, List[Tuple[str, str]]]) -> Iterator[str]:
    """Write judgements.

    judged (Dict[Question, List[Tuple[str, str]]]): document and judgement, by question.
    YIELDS (str): the parts of the XML of a file of judgements.
    """
    yield "<diseaseset>\n"
    for source in JUDGEMENTS:
        yield f'<diseases source="{source}">\n'
        for disease in sorted(disease for one, disease in judged if one == source):
            yield f'<disease name="{xml_text(disease, f"a disease of {source}")}">\n'
            for name, judgement in judged[source, disease]:
                yield f'<doc id="{xml_text(name, name)}" judgment="{judgement}"/>\n'
            yield "</disease>\n"
        yield "</diseases>\n"
    yield "</diseaseset>\n"
