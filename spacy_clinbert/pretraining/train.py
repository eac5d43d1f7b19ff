"""`clinbert pretrain`: from the instances of an export to a model that loads by its folder."""

import hashlib
import json
import logging
import math
import shutil
import time
from collections.abc import Callable, Sequence, Sized
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Optional

from transformers import TrainingArguments, set_seed

from ..errors import ClinbertError
from ..models.checkpoints import quiet_transformers
from ..output import check_replaceable
from .checkpoint_folder import checkpoint_folder, finished, last_checkpoint, open_folder, step_of
from .curves import PANELS, Panel, draw_curves
from .export_reader import Export, open_export, read_sides
from .manifest import Manifest, read_manifest
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
    losses (dict[str, float]): loss, mlm_loss and nsp_loss (for codes stay_loss) in nats, means over the last line of
        the log.
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


class Job(NamedTuple):
    """A run, whatever it trains on.

    settings (Any): sections `paths` with an `output`, and `training`.
    run (dict[str, Any]): all on which the result depends, as JSON holds it: "section.setting" to value.
    train, held_out (Sized): the two sides, the second None where nothing is held out.
    per_epoch (int): updates in a pass.
    load (Callable[[], Any]): gives the model, after the seed is set.
    make_trainer (Callable[[Any, TrainingArguments], MaskedTrainer]): gives the trainer.
    save (Callable[[Any, Path], None]): writes the model into a folder.
    seen (dict[str, Any]): what was trained on, for metrics.json.
    panels (Sequence): what is drawn, as for `draw_curves`.
    """

    settings: Any
    run: dict[str, Any]
    train: Sized
    held_out: Optional[Sized]
    per_epoch: int
    load: Callable[[], Any]
    make_trainer: Callable[[Any, TrainingArguments], MaskedTrainer]
    save: Callable[[Any, Path], None]
    seen: dict[str, Any]
    panels: Sequence[Panel] = PANELS


def pretrain(settings: Settings) -> Pretrained:
    """Pretrain a model and write it, with its tokenizer, metrics.json and curves.png, as a folder that loads.

    A run that was stopped goes on from its last whole checkpoint, with the same result as if it had not been; the same
    settings and instances give the same model on the same machine, and to rounding on any number of processes.

    settings (Settings): instances, output folder, model and training.
    RETURNS (Pretrained): counts, losses and time.
    RAISES (ClinbertError): if the instances or the weights cannot be used; the output is then as it was before.
    """
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

    def make_trainer(model: Any, arguments: TrainingArguments) -> MaskedTrainer:
        return MaskedTrainer(model, arguments, train, held_out, training, export.tokenizer.pad_token_id)

    def save(model: Any, folder: Path) -> None:
        model.save_pretrained(folder, safe_serialization=True, max_shard_size="1TB")
        export.tokenizer.save_pretrained(folder)

    load = partial(load_model, settings.model, export.tokenizer, export.manifest.settings.length)
    seen = {"recipe": export.manifest.recipe, "source": export.manifest.source, **export.manifest.counts}
    run = _run(settings, export)
    return carry_out(Job(settings, run, train, held_out, per_epoch, load, make_trainer, save, seen))


def carry_out(job: Job) -> Pretrained:
    """Train, from the last whole checkpoint if there is one, and write the output.

    job (Job): the run.
    RETURNS (Pretrained): counts, losses and time.
    RAISES (ClinbertError): if the checkpoints are of another run, or something cannot be written.
    """
    started = time.monotonic()
    output, training = job.settings.paths.output, job.settings.training
    steps = training.steps or max(1, math.ceil((training.epochs or 0) * job.per_epoch))
    if training.warmup_steps >= steps:
        logging.getLogger("spacy_clinbert").warning(
            "training.warmup_steps %d is not below the %d steps: the rate never gets to training.learning_rate",
            *(training.warmup_steps, steps),
        )
    folder = checkpoint_folder(output)
    arguments = training_arguments(training, steps, folder, scored=job.held_out is not None)
    set_seed(training.seed)
    model = job.load()
    with arguments.main_process_first(local=False):
        if arguments.process_index == 0:
            open_folder(folder, job.run)
    checkpoint = last_checkpoint(folder)
    resumed = step_of(checkpoint) if checkpoint else 0
    if resumed:
        logging.getLogger("spacy_clinbert").warning("%s: resuming at step %d", output, resumed)

    # What was there before the first step is the first point of the curves.
    arguments.eval_on_start = arguments.eval_strategy != "no" and not resumed
    trainer = job.make_trainer(model, arguments)
    with quiet_transformers():
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if job.held_out is not None and not any("eval_mlm_loss" in line for line in trainer.history(steps)):
        trainer.evaluate()
    history = [{**line, "epoch": line["step"] / job.per_epoch} for line in trainer.history()]
    losses, scores = (_last(history, key) for key in ("mlm_loss", "eval_mlm_loss"))
    done = Pretrained(
        len(job.train),
        len(job.held_out or ()),
        steps,
        steps / job.per_epoch,
        resumed,
        time.monotonic() - started,
        {name: losses[name] for name in ("loss", *trainer.loss_names)},
        {name.removeprefix("eval_"): value for name, value in scores.items() if name.startswith("eval_")},
    )
    if arguments.process_index == 0:
        _write(job, trainer.model, done, history, folder)
    trainer.accelerator.wait_for_everyone()
    return done


def _last(history: Sequence[dict[str, float]], key: str) -> dict[str, float]:
    return next((line for line in reversed(history) if key in line), {})


def _run(settings: Settings, export: Export) -> dict[str, Any]:
    """All on which the result depends, and so what a resumed run must have in common with the stopped one."""
    held_out = settings.paths.held_out
    sections = {name: section for name, section in settings.model_dump(mode="json").items() if name != "paths"}
    return {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()} | {
        "paths.instances": _checksum(export.manifest),
        "paths.held_out": held_out if isinstance(held_out, bool) else _checksum(read_manifest(held_out)),
    }


def _checksum(manifest: Manifest) -> str:
    shards = "".join(shard.sha256 for shard in manifest.shards)
    return hashlib.sha256(f"{shards}{manifest.fingerprint}".encode()).hexdigest()


def _write(job: Job, model: Any, done: Pretrained, history: Sequence[dict[str, float]], folder: Path) -> None:
    metrics = {
        **done._asdict(),
        "seen": job.seen,
        "settings": job.settings.model_dump(mode="json"),
        "history": history,
    }
    with finished(folder, job.settings.paths.output.resolve()) as fresh:
        job.save(model, fresh)
        (fresh / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
        draw_curves(history, fresh / "curves.png", job.panels)
        if (folder / "tensorboard").is_dir():
            shutil.copytree(folder / "tensorboard", fresh / "tensorboard")
