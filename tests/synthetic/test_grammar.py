import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.synthetic.grammar import Grammar, Phrase, Span, joined, load_grammar, misspell

RULES = {
    "drug": ["aspirin"],
    "organ": ["renal"],
    "new": ["seen", "*unseen"],
    "plain": ["no slots"],
    "nested": ["Given <T~TrAP:{drug} 81 mg> for <P/possible:{organ} failure>."],
    "number": ["{5-5} of {2.0-2.0}"],
    "inside": ["{nested} Again."],
    "comparison": ["<X:Troponin>-<0.01 and WBC > 4"],
}
TREATMENT = Span(6, 19, "treatment", "", "TrAP")
CASES = [
    ("plain", "no slots", ()),
    ("number", "5 of 2.0", ()),
    ("nested", "Given aspirin 81 mg for renal failure.", (TREATMENT, Span(24, 37, "problem", "possible"))),
    ("inside", "Given aspirin 81 mg for renal failure. Again.", (TREATMENT, Span(24, 37, "problem", "possible"))),
    ("comparison", "Troponin-<0.01 and WBC > 4", (Span(0, 8, "test"),)),
]


class NoTypos(random.Random):
    """Draws as usual, but never so low that a word is misspelt."""

    def random(self) -> float:
        return 0.5 + super().random() / 2


@pytest.mark.parametrize("rule, text, spans", CASES)
def test_expands_slots_and_labels(rule: str, text: str, spans: tuple) -> None:
    assert Grammar(RULES, held_out=False).expand(rule, NoTypos(0)) == Phrase(text, spans)


@pytest.mark.parametrize("held_out, drawn", [(False, {"seen"}), (True, {"seen", "unseen"})])
def test_held_out_alternatives(held_out: bool, drawn: set) -> None:
    grammar, rng = Grammar(RULES, held_out), random.Random(0)
    words = {grammar.expand("new", rng).text for _ in range(50)}
    assert words & {"seen", "unseen"} == drawn


def test_joined_moves_the_second_phrase() -> None:
    phrase = joined(Phrase("a b", (Span(2, 3, "test"),)), " Sig: ", Phrase("c", (Span(0, 1, "problem"),)))
    assert [(phrase.text[span.start : span.end], span.label) for span in phrase.spans] == [
        ("b", "test"),
        ("c", "problem"),
    ]


@given(st.text("abcdefghij KLM 12*", max_size=40), st.integers())
def test_misspelling_touches_one_long_lower_case_word(text: str, seed: int) -> None:
    wrong = misspell(text, random.Random(seed))
    assert abs(len(wrong) - len(text)) <= 1
    if not re.search("[a-z]{5}", text):
        assert wrong == text


@settings(max_examples=30)
@given(st.booleans(), st.booleans(), st.integers(0, 10**6))
def test_every_rule_of_the_templates_expands(surrogates: bool, held_out: bool, seed: int) -> None:
    grammar, rng = load_grammar(surrogates, held_out), random.Random(seed)
    for rule in grammar.rules:
        text, spans = grammar.expand(rule, rng)
        assert not re.search(r"[{}]|<[PTX@]|^\*", text), rule
        for span in spans:
            inside = text[span.start : span.end]
            assert inside and inside == inside.strip(), rule
            if span.label == "placeholder" and not surrogates:
                assert inside.startswith("[**") and inside.endswith("**]")
        assert text.count("[**") == sum(span.label == "placeholder" for span in spans)


def test_training_split_never_sees_a_held_out_term() -> None:
    grammar, rng = load_grammar(False, False), random.Random(1)
    held_out = {text[1:].lower() for text in grammar.rules["drug"] if text.startswith("*")}
    drawn = {grammar.expand("drug", rng).text.lower() for _ in range(2000)}
    assert held_out and not held_out & drawn
