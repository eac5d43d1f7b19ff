"""Pretraining on notes and on codes on a GPU; `gpu_speed.py` runs it and says what is measured."""

import json
import statistics
import time
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

import torch
from annotate_speed import read_notes
from ehr_pretrain_speed import LENGTH, PATIENTS_A_STEP, VOCABULARY, Run, write_patients
from gpu_rounds import DEVICE, OURS, PLAIN, by_turns, median_rate, print_table, synchronise, timed, times
from torch.utils.data import DataLoader
from transformers import DataCollatorForLanguageModeling, TrainerCallback, set_seed

from spacy_clinbert.ehr.code_batches import CodeBatches
from spacy_clinbert.ehr.code_dataset import CodeDataset, find_side
from spacy_clinbert.ehr.code_masking import CodeMasking
from spacy_clinbert.ehr.pretrain import make_config
from spacy_clinbert.ehr.pretrain_settings import CodeModelSettings, CodeTrainingSettings
from spacy_clinbert.ehr.schemas import SPECIALS
from spacy_clinbert.models.checkpoints import quiet_transformers
from spacy_clinbert.models.code_sequences import CodeLayout
from spacy_clinbert.models.code_vocabulary import CodeVocabulary
from spacy_clinbert.pretraining.dataset import Batches, Instances
from spacy_clinbert.pretraining.export import export
from spacy_clinbert.pretraining.export_reader import Export, open_export, read_sides
from spacy_clinbert.pretraining.export_settings import ExportSettings
from spacy_clinbert.pretraining.model import load_model
from spacy_clinbert.pretraining.settings import ModelSettings, Paths, Settings, TrainingSettings
from spacy_clinbert.pretraining.trainer import MaskedTrainer, training_arguments

MASKED, PRODUCTS = 0.15, 20
BASE = {"hidden_size": 768, "layers": 12, "heads": 12, "feed_forward": 3072}
UPDATES = {"steps": 40, "log_steps": 10, "batch_size": 64}
TINY = {"hidden_size": 64, "layers": 2, "heads": 2, "feed_forward": 128}


class Clock(TrainerCallback):
    """Notes the time at the end of the warm-up and of the last step."""

    def __init__(self, warm_up: int) -> None:
        self.warm_up = warm_up
        self.times: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Note it."""
        if state.global_step in (self.warm_up, args.max_steps):
            synchronise()
            self.times.append(time.perf_counter())


class NotePretraining:
    """One run of updates after the other, each from the same new weights; the loss is of the last updates timed.

    source (Export), settings (Settings): what is trained on, and how.
    """

    def __init__(self, source: Export, settings: Settings) -> None:
        self.source, self.settings = source, settings
        self.steps, self.warm_up = settings.training.steps or 0, settings.training.log_steps
        self.instances = read_sides(settings, source).train
        self.losses: dict[str, float] = {}

    def new_model(self) -> Any:
        """The weights that each run starts from."""
        set_seed(self.settings.training.seed)
        return load_model(self.settings.model, self.source.tokenizer, self.source.manifest.settings.length)

    def ours(self) -> float:
        """The trainer as `clinbert pretrain` runs it: seconds of the updates after the warm-up."""
        training, clock = self.settings.training, Clock(self.warm_up)
        arguments = training_arguments(training, self.steps, self.settings.paths.output, scored=False)
        pad_id = self.source.tokenizer.pad_token_id
        trainer = MaskedTrainer(self.new_model(), arguments, self.instances, None, training, pad_id)
        trainer.add_callback(clock)
        with quiet_transformers():
            trainer.train()
        self.losses[OURS] = trainer.history()[-1]["mlm_loss"]
        return clock.times[1] - clock.times[0]

    def plain(self) -> float:
        """A loop with Hugging Face's own collator on the same blocks; its head sees every piece."""
        training, model = self.settings.training, self.new_model().to(DEVICE).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay)
        unmasked = Instances(self.instances.parts)
        blocks = [{"input_ids": unmasked[i]["input_ids"]} for i in range(len(unmasked))]
        collator = DataCollatorForLanguageModeling(self.source.tokenizer, mlm_probability=training.mask_probability)
        loader = DataLoader(
            blocks, training.batch_size, shuffle=True, drop_last=True, collate_fn=collator, pin_memory=DEVICE == "cuda"
        )
        batches, losses, start = (batch for _ in count() for batch in loader), [], 0.0
        for step, batch in enumerate(islice(batches, self.steps)):
            if step == self.warm_up:
                synchronise()
                start = time.perf_counter()
            with torch.autocast(DEVICE, torch.bfloat16):
                loss = model(**{name: tensor.to(DEVICE) for name, tensor in batch.items()}).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), training.clip)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.detach())
        synchronise()
        seconds = time.perf_counter() - start
        self.losses[PLAIN] = float(torch.stack(losses[-training.log_steps :]).mean())
        return seconds

    def pieces(self) -> float:
        """The wordpieces of the updates that are timed, on average."""
        lengths = [len(self.instances[i]["input_ids"]) for i in range(len(self.instances))]
        return statistics.mean(lengths) * self.settings.training.batch_size * (self.steps - self.warm_up)


def flops_of_a_piece(model: Any, length: int) -> float:
    """Floating-point operations of a training step for one wordpiece (Chowdhery et al. 2022, appendix B).

    Six for each weight of a matrix in the layers, and in the head for the share of pieces that it must see; and
    12 · layers · width · length for queries with keys and weights with values.
    """
    layers = sum(p.numel() for p in model.bert.encoder.parameters() if p.dim() == 2)
    head = sum(p.numel() for p in model.cls.predictions.parameters() if p.dim() == 2)
    config = model.config
    return 6 * (layers + MASKED * head) + 12 * config.num_hidden_layers * config.hidden_size * length


def measured_peak(size: int) -> float:
    """Operations a second of a large product of bfloat16 matrices, the best of ten."""
    left, right = (torch.randn(size, size, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))

    def multiply() -> None:
        for _ in range(PRODUCTS):
            left @ right

    return PRODUCTS * 2 * size**3 / min(timed(multiply)() for _ in range(10))


def report_notes(encoder: str, folder: Path, rounds: int, smoke: bool) -> None:
    """Pretrain on MTSamples by turns, and print the table."""
    notes, length, size = (8, 64, 256) if smoke else (2_000, 512, 8_192)
    lines = (json.dumps({"note_id": i, "text": text}) for i, text in enumerate(read_notes(notes)))
    (folder / "notes.jsonl").write_text("\n".join(lines), encoding="utf-8")
    blocks = ExportSettings(tokenizer=encoder, form="blocks", length=length)
    export(str(folder / "notes.jsonl"), folder / "blocks", blocks, id_column="note_id", text_column="text")
    steps: dict[str, Any] = {"steps": 4, "log_steps": 2, "batch_size": 4} if smoke else UPDATES
    settings = Settings(
        paths=Paths(instances=folder / "blocks", held_out=False, output=folder / "model"),
        model=ModelSettings(objective="mlm", **(TINY if smoke else BASE)),
        training=TrainingSettings(
            **{**steps, "schedule": "constant", "warmup_steps": 0, "learning_rate": 1e-4},
            **{"save_steps": 0, "masking": "dynamic", "mask_probability": MASKED, "bf16": True},
        ),
    )
    run = NotePretraining(open_export(folder / "blocks"), settings)
    seconds = by_turns({PLAIN: run.plain, OURS: run.ours}, rounds)
    peak, flops, pieces = measured_peak(size), flops_of_a_piece(run.new_model(), length), run.pieces()
    print(
        f"Masked language modelling at {length} pieces, {settings.training.batch_size} blocks an update, {rounds}"
        f" rounds of {run.steps - run.warm_up} updates. A wordpiece takes {flops / 1e6:,.0f} MFLOP: 6 · (weights of the"
        f" layers + {MASKED} · weights of the head) + 12 · layers · width · length. The peak is"
        f" {peak / 1e12:,.1f} TFLOP/s, measured on products of bfloat16 matrices of {size:,} × {size:,}.\n"
    )
    rows = []
    for name, found in seconds.items():
        share = 100 * flops * pieces / statistics.median(found) / peak
        compared = f"{share:.1f}", times(seconds, name, PLAIN), f"{run.losses[name]:.2f}"
        rows.append((name, median_rate(pieces, found), *compared))
    print_table(("loop", "wordpieces/s", "of the peak, %", "times the plain loop", "loss, nats"), rows)


def report_codes(folder: Path, rounds: int, smoke: bool) -> None:
    """Pretrain on synthetic patients by turns, as `ehr_pretrain_speed.py` does, and print the table."""
    patients, together, updates = (200, 4, 1) if smoke else (20_000, PATIENTS_A_STEP, 50)
    sizes: dict[str, Any] = {"hidden_size": 32, "layers": 1, "heads": 2} if smoke else {}
    shard = folder / "train-00000.parquet"
    write_patients(shard, patients)
    vocabulary = CodeVocabulary([*SPECIALS, *map(str, range(VOCABULARY - len(SPECIALS)))])
    layout = CodeLayout(make_config(CodeModelSettings(style="paper", **sizes), vocabulary), LENGTH)
    side = find_side([shard], layout, skip_longer=False)
    dataset = CodeDataset(side.parts, layout, CodeMasking(vocabulary, None, 0), static=True)

    def of_similar_lengths(**unit: int) -> CodeBatches:
        return CodeBatches(dataset.sizes, side.lengths, 0, CodeTrainingSettings(steps=1, **unit), (1, 1, 0))

    unsorted = Batches(dataset.sizes, 0, together, (1, 1, 0), 0)
    padded, codes = f"padded to {LENGTH}, {together} patients", together * LENGTH
    fed = [
        Run(padded, dataset, unsorted, full=True),
        Run(f"ours, {together} patients", dataset, of_similar_lengths(batch_size=together), full=False),
        Run(f"ours, {codes:,} padded codes", dataset, of_similar_lengths(batch_codes=codes), full=False),
    ]

    def seconds_a_patient(run: Run) -> float:
        run.train(updates)
        return 1 / run.rates[-1]

    seconds = by_turns({run.name: partial(seconds_a_patient, run) for run in fed}, rounds)
    print(f"Med-BERT's pretraining, {patients:,} synthetic patients, {rounds} rounds of {updates} updates.\n")
    rows = [(name, median_rate(1, found), times(seconds, name, padded)) for name, found in seconds.items()]
    print_table(("update", "patients/s", "times padded"), rows)
