"""`MaskedTrainer` for masked codes and prolonged stays."""

import math
from typing import Any, Optional

import numpy as np
import torch
from accelerate.utils import gather_object
from sklearn.metrics import roc_auc_score
from torch.utils.data import DataLoader
from transformers import TrainingArguments

from ..errors import ClinbertError
from ..pretraining.curves import Panel
from ..pretraining.dataset import IGNORED
from ..pretraining.held_out import spread
from ..pretraining.trainer import SCORED, SCORED_TOGETHER, MaskedTrainer
from .code_batches import CodeBatches
from .code_dataset import CodeDataset
from .pretrain_settings import CodeTrainingSettings

# Among how many guesses the right code counts as found, beside the first one.
TOP = 10

PANELS: tuple[Panel, ...] = (
    ("masked codes: loss (nats)", (("mlm_loss", "training"), ("eval_mlm_loss", "held out"))),
    ("prolonged stay: loss (nats)", (("stay_loss", "training"), ("eval_stay_loss", "held out"))),
    (
        "held out",
        (
            ("eval_mlm_accuracy", "masked codes: accuracy"),
            (f"eval_mlm_top_{TOP}", f"masked codes: among {TOP}"),
            ("eval_stay_auroc", "prolonged stay: AUROC"),
        ),
    ),
    ("learning rate", (("learning_rate", "learning rate"),)),
)


class CodeTrainer(MaskedTrainer):
    """Trains on patients; an update's loss is the mean over its masked codes plus that over its patients' stays.

    model (CodeBertForPreTraining), arguments (TrainingArguments): what is trained, and how.
    train (CodeDataset), held_out (CodeDataset | None): the two sides.
    lengths (ndarray): places that each patient who is trained on takes without padding.
    settings (CodeTrainingSettings): the seed and how an update is shared out.
    """

    loss_names = ("mlm_loss", "stay_loss")

    def __init__(
        self,
        model: Any,
        arguments: TrainingArguments,
        train: CodeDataset,
        held_out: Optional[CodeDataset],
        lengths: np.ndarray,
        settings: CodeTrainingSettings,
    ) -> None:
        super().__init__(model, arguments, train, held_out, settings, pad_id=0)
        self.lengths, self.batching = lengths, settings

    def get_train_dataloader(self) -> DataLoader:
        """Give this process's share of the updates; `accelerate` need not divide it."""
        arguments, settings = self.args, self.batching
        shares = (settings.accumulate, arguments.world_size, arguments.process_index)
        batches = CodeBatches(self.instances.sizes, self.lengths, arguments.max_steps, settings, shares)
        return DataLoader(
            self.instances, batch_sampler=batches, collate_fn=_as_it_is, pin_memory=torch.cuda.is_available()
        )

    @torch.no_grad()
    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Score the held-out patients, each masked code and each patient counting once."""
        if self.held_out is None:
            return {}
        rows = spread(len(self.held_out), SCORED)[self.args.process_index :: self.args.world_size].tolist()
        sums = torch.zeros(5, dtype=torch.float64)
        stays: list[tuple[int, float]] = []
        model: Any = self.model
        model.eval()
        for start in range(0, len(rows), SCORED_TOGETHER):
            batch = self._prepare_inputs(self.held_out.__getitems__(rows[start : start + SCORED_TOGETHER]))
            with self.compute_loss_context_manager():
                (loss, right, found), (stay_loss, guesses) = self.scores(model, batch)
            numbers = (loss.sum(), right.sum(), found.sum(), len(loss), stay_loss.sum())
            sums += torch.tensor([float(number) for number in numbers], dtype=torch.float64)
            stays += zip(batch["next_sentence_label"].tolist(), guesses.tolist(), strict=True)
        loss, right, found, codes, stay_loss = self.accelerator.reduce(
            sums.to(self.args.device), reduction="sum"
        ).tolist()
        if not codes:
            raise ClinbertError("no held-out patient has a code of the vocabulary: set paths.held_out = false")
        labels, guessed = zip(*gather_object(stays), strict=True)
        metrics = {
            "eval_mlm_loss": loss / codes,
            "eval_mlm_accuracy": right / codes,
            f"eval_mlm_top_{TOP}": found / codes,
            "eval_perplexity": math.exp(min(loss / codes, 700)),
            "eval_stay_loss": stay_loss / len(labels),
            "eval_stay_share": sum(labels) / len(labels),
        }
        # Where all stays are of one kind, there is nothing to tell apart.
        if 0 < sum(labels) < len(labels):
            metrics["eval_stay_auroc"] = float(roc_auc_score(labels, guessed))
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def scores(self, model: Any, inputs: dict[str, Any]) -> tuple[tuple[Any, Any, Any], tuple[Any, Any]]:
        """Give loss, whether the first and whether one of the first guesses is right, of each masked code; loss and
        log odds of each patient's prolonged stay."""
        inputs = dict(inputs)
        labels, stays = inputs.pop("labels"), inputs.pop("next_sentence_label")
        at = labels != IGNORED
        self.masked_rows.at = at
        outputs = model(**inputs)
        logits, gold = outputs["prediction_logits"].float(), labels[at]
        guesses = logits.topk(min(TOP, logits.shape[-1])).indices
        odds = outputs["seq_relationship_logits"].float()
        cross_entropy = torch.nn.functional.cross_entropy
        codes = cross_entropy(logits, gold, reduction="none"), guesses[:, 0] == gold, (guesses == gold[:, None]).any(1)
        return codes, (cross_entropy(odds, stays, reduction="none"), odds[:, 1] - odds[:, 0])


def _as_it_is(batch: Any) -> Any:
    return batch
