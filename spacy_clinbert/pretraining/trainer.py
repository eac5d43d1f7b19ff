"""Hugging Face's `Trainer` for masked pieces and next sentences, with sums that no division of the work changes."""

import math
import os
from functools import partial
from pathlib import Path
from typing import Any, Optional

import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from tqdm import tqdm
from transformers.trainer import Trainer
from transformers.trainer_callback import PrinterCallback, TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from transformers.training_args import TrainingArguments

from ..errors import ClinbertError
from .checkpoint_folder import seal
from .dataset import IGNORED, Batches, collate
from .held_out import spread
from .settings import TrainingSettings

# Held-out instances that are scored, evenly spread over all: the standard error of an accuracy is then below 0.5 %.
SCORED = 10_000
SCORED_TOGETHER = 64


class MaskedTrainer(Trainer):
    """Trains on instances; an update's loss is the mean over its masked pieces plus that over its sentence pairs.

    Both means are taken over all processes and accumulated parts together, so that their number changes nothing.

    model (PreTrainedModel), arguments (TrainingArguments): what is trained, and how.
    train (Instances), held_out (Instances | None): the two sides.
    settings (TrainingSettings): the seed and how an update is shared out.
    pad_id (int): the tokenizer's `[PAD]`.
    """

    # The names of both losses in the log.
    loss_names = ("mlm_loss", "nsp_loss")

    def __init__(
        self,
        model: Any,
        arguments: TrainingArguments,
        train: Any,
        held_out: Any,
        settings: TrainingSettings,
        pad_id: int,
    ) -> None:
        super().__init__(model, arguments, train_dataset=train, eval_dataset=held_out, callbacks=[Progress(arguments)])
        self.remove_callback(PrinterCallback)
        # Else the losses would be divided by the number of accumulated parts, which `compute_loss` has done.
        self.model_accepts_loss_kwargs = True
        self.instances, self.held_out, self.settings = train, held_out, settings
        self.collate = partial(collate, pad_id=pad_id)
        self.typed = getattr(model.config, "type_vocab_size", 0) > 1
        self.masked_rows = MaskedRows(model)
        self.sums = torch.zeros(2, dtype=torch.float64, device=arguments.device)
        self.parts = 0

    def get_train_dataloader(self) -> DataLoader:
        """Give this process's share of the updates; `accelerate` need not divide it."""
        arguments, settings = self.args, self.settings
        shares = (settings.accumulate, arguments.world_size, arguments.process_index)
        batches = Batches(self.instances.sizes, arguments.max_steps, settings.batch_size, shares, settings.seed)
        return DataLoader(
            self.instances, batch_sampler=batches, collate_fn=self.collate, pin_memory=torch.cuda.is_available()
        )

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list, torch.Tensor]:
        """Give the parts of the next update, with its numbers of masked pieces and of pairs over all processes."""
        parts = [part for _, part in zip(range(num_batches), epoch_iterator)]
        labels = ("labels", "next_sentence_label")
        counts = [sum(int((part[name] != IGNORED).sum()) for part in parts) for name in labels]
        total = self.accelerator.reduce(torch.tensor(counts, device=device), reduction="sum")
        return parts, total.clamp(min=1)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Give this part's share of the update's loss."""
        pieces, pairs = self.losses(model, inputs)
        shares = torch.stack([loss.sum() for loss, _ in (pieces, pairs)]) / num_items_in_batch
        self.sums += shares.detach()
        self.parts += 1
        # Gradients are averaged over processes, where these shares are to be summed.
        return shares.sum() * self.accelerator.num_processes

    def losses(self, model: Any, inputs: dict[str, Any]) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """Give loss and success (whether the best guess is right) of each masked piece, and of each sentence pair."""
        inputs = dict(inputs)
        labels, pair_labels = inputs.pop("labels"), inputs.pop("next_sentence_label")
        if not self.typed:
            del inputs["token_type_ids"]
        at = labels != IGNORED
        self.masked_rows.at = at
        outputs = model(**inputs)
        gold = labels[at]
        logits = outputs.get("prediction_logits", outputs.get("logits"))
        logits = (logits if self.masked_rows.found else logits[at]).float()
        pieces = cross_entropy(logits, gold, reduction="none"), logits.argmax(-1) == gold
        if "seq_relationship_logits" not in outputs:
            return pieces, (logits.new_zeros(0), at.new_zeros(0))
        guesses = outputs["seq_relationship_logits"].float()
        return pieces, (cross_entropy(guesses, pair_labels, reduction="none"), guesses.argmax(-1) == pair_labels)

    def log(self, logs: dict[str, float], start_time: Optional[float] = None) -> None:
        """Add the losses of masked pieces and of pairs, unrounded, to those of the `Trainer`."""
        if "loss" in logs:
            updates = self.parts / self.settings.accumulate
            losses = (self.accelerator.reduce(self.sums.clone(), reduction="sum") / updates).tolist()
            self.sums.zero_()
            self.parts = 0
            if not math.isfinite(sum(losses)):
                raise ClinbertError(
                    f"the loss is no number at step {self.state.global_step}: lower training.learning_rate"
                )
            logs = {**logs, "loss": sum(losses), **dict(zip(self.loss_names, losses, strict=True))}
        super().log(logs, start_time)

    @torch.no_grad()
    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Score the held-out instances, each piece and each pair counting once.

        The pieces of a random second segment do not count: it may be of a note that is trained on.
        """
        if self.held_out is None:
            return {}
        rows = spread(len(self.held_out), SCORED)[self.args.process_index :: self.args.world_size].tolist()
        sums = torch.zeros(6, dtype=torch.float64)
        model: Any = self.model
        model.eval()
        for start in range(0, len(rows), SCORED_TOGETHER):
            batch = self.collate([self.held_out[row] for row in rows[start : start + SCORED_TOGETHER]])
            random = (batch["token_type_ids"] == 1) & (batch["next_sentence_label"] == 1)[:, None]
            batch["labels"][random] = IGNORED
            with self.compute_loss_context_manager():
                scored = self.losses(model, self._prepare_inputs(batch))
            numbers = [number for loss, right in scored for number in (loss.sum(), right.sum(), len(loss))]
            sums += torch.tensor([float(number) for number in numbers], dtype=torch.float64)
        loss, right, pieces, pair_loss, pairs_right, pairs = self.accelerator.reduce(
            sums.to(self.args.device), reduction="sum"
        ).tolist()
        if not pieces:
            raise ClinbertError("the held-out instances have no masked piece: export more notes")
        metrics = {"eval_mlm_loss": loss / pieces, "eval_mlm_accuracy": right / pieces}
        metrics["eval_perplexity"] = math.exp(min(loss / pieces, 700))
        if pairs:
            metrics |= {"eval_nsp_loss": pair_loss / pairs, "eval_nsp_accuracy": pairs_right / pairs}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def history(self, step: Optional[int] = None) -> list[dict[str, float]]:
        """The lines of the log with losses or scores, of one step or of all."""
        lines = (line for line in self.state.log_history if "mlm_loss" in line or "eval_mlm_loss" in line)
        return [line for line in lines if step is None or line["step"] == step]

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(str(self.args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.is_world_process_zero():
                seal(folder)
        except Exception as error:
            # A full disk shows as an OSError, a RuntimeError of PyTorch or a SafetensorError.
            raise ClinbertError(
                f"checkpoint {folder} cannot be written ({type(error).__name__}): make room on the disk, and start"
                " again to resume"
            ) from error


class MaskedRows:
    """Lets BERT's masked language modelling head see the masked pieces only, a sixth of them, as Google's does.

    found (bool): whether the model has such a head; that of another architecture sees all pieces.
    at (torch.Tensor): which pieces of the next batch are masked.
    """

    def __init__(self, model: Any) -> None:
        head = getattr(getattr(model, "cls", None), "predictions", None)
        self.found = head is not None
        self.at: Any = None
        if head is not None:
            head.register_forward_pre_hook(lambda _, inputs: (inputs[0][self.at],))


class Progress(TrainerCallback):
    """A bar of steps with the loss; a last line of the log at the last step, whatever the interval.

    arguments (TrainingArguments): say whether this process shows it.
    """

    def __init__(self, arguments: TrainingArguments) -> None:
        shown = None if arguments.process_index == 0 else True
        self.bar = tqdm(total=arguments.max_steps, desc="pretraining", unit=" steps", disable=shown)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start at the step that a checkpoint was at."""
        self.bar.update(state.global_step - self.bar.n)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move the bar."""
        self.bar.update(state.global_step - self.bar.n)
        if state.global_step == args.max_steps:
            control.should_log = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Show the loss."""
        losses = {name: logs[name] for name in ("loss", "eval_mlm_loss") if name in (logs or {})}
        if losses:
            self.bar.set_postfix({name.removeprefix("eval_"): f"{loss:.3f}" for name, loss in losses.items()})

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take the bar off."""
        self.bar.close()


def training_arguments(settings: TrainingSettings, steps: int, folder: Path, scored: bool) -> TrainingArguments:
    """Translate the settings for `Trainer`.

    settings (TrainingSettings): the settings.
    steps (int): updates.
    folder (Path): for checkpoints, and for TensorBoard where it is installed.
    scored (bool): whether there is anything to evaluate on.
    RETURNS (TrainingArguments): the same; several processes of `torchrun` or `accelerate` have found each other.
    RAISES (ClinbertError): if an update cannot be shared out evenly, or the device has no bfloat16.
    """
    from transformers.integrations import is_tensorboard_available

    gpu = torch.cuda.is_available()
    if settings.bf16 and gpu and not torch.cuda.is_bf16_supported():
        raise ClinbertError("this GPU has no bfloat16: set training.bf16 = false")
    # `TrainingArguments` leaves this behind for the next run of the process.
    os.environ["ACCELERATE_MIXED_PRECISION"] = "bf16" if settings.bf16 else "no"
    schedules = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
    arguments = TrainingArguments(
        output_dir=str(folder),
        logging_dir=str(folder / "tensorboard"),
        report_to="tensorboard" if is_tensorboard_available() else "none",
        max_steps=steps,
        gradient_accumulation_steps=settings.accumulate,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        adam_beta1=settings.beta1,
        adam_beta2=settings.beta2,
        adam_epsilon=settings.epsilon,
        max_grad_norm=settings.clip,
        warmup_steps=settings.warmup_steps,
        lr_scheduler_type=schedules[settings.schedule],
        bf16=settings.bf16,
        seed=settings.seed,
        logging_steps=settings.log_steps,
        # What is no number is reported, not averaged away.
        logging_nan_inf_filter=False,
        eval_strategy="steps" if settings.evaluation_steps and scored else "no",
        eval_steps=settings.evaluation_steps or None,
        save_strategy="steps" if settings.save_steps else "no",
        save_steps=settings.save_steps or 1,
        disable_tqdm=True,
        use_cpu=not gpu,
        remove_unused_columns=False,
    )
    shares = settings.accumulate * arguments.world_size
    if settings.unit % shares:
        raise ClinbertError(
            f"training.batch_size {settings.unit} is no multiple of {settings.accumulate} accumulated parts times"
            f" {arguments.world_size} processes: change one of them"
        )
    arguments.per_device_train_batch_size = settings.unit // shares
    # One process uses one GPU; several are for `torchrun`. (DataParallel would divide updates in its own way.)
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments
