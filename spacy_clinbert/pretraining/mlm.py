"""Masked language modelling on notes with Hugging Face's `Trainer`, from new weights or from those of an encoder."""

import math
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader
from tqdm import tqdm
from transformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    DataCollatorForLanguageModeling,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from ..corpora.notes import Rejected, log_rejected, read_notes
from ..encoders import resolve_encoder, unreachable
from ..errors import ClinbertError
from ..models.checkpoints import max_positions
from ..output import whole_folder
from .packing import HELD_OUT_PERCENT, Windows, is_held_out, note_windows
from .settings import Settings
from .vocabulary import TOKENIZER_FILES

HELD_OUT_BATCH = 64

# What a model's folder may hold; other architectures than BERT have tokenizer files of other names.
MODEL_FILES = (
    *(*TOKENIZER_FILES, "vocab.json", "merges.txt", "added_tokens.json"),
    *("config.json", "generation_config.json", "model.safetensors"),
)


class Pretrained(NamedTuple):
    """What a run did.

    n_notes, n_held_out (int): notes trained on and notes kept for the scores below.
    n_rejected (int): rows of the table that give no note; each is logged with its id and the reason.
    n_windows (int): sequences trained on.
    train_loss (float): mean masked loss over the last twentieth of the steps, in nats.
    held_out_loss (float): masked loss on the held-out notes, in nats, with the same masks in every run of a seed.
    accuracy (float): share of their masked wordpieces that come first.
    seconds (float): the whole run.
    """

    n_notes: int
    n_held_out: int
    n_rejected: int
    n_windows: int
    train_loss: float
    held_out_loss: float
    accuracy: float
    seconds: float

    @property
    def perplexity(self) -> float:
        """The exponential of the held-out loss."""
        return math.exp(self.held_out_loss)


def pretrain(settings: Settings) -> Pretrained:
    """Pretrain a model and write it, with its tokenizer, as a folder that `AutoModel` and `AutoTokenizer` load.

    Masks are drawn anew each time a sequence is seen, 80 % [MASK], 10 % random, 10 % kept (Devlin et al. 2019, Liu et
    al. 2019). The same settings and notes give the same losses on the same machine.

    settings (Settings): notes, tokenizer, output folder, model and training.
    RETURNS (Pretrained): counts, losses and time.
    RAISES (ClinbertError): if the notes, the tokenizer or the weights cannot be used; no output is left.
    """
    started = time.monotonic()
    set_seed(settings.training.seed)
    with whole_folder(settings.paths.output, MODEL_FILES) as folder:
        tokenizer = load_tokenizer(settings)
        model = load_model(settings, tokenizer)
        train, held_out, counts = read_windows(settings, tokenizer, folder)
        train_loss = _train(model, tokenizer, train, settings, folder)
        held_out_loss, accuracy = score_masked(model, tokenizer, held_out, settings)
        model.save_pretrained(folder, safe_serialization=True, max_shard_size="1TB")
        tokenizer.save_pretrained(folder)
    seconds = time.monotonic() - started
    notes = counts["train"], counts["held out"], counts["rejected"]
    return Pretrained(*notes, len(train), train_loss, held_out_loss, accuracy, seconds)


def load_tokenizer(settings: Settings) -> Any:
    """Load the tokenizer; where the weights come from the catalogue, its row says casing and accents.

    settings (Settings): the tokenizer's folder, the weights to start from and the length.
    RETURNS (PreTrainedTokenizerFast): the tokenizer, with the length as its `model_max_length`.
    RAISES (ClinbertError): if the folder holds no tokenizer, or a damaged one.
    """
    folder = settings.paths.tokenizer
    if not (folder / "tokenizer_config.json").is_file() and not (folder / "vocab.txt").is_file():
        raise ClinbertError(f"tokenizer folder {folder} holds no tokenizer: write one with `clinbert vocab`")
    entry = resolve_encoder(settings.model.init).entry if settings.model.init else None
    casing = entry.casing if entry else {}
    try:
        return AutoTokenizer.from_pretrained(
            folder, model_max_length=settings.model.length, trust_remote_code=False, **casing
        )
    except Exception as error:
        # Damaged files show as errors of every type; an OSError would read as a refusal to write the output.
        raise ClinbertError(
            f"tokenizer folder {folder} cannot be loaded ({type(error).__name__}): write it again with `clinbert vocab`"
        ) from error


def load_model(settings: Settings, tokenizer: Any) -> Any:
    """Load the weights to start from, or draw new ones.

    settings (Settings): the model's sizes or the encoder to start from.
    tokenizer (PreTrainedTokenizerFast): what gives the number of wordpieces.
    RETURNS (PreTrainedModel): the model with its masked language modelling head.
    RAISES (ClinbertError): if the sizes do not fit together, or the encoder cannot be loaded or is too small.
    """
    shape = settings.model
    if shape.init is None:
        if shape.hidden_size % shape.heads:
            raise ClinbertError(f"model.hidden_size {shape.hidden_size} is no multiple of model.heads {shape.heads}")
        return BertForMaskedLM(
            BertConfig(
                vocab_size=len(tokenizer),
                hidden_size=shape.hidden_size,
                num_hidden_layers=shape.layers,
                num_attention_heads=shape.heads,
                intermediate_size=shape.feed_forward,
                hidden_dropout_prob=shape.dropout,
                attention_probs_dropout_prob=shape.dropout,
                max_position_embeddings=shape.length,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
    source = resolve_encoder(shape.init)
    try:
        model = AutoModelForMaskedLM.from_pretrained(
            source.location, revision=source.revision or "main", trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise unreachable(shape.init) from error
    for limit, wanted, what in (
        (model.config.vocab_size, len(tokenizer), "wordpieces in the tokenizer"),
        (max_positions(model.base_model), shape.length, "positions in model.length"),
    ):
        if wanted > limit:
            raise ClinbertError(f"{shape.init} has room for {limit}, but there are {wanted} {what}: make them match")
    return model


def read_windows(settings: Settings, tokenizer: Any, folder: Path) -> tuple[Windows, Windows, Counter[str]]:
    """Pack the notes into windows.

    settings (Settings): where the notes are, and the length of a window.
    tokenizer (PreTrainedTokenizerFast): the tokenizer.
    folder (Path): the folder on whose disk the windows are kept.
    RETURNS (tuple): the windows to train on, those held out, and the number of notes "train", "held out", "rejected".
    RAISES (ClinbertError): if either has no window.
    """
    paths, counts = settings.paths, Counter[str]()
    windows = {"train": Windows(folder), "held out": Windows(folder)}

    def reject(rejected: Rejected) -> None:
        log_rejected(rejected)
        counts["rejected"] += 1

    notes = read_notes(paths.notes, paths.id_column, paths.text_column, reject)
    for note in tqdm(notes, desc="notes", unit=" notes", disable=None):
        part = "held out" if is_held_out(note.note_id) else "train"
        counts[part] += 1
        for ids in note_windows(note.text, tokenizer, settings.model.length):
            windows[part].append(ids)
    if not all(map(len, windows.values())):
        raise ClinbertError(
            f"{paths.notes} has {counts['train'] + counts['held out']} readable notes, too few to train on and to hold"
            f" {HELD_OUT_PERCENT} % of them out: give more notes"
        )
    return windows["train"], windows["held out"], counts


class _Progress(TrainerCallback):
    """A bar of steps with the loss; logs of `Trainer` name no text."""

    def __init__(self, steps: int) -> None:
        self.bar = tqdm(total=steps, desc="pretraining", unit=" steps", disable=None)
        self.loss = math.nan

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.bar.update(state.global_step - self.bar.n)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        self.loss = (logs or {}).get("loss", self.loss)
        self.bar.set_postfix(loss=f"{self.loss:.3f}")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.bar.close()


def _train(model: Any, tokenizer: Any, windows: Windows, settings: Settings, folder: Path) -> float:
    training = settings.training
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=training.steps,
        per_device_train_batch_size=training.batch_size,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        warmup_steps=training.warmup_steps,
        seed=training.seed,
        logging_steps=max(1, training.steps // 20),
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    progress = _Progress(training.steps)
    trainer: Any = Trainer(
        model=model,
        args=arguments,
        train_dataset=windows,
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=training.mask_probability),
        callbacks=[progress],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return progress.loss


@torch.no_grad()
def score_masked(model: Any, tokenizer: Any, windows: Windows, settings: Settings) -> tuple[float, float]:
    """Score masked wordpieces, each counting once, with masks of a fixed seed.

    model (PreTrainedModel), tokenizer (PreTrainedTokenizerFast): what is scored.
    windows (Windows): the held-out windows.
    settings (Settings): the mask probability and the seed.
    RETURNS (tuple[float, float]): mean loss in nats, and the share of masked wordpieces that come first.
    RAISES (ClinbertError): if no wordpiece is masked.
    """
    training = settings.training
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=training.mask_probability, seed=training.seed)
    loss, right, masked = 0.0, 0, 0
    model.eval()
    for batch in DataLoader(windows, batch_size=HELD_OUT_BATCH, collate_fn=collator):  # type: ignore[arg-type]
        batch = batch.to(model.device)
        at = batch["labels"] != -100
        scores = model(**{key: value for key, value in batch.items() if key != "labels"}).logits[at]
        gold = batch["labels"][at]
        loss += torch.nn.functional.cross_entropy(scores, gold, reduction="sum").item()
        right += int((scores.argmax(-1) == gold).sum())
        masked += len(gold)
    if not masked:
        raise ClinbertError("the held-out notes are too short to mask a wordpiece of them: give more notes")
    return loss / masked, right / masked
