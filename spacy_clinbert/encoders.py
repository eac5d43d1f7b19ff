"""The catalogue of published encoders, and what an encoder's name means: an alias, a hub id or a local folder.

Casing, accents and trained length are stated here because published tokenizers often leave them out: Bio_ClinicalBERT's
repository has no tokenizer_config.json, so its length reads 1e30 and its casing depends on the loading library.
Facts are those of the models' own cards, configurations and repositories; what none of them says is "not stated".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .errors import ClinbertError

NOT_STATED = "not stated"


@dataclass(frozen=True)
class Encoder:
    """One published encoder.

    alias (str): our short name.
    hub_id (str): repository on the Hugging Face hub.
    revision (str): commit whose weights and tokenizer are meant; "main" where no commit could be checked.
    cased (bool): whether the tokenizer keeps upper case.
    strip_accents (bool): whether the tokenizer removes accents.
    trained_length (int): wordpieces of a pretraining sequence, specials included.
    width (int): size of an output vector.
    layers (int): number of transformer layers.
    text (tuple[str, ...]): what it was itself pretrained on; `seen` adds its ancestors' text.
    parent (str | None): alias of the encoder whose weights it started from.
    licence (str): licence of the weights as the hub states it.
    citation (str): the paper.
    note (str): evidence and reservations.
    """

    alias: str
    hub_id: str
    revision: str
    cased: bool
    strip_accents: bool
    trained_length: int
    width: int
    layers: int
    text: tuple[str, ...]
    parent: str | None
    licence: str
    citation: str
    note: str = ""

    @property
    def casing(self) -> dict[str, bool]:
        """What a BERT tokenizer must be told, since several published ones carry no flag and would lower-case."""
        return {"do_lower_case": not self.cased, "strip_accents": self.strip_accents}

    @property
    def seen(self) -> tuple[str, ...]:
        """All text that its weights have seen unlabelled, its ancestors' first."""
        return (ENCODERS[self.parent].seen if self.parent else ()) + self.text


class EncoderSource(NamedTuple):
    """Where an encoder is loaded from.

    location (str): local folder or hub id, for `from_pretrained`.
    revision (str | None): commit on the hub; None for a folder or a model outside the catalogue.
    entry (Encoder | None): its row of the catalogue, also for a local copy.
    """

    location: str
    revision: str | None
    entry: Encoder | None


DEVLIN = "Devlin et al. 2019, BERT: Pre-training of Deep Bidirectional Transformers, NAACL, arXiv:1810.04805"
LEE = "Lee et al. 2020, BioBERT: a pre-trained biomedical language representation model, Bioinformatics 36(4)"
ALSENTZER = "Alsentzer et al. 2019, Publicly Available Clinical BERT Embeddings, ClinicalNLP, arXiv:1904.03323"
VASANTHARAJAN = "Vasantharajan et al. 2022, MedBERT: A Pre-trained Language Model for Biomedical NER, APSIPA ASC"
SCHNEIDER = "Schneider et al. 2020, BioBERTpt: A Portuguese Neural Language Model for Clinical NER, ClinicalNLP"
SOUZA = "Souza, Nogueira, Lotufo 2020, BERTimbau: Pretrained BERT Models for Brazilian Portuguese, BRACIS"

HOSPITAL_NOTES_PT = "clinical narratives of Brazilian hospitals"
ABSTRACTS_PT = "Portuguese abstracts of PubMed and SciELO"

NO_TOKENIZER_CONFIG = "The repository has no tokenizer_config.json; the vocabulary is its parent's, BERT base cased."
BIOBERTPT_CASING = (
    "Cased: built on multilingual cased BERT, pretrained by run_language_modeling.py without a lower-casing option "
    "(README of HAILab-PUCPR/BioBERTpt), and tokenizer_config.json says do_lower_case false. Against it: the authors' "
    "notebook ner_prediction.ipynb lower-cases the sentences and loads the tokenizer with do_lower_case=True, which "
    "strips accents too; so does an example of the README. To follow the notebook, lower-case the text. "
    "The README does not say whether notes of SemClinBr are in the pretraining text."
)

_CATALOGUE = (
    Encoder(
        alias="bert-base-cased",
        hub_id="google-bert/bert-base-cased",
        revision="cd5ef92a9fb2f889e972770a36d4ed042daf221e",
        cased=True,
        strip_accents=False,
        trained_length=512,
        width=768,
        layers=12,
        text=("English Wikipedia", "BookCorpus"),
        parent=None,
        licence="Apache-2.0",
        citation=DEVLIN,
    ),
    Encoder(
        alias="biobert-v1.0",
        hub_id="monologg/biobert_v1.0_pubmed_pmc",
        revision="c87556cf602b049f0181245fc6d9b3885e668b2a",
        cased=True,
        strip_accents=False,
        trained_length=512,
        width=768,
        layers=12,
        text=("PubMed abstracts", "PMC full-text articles"),
        parent="bert-base-cased",
        licence=NOT_STATED,
        citation=LEE,
        note="BioBERT v1.0 (+ PubMed 200K + PMC 270K), another group's conversion of its authors' TensorFlow weights.",
    ),
    Encoder(
        alias="bio-clinicalbert",
        hub_id="emilyalsentzer/Bio_ClinicalBERT",
        revision="d5892b39a4adaed74b92212a44081509db72f87b",
        cased=True,
        strip_accents=False,
        trained_length=128,
        width=768,
        layers=12,
        text=("MIMIC-III notes, all of NOTEEVENTS",),
        parent="biobert-v1.0",
        licence="MIT",
        citation=ALSENTZER,
        note=NO_TOKENIZER_CONFIG,
    ),
    Encoder(
        alias="bio-discharge-summary-bert",
        hub_id="emilyalsentzer/Bio_Discharge_Summary_BERT",
        revision="960887e72b7b5dd9df8affd345219959d1ff6a94",
        cased=True,
        strip_accents=False,
        trained_length=128,
        width=768,
        layers=12,
        text=("MIMIC-III discharge summaries",),
        parent="biobert-v1.0",
        licence="MIT",
        citation=ALSENTZER,
        note=NO_TOKENIZER_CONFIG + " Later commits change only README and LICENSE.",
    ),
    Encoder(
        alias="medbert",
        hub_id="Charangan/MedBERT",
        revision="fac2c99bb6effabed8a35a7ae93e29b6fa8b3178",
        cased=True,
        strip_accents=False,
        trained_length=256,
        width=768,
        layers=12,
        text=("n2c2 2018 and 2022 notes", "BioNLP corpora", "CRAFT", "medical articles of English Wikipedia"),
        parent="bio-clinicalbert",
        licence="MIT",
        citation=VASANTHARAJAN,
        note="Not Med-BERT, which reads diagnosis codes. Later commits change only the README.",
    ),
    Encoder(
        alias="bert-base-multilingual-cased",
        hub_id="google-bert/bert-base-multilingual-cased",
        revision="3f076fdb1ab68d5b2880cb87a0886f315b8146f8",
        cased=True,
        strip_accents=False,
        trained_length=512,
        width=768,
        layers=12,
        text=("Wikipedia in 104 languages",),
        parent=None,
        licence="Apache-2.0",
        citation=DEVLIN,
    ),
    Encoder(
        alias="bert-base-multilingual-uncased",
        hub_id="google-bert/bert-base-multilingual-uncased",
        revision="main",
        cased=False,
        strip_accents=True,
        trained_length=512,
        width=768,
        layers=12,
        text=("Wikipedia in 102 languages",),
        parent=None,
        licence="Apache-2.0",
        citation=DEVLIN,
        note="No commit could be checked, so the revision moves. Lower-casing strips accents too, as Google's does.",
    ),
    *(
        Encoder(
            alias=f"biobertpt-{name}",
            hub_id=f"pucpr/biobertpt-{name}",
            revision=revision,
            cased=True,
            strip_accents=False,
            trained_length=512,
            width=768,
            layers=12,
            text=text,
            parent="bert-base-multilingual-cased",
            licence=NOT_STATED,
            citation=SCHNEIDER,
            note=BIOBERTPT_CASING,
        )
        for name, revision, text in (
            ("all", "2ae97a7e7a43745f92775fe36abbf3c504af7df7", (HOSPITAL_NOTES_PT, ABSTRACTS_PT)),
            ("clin", "675cc4bb56cd131567fa6b345c133b4cc3db150d", (HOSPITAL_NOTES_PT,)),
            ("bio", "a2d00e1d1880ca328e632da2ee5918b06a5ebb21", (ABSTRACTS_PT,)),
        )
    ),
    Encoder(
        alias="bertimbau-base",
        hub_id="neuralmind/bert-base-portuguese-cased",
        revision="94d69c95f98f7d5b2a8700c420230ae10def0baa",
        cased=True,
        strip_accents=False,
        trained_length=512,
        width=768,
        layers=12,
        text=("brWaC, Brazilian web pages",),
        parent="bert-base-multilingual-cased",
        licence="MIT",
        citation=SOUZA,
        note="A vocabulary of its own; the paper starts it from multilingual BERT's weights.",
    ),
    Encoder(
        alias="bertimbau-large",
        hub_id="neuralmind/bert-large-portuguese-cased",
        revision="aa302f6ea73b759f7df9cad58bd272127b67ec28",
        cased=True,
        strip_accents=False,
        trained_length=512,
        width=1024,
        layers=24,
        text=("English Wikipedia", "BookCorpus", "brWaC, Brazilian web pages"),
        parent=None,
        licence="MIT",
        citation=SOUZA,
        note="A vocabulary of its own; the paper starts it from English BERT large, which is not in this catalogue.",
    ),
)

ENCODERS: dict[str, Encoder] = {encoder.alias: encoder for encoder in _CATALOGUE}
_BY_NAME = {name.lower(): encoder for encoder in _CATALOGUE for name in (encoder.alias, encoder.hub_id)}


def find_encoder(name: str) -> Encoder | None:
    """Look up an encoder of the catalogue.

    name (str): alias or hub id, in any casing.
    RETURNS (Encoder | None): its row, or None.
    """
    return _BY_NAME.get(name.strip().lower())


def resolve_encoder(name: str) -> EncoderSource:
    """Say where an encoder is loaded from; a local folder comes before the catalogue, as in `from_pretrained`.

    name (str): local folder, alias or hub id.
    RETURNS (EncoderSource): folder or hub id, commit and row of the catalogue. A name found nowhere counts as a hub id.
    RAISES (ClinbertError): if the folder holds no model, or its config.json is not JSON.
    """
    folder, entry = Path(name).expanduser(), find_encoder(name)
    if (folder / "config.json").is_file():
        return EncoderSource(str(folder), None, _copied_from(folder))
    if entry is not None:
        return EncoderSource(entry.hub_id, entry.revision, entry)
    if folder.is_dir():
        raise ClinbertError(f"folder {folder} holds no config.json: give the folder that `save_pretrained` wrote")
    return EncoderSource(name, None, None)


def unreachable(name: str) -> ClinbertError:
    """The error for an encoder that could not be loaded.

    name (str): the name as the user gave it.
    RETURNS (ClinbertError): one sentence: what was looked for, and how to give a local folder.
    """
    entry = find_encoder(name)
    if entry is None:
        looked = "is not in the catalogue (`clinbert encoders`), no local folder with a config.json and not reachable"
        looked += " on the model hub"
    else:
        looked = f"({entry.hub_id}, revision {entry.revision}) is neither reachable on the model hub nor in its cache"
    return ClinbertError(
        f"encoder {name!r} {looked}: copy the model's files to this machine and give their folder instead of the name,"
        f' for example "models/{entry.hub_id if entry else "my-lab/my-bert"}"'
    )


def _copied_from(folder: Path) -> Encoder | None:
    """Find of which encoder a folder is a copy.

    By where it lies: in the hub's cache (`models--org--name/snapshots/…`) or in a folder `org/name`. Other copies count
    as unknown models; the `_name_or_path` of a config.json is no evidence: it names what a model was *started* from.
    """
    try:
        json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise ClinbertError(f"{folder / 'config.json'} is not JSON: copy the model's files again") from error
    parts = folder.absolute().parts
    cached = [part.removeprefix("models--").replace("--", "/") for part in parts if part.startswith("models--")]
    return next(filter(None, map(find_encoder, [*cached, "/".join(parts[-2:])])), None)
