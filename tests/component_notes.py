"""Notes that the component tests share, and all that the rule components write on a Doc."""

from typing import Any, Dict

from hypothesis import strategies as st
from spacy.tokens import Doc

NOTE = """Admission Date:  [**2101-5-3**]     Discharge Date:  [**2101-5-9**]

Chief Complaint:
Chest pain, seen with Dr.[**Last Name (STitle) 7**].

HISTORY OF PRESENT ILLNESS:
Mr. [**Known lastname 202**] is a 63-year-old man. He didn't improve on 12.5 mg b.i.d. of carvedilol
and was brought to [**Hospital1 18**] by his wife. Pain is 7/10.

Allergies:
Penicillins

Medications on Admission:
1. Aspirin 81 mg daily.
2. Carvedilol 12.5 mg b.i.d.

Discharge Instructions:
Call ___ with any question.
"""

PIECES = [
    *["Chief Complaint:", "HISTORY OF PRESENT ILLNESS:", "Allergies: ", "Sex:M", "# CHF:", "FINDINGS:", "1. ", "- "],
    *["[**First Name3 (LF) 101**]", "[**2101-5-3**]", "[**Hospital1\n18**]", "[** unclosed", "___", "________", "**]"],
    *[" ", "  ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u200b", ".", ". ", ": "],
    *["Pt. was seen", "No fever", "didn't", "b.i.d.", "3.5 mg", "Dr", "naïve", "🙂", "e\u0301"],
]
notes = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=25).map("".join)


def annotations(doc: Doc) -> Dict[str, Any]:
    """All that the rule components write, as JSON."""
    sections = doc.spans.get("sections", ())
    return {
        "text": doc.text,
        "sections": [[s.start, s.end, s.label_, s._.clinbert_title, s._.clinbert_level] for s in sections],
        "placeholders": [[span.start, span.end, span.label_] for span in doc.spans.get("placeholders", ())],
        "sentence_starts": [token.is_sent_start for token in doc],
        "token_sections": [token._.clinbert_section for token in doc],
    }
