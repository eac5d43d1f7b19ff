"""What each score means, in a sentence for the readers of a report."""

from typing import Dict

COMMON: Dict[str, str] = {
    "document: strict IOB2": "Whole notes, nothing cut: a mention is right if its characters and its label are."
    " A prediction that begins with an I is none.",
    "document: CoNLL": "The same, but a prediction that begins with an I counts, as in conlleval.",
    "paper: strict IOB2": "The papers' tokens, a line a sentence, cut at 150 wordpieces with O beyond: a mention is"
    " right if its tokens and its label are. An I that continues nothing is made a B, in gold and prediction.",
    "paper: CoNLL": "The same by conlleval's rules, without the repair; the two agree.",
    "assertions": "The annotated concepts are given: an assertion is right if it is the annotated one, as the challenge"
    " of 2010 scores.",
    "cats": "Labels of whole documents: one is right if the document has it.",
}
# By the form of the corpus, then by the name of the challenge's score.
CHALLENGES: Dict[str, Dict[str, str]] = {
    "i2b2_2006": {
        "token": "Each token that a mention of PHI touches counts by itself.",
        "instance": "A mention is right if its characters and its label are.",
    },
    "i2b2_2010": {
        "exact": "A concept is right if its characters and its class are.",
        "inexact": "A concept is right if it overlaps one of its class; each is paired once.",
    },
    "i2b2_2012": {
        "span": "An event is found if a prediction overlaps it, whatever its type; each is paired once.",
        "type": "Of the events found, the share with the right type.",
    },
    "i2b2_2014": {
        "strict": "A mention is right if its characters and its type are.",
        "relaxed": "Its end may be off by up to two characters.",
        "HIPAA strict": "As strict, of the types that HIPAA names.",
        "HIPAA relaxed": "As relaxed, of the types that HIPAA names.",
    },
    "n2c2_2018": {
        "strict": "A mention is right if its start, its end and its type are.",
        "lenient": "A mention is right if it overlaps one of its type.",
    },
    "semclinbr": {
        "entity": "In each of the 13 groups, a mention is right if its characters are.",
        "token": "In each of the 13 groups, each token that a mention touches counts by itself.",
    },
}


def meaning(form: str, name: str) -> str:
    """Say what a score means.

    form (str): name of the form of the corpus.
    name (str): name of the score, as in the report.
    RETURNS (str): a sentence or two.
    """
    return COMMON.get(name) or CHALLENGES[form][name.removeprefix("challenge: ")]
