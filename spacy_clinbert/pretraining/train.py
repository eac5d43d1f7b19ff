"""`clinbert pretrain`: from the instances of an export to a model that loads by its folder."""

import hashlib
import json
import logging
import math
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from transformers import set_seed

from ..errors import ClinbertError
from ..models.checkpoints import quiet_transformers
from ..output import check_replaceable
from .checkpoint_folder import checkpoint_folder, finished, last_checkpoint, open_folder, step_of
from .curves import draw_curves
from .export_reader import Export, open_export, read_sides
from .model import load_model
from .settings import Settings
from .trainer import MaskedTrainer, training_arguments
from .vocabulary import TOKENIZER_FILES

# What a model's folder may hold; other architectures than BERT have tokenizer files of other names.
MODEL_FILES = (
    *(*TOKENIZER_FILES, "vocab.json", "merges.txt", "added_tokens.json"),
    *("config.json", "generation_config.json", "model.safetensors", "metrics.json", "curves.png", "tensorboard"),
)


class Pretrained(NamedTuple):
    """What a run did.

    instances, held_out (int): instances or blocks trained on, and those that the scores below are of.
    steps (int), epochs (float): updates, and how many passes over the instances they made.
    resumed (int): the step from which this call went on, 0 for the start.
    seconds (float): of this call.
    losses (dict[str, float]): loss, mlm_loss and nsp_loss in nats, means over the last line of the log.
    scores (dict[str, float]): held-out mlm_loss (nats a masked piece), mlm_accuracy and perplexity, and nsp_loss and
        nsp_accuracy where sentence pairs are predicted; empty where nothing was held out.
    """

    instances: int
    held_out: int
    steps: int
    epochs: float
    resumed: int
    seconds: float
    losses: dict[str, float]
    scores: dict[str, float]


def pretrain(settings: Settings) -> Pretrained:
    """Pretrain a model and write it, with its tokenizer, metrics.json and curves.png, as a folder that loads.

    A run that was stopped goes on from its last whole checkpoint, with the same result as if it had not been; the same
    settings and instances give the same model on the same machine, and to rounding on any number of processes.

    settings (Settings): instances, output folder, model and training.
    RETURNS (Pretrained): counts, losses and time.
    RAISES (ClinbertError): if the instances or the weights cannot be used; the output is then as it was before.
    """
    started = time.monotonic()
    paths, training = settings.paths, settings.training
    check_replaceable(paths.output.resolve(), MODEL_FILES)
    export = open_export(paths.instances)
    train, held_out = read_sides(settings, export)
    per_epoch = len(train) // training.batch_size
    if not per_epoch:
        raise ClinbertError(
            f"{paths.instances} has {len(train):,} instances to train on, too few for one update of"
            f" training.batch_size {training.batch_size}"
        )
    steps = training.steps or max(1, math.ceil((training.epochs or 0) * per_epoch))
    if training.warmup_steps >= steps:
        logging.getLogger("spacy_clinbert").warning(
            "training.warmup_steps %d is not below the %d steps: the rate never gets to training.learning_rate",
            *(training.warmup_steps, steps),
        )

    folder = checkpoint_folder(paths.output)
    arguments = training_arguments(training, steps, folder, scored=held_out is not None)
    set_seed(training.seed)
    model = load_model(settings.model, export.tokenizer, export.manifest.settings.length)
    with arguments.main_process_first(local=False):
        if arguments.process_index == 0:
            open_folder(folder, _run(settings, export))
    checkpoint = last_checkpoint(folder)
    resumed = step_of(checkpoint) if checkpoint else 0
    if resumed:
        logging.getLogger("spacy_clinbert").warning("%s: resuming at step %d", paths.output, resumed)

    # What was there before the first step is the first point of the curves.
    arguments.eval_on_start = arguments.eval_strategy != "no" and not resumed
    trainer = MaskedTrainer(model, arguments, train, held_out, training, export.tokenizer.pad_token_id)
    with quiet_transformers():
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if held_out is not None and not any("eval_mlm_loss" in line for line in trainer.history(steps)):
        trainer.evaluate()
    history = [{**line, "epoch": line["step"] / per_epoch} for line in trainer.history()]
    losses, scores = (_last(history, key) for key in ("mlm_loss", "eval_mlm_loss"))
    done = Pretrained(
        len(train),
        len(held_out or ()),
        steps,
        steps / per_epoch,
        resumed,
        time.monotonic() - started,
        {name: losses[name] for name in ("loss", "mlm_loss", "nsp_loss")},
        {name.removeprefix("eval_"): value for name, value in scores.items() if name.startswith("eval_")},
    )
    if arguments.process_index == 0:
        _write(settings, trainer.model, export, done, history, folder)
    trainer.accelerator.wait_for_everyone()
    return done


def _last(history: Sequence[dict[str, float]], key: str) -> dict[str, float]:
    return next((line for line in reversed(history) if key in line), {})


def _run(settings: Settings, export: Export) -> dict[str, Any]:
    """All on which the result depends, and so what a resumed run must have in common with the stopped one."""
    shards = "".join(shard.sha256 for shard in export.manifest.shards)
    sections = {name: section for name, section in settings.model_dump(mode="json").items() if name != "paths"}
    return {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()} | {
        "paths.instances": hashlib.sha256(f"{shards}{export.manifest.fingerprint}".encode()).hexdigest(),
        "paths.held_out": str(settings.paths.held_out),
    }


def _write(
    settings: Settings, model: Any, export: Export, done: Pretrained, history: Sequence[dict[str, float]], folder: Path
) -> None:
    metrics = {
        **done._asdict(),
        "seen": {"recipe": export.manifest.recipe, "source": export.manifest.source, **export.manifest.counts},
        "settings": settings.model_dump(mode="json"),
        "history": history,
    }
    with finished(folder, settings.paths.output.resolve()) as fresh:
        model.save_pretrained(fresh, safe_serialization=True, max_shard_size="1TB")
        export.tokenizer.save_pretrained(fresh)
        (fresh / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
        draw_curves(history, fresh / "curves.png")
        if (folder / "tensorboard").is_dir():
            shutil.copytree(folder / "tensorboard", fresh / "tensorboard")
