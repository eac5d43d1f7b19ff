"""What a prediction for a patient rests on: integrated gradients on codes, and what it would be without each visit.

All speak of the log-odds of a label, the logit of its probability in `doc.cats`.
"""

import math
from itertools import chain
from typing import Any, Callable, List, NamedTuple, Optional, Tuple

import numpy as np
import torch
from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Model, set_dropout_rate, torch2xp, xp2torch

from ..components.textcat import READ_KEY, ClinbertTextcat
from ..errors import ClinbertError
from ..models.code_shim import CodeShim, PatientBatch
from ..models.code_styles import STYLES
from .docs import DAYS, RANKS

# Interpolation points between baseline and patient, and how many go through the encoder together.
STEPS, TOGETHER = 64, 16
# A probability nearer to 0 or 1 counts as this.
SMALLEST = 1e-12


class Explained(NamedTuple):
    """A prediction as a function of embeddings.

    log_odds (Callable[[Tensor], Tensor]): from embeddings of shape (n, places, width) to the log-odds, shape (n,).
    embeddings (Tensor), baseline (Tensor): those of the patient, and of one of whose codes nothing is known but
        how many there are and when; shape (places, width).
    codes (ndarray): which code of the Doc each place is, -1 for none, shape (places,).
    """

    log_odds: Callable[[torch.Tensor], torch.Tensor]
    embeddings: torch.Tensor
    baseline: torch.Tensor
    codes: np.ndarray


class Attribution(NamedTuple):
    """What each code adds to the log-odds.

    codes (ndarray): NaN for a code that is not read, shape (codes,).
    baseline (float): the log-odds with all codes masked; with all that is added they give those of the patient.
    error (float): by how much they do not: the error of the integral.
    """

    codes: np.ndarray
    baseline: float
    error: float


def attribute(explained: Explained, codes: int, steps: int = STEPS) -> Attribution:
    """Compute integrated gradients (Sundararajan et al. 2017, ICML) from the baseline to the patient.

    explained (Explained): the prediction; codes (int): how many the Doc has.
    steps (int): points of the integral.
    RETURNS (Attribution): what each code adds.
    RAISES (ClinbertError): if captum is not installed.
    """
    try:
        from captum.attr import IntegratedGradients
    except ImportError:
        raise ClinbertError("integrated gradients need captum: pip install spacy-clinbert[ehr]") from None

    found, error = IntegratedGradients(explained.log_odds).attribute(
        explained.embeddings[None],
        baselines=explained.baseline[None],
        n_steps=steps,
        internal_batch_size=TOGETHER,
        return_convergence_delta=True,
    )
    added = np.full(codes, np.nan)
    there = explained.codes >= 0
    added[explained.codes[there]] = found[0].sum(dim=1).cpu().numpy()[there]
    with torch.no_grad():
        baseline = float(explained.log_odds(explained.baseline[None])[0])
    return Attribution(added, baseline, abs(float(error[0])))


def explain(nlp: Language, doc: Doc, label: str) -> Explained:
    """Open a pipeline's prediction for a patient, where `clinbert_textcat` stands on our encoder of codes.

    nlp (Language): the pipeline; label (str): the label.
    doc (Doc): the patient, with a code at least.
    RETURNS (Explained): the prediction. The baseline has the mask in the place of each code; visits, order and days are
        the patient's, so that only codes are judged.
    RAISES (ClinbertError): if the pipeline has no such component, or the component no such encoder or label.
    """
    textcat = find_textcat(nlp, label)
    encoder = textcat.model.get_ref("tok2vec")
    shim = encoder.shims[0] if encoder.shims else None
    if not isinstance(shim, CodeShim) or textcat.model.attrs["aggregate"] != "none":
        raise ClinbertError(
            f"{textcat.name} does not stand on spacy_clinbert.CodeEncoder.v1 or CodePatient.v1: its codes have no "
            "embeddings to look at; leave visits out instead"
        )
    (batch,), (n_rows,) = shim.layout(shim, [doc], False)
    assert isinstance(batch, PatientBatch) and shim.vocabulary is not None
    body = _Body(shim, batch, n_rows)
    end, start = int(batch.mask[0].sum()), int(STYLES[shim.model_config.style].cls)
    codes = np.full(batch.ids.shape[1], -1)
    codes[start:end] = np.arange(len(doc) - (end - start), len(doc))
    masked = np.where(codes >= 0, shim.vocabulary.mask_id, batch.ids[0])
    head = textcat.model.get_ref("head").copy()
    # Thinc gives a gradient only where it would train.
    set_dropout_rate(head, 0.0)
    column = textcat.labels.index(label)
    group = next(one for one in textcat.groups if column in one.columns)
    rivals = [other for other in group.columns if other != column] if group.exclusive else []
    temperature = textcat.temperatures.get(group.name, 1.0)

    def log_odds(embeddings: torch.Tensor) -> torch.Tensor:
        logits = _Head.apply(body(embeddings), head) / temperature
        return logits[:, column] - torch.logsumexp(logits[:, rivals], dim=1) if rivals else logits[:, column]

    return Explained(log_odds, body.embed(batch.ids[0]), body.embed(masked), codes)


def find_textcat(nlp: Language, label: str) -> ClinbertTextcat:
    """Find the component that predicts a label.

    nlp (Language): the pipeline; label (str): the label.
    RETURNS (ClinbertTextcat): the component.
    RAISES (ClinbertError): if there is none.
    """
    found = [pipe for _, pipe in nlp.pipeline if isinstance(pipe, ClinbertTextcat)]
    for pipe in found:
        if label in pipe.labels:
            return pipe
    if not found:
        raise ClinbertError("the pipeline has no clinbert_textcat: give one that was trained to predict an outcome")
    known = ", ".join(one for pipe in found for one in pipe.labels)
    raise ClinbertError(f"the pipeline has no label {label!r}: give one of {known}")


class Reading(NamedTuple):
    """What any pipeline says of a patient.

    probability (float): of the label, as in `doc.cats`.
    without (List[float]): by visit, the log-odds less those without it: above 0 for a visit that speaks for the label.
    attention (Optional[ndarray]): by code, how a head weighs what it reads, NaN where it does not say it, shape
        (codes,); None where it says nothing. A description, and no explanation (Jain and Wallace 2019, NAACL).
    """

    probability: float
    without: List[float]
    attention: Optional[np.ndarray]


def read_patient(nlp: Language, doc: Doc, label: str) -> Reading:
    """Predict for a patient, and for the same patient without each visit.

    nlp (Language): any pipeline that writes the label to `doc.cats`; label (str): the label.
    doc (Doc): the patient, which is not changed.
    RETURNS (Reading): what it says.
    RAISES (ClinbertError): if the pipeline gives no such label.
    """
    versions = chain([without_codes(doc, 0, 0)], (without_codes(doc, *visit) for visit in find_visits(doc)))
    read = nlp.pipe(versions, batch_size=TOGETHER)
    whole = next(read)
    if label not in whole.cats:
        raise ClinbertError(f"the pipeline gives no label {label!r}: give one of {', '.join(whole.cats) or 'none'}")
    log_odds = _logit(whole.cats[label])
    return Reading(whole.cats[label], [log_odds - _logit(one.cats[label]) for one in read], _attention(whole))


def find_visits(doc: Doc) -> List[Tuple[int, int]]:
    """The first code of each visit, and the one behind its last."""
    starts = [i for i, token in enumerate(doc) if token.is_sent_start or not i]
    return list(zip(starts, [*starts[1:], len(doc)]))


def without_codes(doc: Doc, start: int, end: int) -> Doc:
    """Make a Doc of a patient without some of the codes; days go on counting from the first visit of the whole.

    doc (Doc): the patient; start (int), end (int): the first code to leave out, and the one behind the last.
    RETURNS (Doc): another Doc.
    """
    kept = [i for i in range(len(doc)) if not start <= i < end]
    firsts = {first for first, _ in find_visits(doc)}
    made = Doc(doc.vocab, words=[doc[i].text for i in kept], sent_starts=[i in firsts for i in kept])
    made.user_data.update({key: value for key, value in doc.user_data.items() if isinstance(key, str)})
    for key in (RANKS, DAYS):
        if key in made.user_data:
            made.user_data[key] = [made.user_data[key][i] for i in kept]
    return made


def _attention(doc: Doc) -> Optional[np.ndarray]:
    group = doc.spans.get(READ_KEY)
    # Of a row for the whole patient the weight is 1, which says nothing.
    if not group or "scores" not in group.attrs or any(len(span) > 1 for span in group):
        return None
    weights = np.full(len(doc), np.nan)
    for span, weight in zip(group, group.attrs["scores"]):
        weights[span.start] = weight
    return weights


def _logit(probability: float) -> float:
    bounded = min(max(probability, SMALLEST), 1 - SMALLEST)
    return math.log(bounded) - math.log1p(-bounded)


class _Body:
    """The encoder over one patient, from the sum of each place's embeddings on, to which codes add theirs."""

    def __init__(self, shim: CodeShim, batch: PatientBatch, n_rows: int) -> None:
        self._model: Any = shim._model.eval()
        self._batch, self._n_rows, self._device = batch, n_rows, shim.device
        arrays = {"attention_mask": batch.mask, "token_type_ids": batch.types, **batch.more}
        self._inputs = {name: torch.from_numpy(array).to(self._device) for name, array in arrays.items()}

    def embed(self, ids: np.ndarray) -> torch.Tensor:
        """The embeddings of codes with ids, at the patient's visits, orders and days: shape (places, width)."""
        found: List[torch.Tensor] = []
        layer = self._model.embeddings.LayerNorm
        hook = layer.register_forward_pre_hook(lambda module, inputs: found.append(inputs[0]))
        inputs = {name: value for name, value in self._inputs.items() if name != "attention_mask"}
        with hook, torch.no_grad():
            self._model.embeddings(torch.from_numpy(ids[None]).to(self._device), **inputs)
        return found[0][0]

    def __call__(self, embeddings: torch.Tensor) -> torch.Tensor:
        """The rows that the head reads: shape (n, rows, width)."""
        number = len(embeddings)
        inputs = {name: value.expand(number, -1) for name, value in self._inputs.items()}
        ids = torch.from_numpy(self._batch.ids).to(self._device).expand(number, -1)
        with self._model.embeddings.LayerNorm.register_forward_pre_hook(lambda module, given: (embeddings,)):
            output = self._model(ids, **inputs)
        found = output.pooler_output[:, None] if self._batch.per_patient else output.last_hidden_state
        rows = found.new_zeros(number, self._n_rows, found.shape[-1])
        rows[:, self._batch.rows] = found[:, self._batch.picks]
        return rows


class _Head(torch.autograd.Function):
    """A Thinc head between torch tensors, forth and back."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, head: Model) -> torch.Tensor:
        """Rows of shape (n, rows, width) to logits of shape (n, labels)."""
        given = [torch2xp(one.contiguous(), ops=head.ops) for one in rows.detach()]
        logits, ctx.backprop = head.begin_update(given)
        return xp2torch(head.ops.xp.concatenate(logits), device=rows.device)

    @staticmethod
    def backward(ctx: Any, d_logits: torch.Tensor) -> Tuple[torch.Tensor, None]:
        """The gradient of the rows."""
        d_rows = ctx.backprop([torch2xp(one[None].contiguous()) for one in d_logits])
        return torch.stack([xp2torch(one, device=d_logits.device) for one in d_rows]), None
