"""Whether an encoder saw the text of a test set unlabelled, in its pretraining."""

from pathlib import Path
from typing import Any, Iterator, NamedTuple, Optional

from spacy.language import Language

from ..corpora.formats import Format
from ..encoders import Encoder, find_encoder, resolve_encoder
from ..errors import ClinbertError

# Narrower text → the wider one that holds it, in the words of the encoders' catalogue.
INSIDE = {"MIMIC-III discharge summaries": "MIMIC-III notes, all of NOTEEVENTS"}


# Of several encoders the one that saw most decides.
VERDICTS = ("yes", "partly", "unknown", "no")


class Seen(NamedTuple):
    """What is known of an encoder and a text.

    encoder (Optional[str]): the encoder's name in the pipeline, or the names of several; None where it has none.
    verdict (str): "yes", "partly", "no" or "unknown".
    statement (str): one sentence for each encoder.
    """

    encoder: Optional[str]
    verdict: str
    statement: str


def what_was_seen(nlp: Language, form: Format) -> Seen:
    """Say whether the encoder of a pipeline saw the text of a corpus.

    nlp (Language): the pipeline.
    form (Format): the form of the corpus.
    RETURNS (Seen): what the catalogues of encoders and corpora know.
    """
    names = dict.fromkeys(encoder_names(nlp.config.interpolate()["components"]))
    if not names:
        return Seen(None, "unknown", "The pipeline has no pretrained encoder that its config names.")
    each = [_seen_by(name, form) for name in names]
    verdict = min((one.verdict for one in each), key=VERDICTS.index)
    return Seen(", ".join(names), verdict, " ".join(one.statement for one in each))


def _seen_by(name: str, form: Format) -> Seen:
    entry = catalogued(name)
    if entry is None:
        return Seen(name, "unknown", f"Encoder {name}: what it saw is unknown, since it is not in the catalogue.")
    encoder = f"Encoder {entry.alias} ({entry.hub_id})"
    if not form.texts:
        return Seen(name, "unknown", f"{encoder}: the catalogue does not say where the text of {form.name} comes from.")
    whole = [text for text in form.texts if {text, INSIDE.get(text)} & set(entry.seen)]
    inside = [text for text in entry.seen if INSIDE.get(text) in form.texts]
    if not whole and not inside:
        saw = "; ".join(entry.seen)
        return Seen(name, "no", f"{encoder}: none of its pretraining text ({saw}) is known to hold this text.")
    source = "; ".join(whole or inside)
    reservation = form.reservation if whole else "its pretraining text holds a part of it"
    statement = f"{encoder}: the encoder saw this text unlabelled ({source})"
    if not reservation:
        return Seen(name, "yes", f"{statement}.")
    return Seen(name, "partly", f"{statement}, with a reservation: {reservation}.")


def encoder_names(block: Any) -> Iterator[str]:
    """Find the names of pretrained encoders in a config: NoteEncoder's and its kin, and spacy-transformers' models.

    block (Any): a block of the config.
    YIELDS (str): names, as given: alias, hub id or folder.
    """
    if isinstance(block, dict):
        if "@architectures" in block and isinstance(block.get("name"), str):
            yield block["name"]
        for value in block.values():
            yield from encoder_names(value)


def catalogued(name: str) -> Optional[Encoder]:
    """Look up an encoder, also one that was loaded from a folder that is gone since.

    name (str): alias, hub id or folder.
    RETURNS (Optional[Encoder]): its row of the catalogue, or None.
    """
    try:
        entry = resolve_encoder(name).entry
    except ClinbertError:
        entry = None
    return entry or find_encoder("/".join(Path(name).parts[-2:]))
