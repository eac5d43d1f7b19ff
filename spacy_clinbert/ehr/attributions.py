"""What a prediction for a patient rests on: integrated gradients on codes, of the log-odds of a label."""

from typing import Any, Callable, List, NamedTuple, Tuple

import numpy as np
import torch
from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Model, set_dropout_rate, torch2xp, xp2torch

from ..components.textcat import ClinbertTextcat
from ..errors import ClinbertError
from ..models.code_shim import CodeShim, PatientBatch
from ..models.code_styles import MASK, SPECIALS, STYLES
from ..models.static_codes import CodesShim

# Interpolation points between baseline and patient, and how many go through the encoder together.
STEPS, TOGETHER = 64, 16
# What gives codes embeddings that can be looked at.
_BELOW = (CodeShim, CodesShim)


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

    codes (ndarray): NaN for a code that the encoder does not read, shape (codes,).
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
    """Open a pipeline's prediction for a patient, where `clinbert_textcat` stands on our encoder or vectors of codes.

    nlp (Language): the pipeline; label (str): the label.
    doc (Doc): the patient, with a code at least.
    RETURNS (Explained): the prediction. The baseline has the mask in the place of each code; visits, order and days are
        the patient's, so that only codes are judged.
    RAISES (ClinbertError): if the pipeline has no such component, or the component no such encoder or label.
    """
    textcat = find_textcat(nlp, label)
    nodes = list(textcat.model.walk())
    places = [place for place, node in enumerate(nodes) if any(isinstance(shim, _BELOW) for shim in node.shims)]
    if len(places) != 1 or textcat.model.attrs["aggregate"] != "none":
        raise ClinbertError(
            f"{textcat.name} does not stand on spacy_clinbert.CodeEncoder.v1, CodePatient.v1 or CodeVectors.v1: its "
            "codes have no embeddings to look at; leave visits out instead"
        )
    encoder = nodes[places[0]]
    behind = _Behind(textcat.model, places[0], doc)
    column = textcat.labels.index(label)
    group = next(one for one in textcat.groups if column in one.columns)
    rivals = [other for other in group.columns if other != column] if group.exclusive else []
    temperature = textcat.temperatures.get(group.name, 1.0)

    def to_log_odds(rows: torch.Tensor) -> torch.Tensor:
        logits = _Gradient.apply(rows, behind) / temperature
        return logits[:, column] - torch.logsumexp(logits[:, rivals], dim=1) if rivals else logits[:, column]

    shim: Any = encoder.shims[0]
    if isinstance(shim, CodesShim):
        masked = Doc(doc.vocab, words=[SPECIALS[MASK]] * len(doc))
        embeddings, baseline = (xp2torch(rows) for rows in encoder.predict([doc, masked]))
        return Explained(to_log_odds, embeddings, baseline, np.arange(len(doc)))
    (batch,), (n_rows,) = shim.layout(shim, [doc], False)
    end, start = int(batch.mask[0].sum()), int(STYLES[shim.model_config.style].cls)
    codes = np.full(batch.ids.shape[1], -1)
    codes[start:end] = np.arange(len(doc) - (end - start), len(doc))
    masked_ids = np.where(codes >= 0, shim.vocabulary.mask_id, batch.ids[0])
    body = _Body(shim, batch, n_rows)
    return Explained(lambda x: to_log_odds(body(x)), body.embed(batch.ids[0]), body.embed(masked_ids), codes)


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


class _Behind:
    """A copy of a model in which an encoder's rows are given, whatever the Docs.

    model (Model): of a component; place (int): of its encoder among the model's nodes; doc (Doc): the patient.
    """

    def __init__(self, model: Model, place: int, doc: Doc) -> None:
        self.model, self._doc = model.copy(), doc
        self._rows: List[Any] = []
        encoder = list(self.model.walk())[place]
        self.model.replace_node(encoder, Model("given", self._give, shims=encoder.shims, attrs=encoder.attrs))
        # Thinc gives a gradient only where it would train.
        set_dropout_rate(self.model, 0.0)

    def __call__(self, rows: List[Any]) -> Any:
        """The logits of Docs with such rows, and the way back to the rows."""
        self._rows = rows
        return self.model.begin_update([self._doc] * len(rows))

    def _give(self, model: Model, docs: List[Doc], is_train: bool) -> Any:
        return self._rows, lambda d_rows: d_rows


class _Gradient(torch.autograd.Function):
    """What is behind the encoder, between torch tensors, forth and back."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, behind: _Behind) -> torch.Tensor:
        """Rows of shape (n, rows, width) to logits of shape (n, labels)."""
        ops = behind.model.ops
        logits, ctx.backprop = behind([torch2xp(one.contiguous(), ops=ops) for one in rows.detach()])
        return xp2torch(ops.xp.concatenate(logits), device=rows.device)

    @staticmethod
    def backward(ctx: Any, d_logits: torch.Tensor) -> Tuple[torch.Tensor, None]:
        """The gradient of the rows."""
        d_rows = ctx.backprop([torch2xp(one[None].contiguous()) for one in d_logits])
        return torch.stack([xp2torch(one, device=d_logits.device) for one in d_rows]), None
