"""Patients per second of pretraining on codes: ours against padding all to 512, as Med-BERT's published code does.

The same encoder of the published size, masked codes, prolonged stay, loss and optimizer on the same synthetic patients
(lengths lognormal around a median of 15 codes; the paper's patients have 15 on average), by turns in one run. "padded"
is 32 patients padded to 512 codes. Ours are 32 patients of similar lengths, and 16,384 padded codes of patients of
similar lengths, which is what 32 padded patients have.
Run: python benchmarks/ehr_pretrain_speed.py [--patients 20000] [--rounds 3] [--updates 3]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from spacy_clinbert.ehr.code_batches import CodeBatches
from spacy_clinbert.ehr.code_dataset import CodeDataset, find_side
from spacy_clinbert.ehr.code_masking import CodeMasking
from spacy_clinbert.ehr.pretrain import make_config
from spacy_clinbert.ehr.pretrain_settings import CodeModelSettings, CodeTrainingSettings
from spacy_clinbert.ehr.schemas import SEQUENCES, SPECIALS
from spacy_clinbert.models.code_bert import CodeBertForPreTraining
from spacy_clinbert.models.code_sequences import CodeLayout
from spacy_clinbert.models.code_vocabulary import CodeVocabulary
from spacy_clinbert.pretraining.dataset import IGNORED, Batches
from spacy_clinbert.pretraining.trainer import MaskedRows

VOCABULARY, LENGTH, MEDIAN, SPREAD, PATIENTS_A_STEP = 82_603, 512, 15, 1.0, 32


def write_patients(path: Path, number: int) -> None:
    """Write synthetic patients: some codes are frequent, a visit has two codes."""
    rng = np.random.default_rng(0)
    rows = []
    for i, length in enumerate(np.exp(rng.normal(np.log(MEDIAN), SPREAD, number)).clip(3, LENGTH).astype(int)):
        visits = np.arange(length) // 2
        ids = (len(SPECIALS) + (VOCABULARY - len(SPECIALS)) * rng.random(length) ** 3).astype(int)
        stays = rng.integers(0, 9, visits[-1] + 1)
        rows.append(
            {
                **{"subject_id": str(i), "birth": None, "sex": None, "first_admit": None},
                **{"input_ids": ids, "visit": visits + 1, "rank": np.arange(length) % 2 + 1, "day": visits * 40},
                **{"los": stays, "gap": stays},
            }
        )
    pq.write_table(pa.Table.from_pylist(rows, SEQUENCES), path, row_group_size=10_000)


class Run:
    """An encoder in training, fed in one way."""

    def __init__(self, name: str, dataset: CodeDataset, batches: Batches, full: bool) -> None:
        self.name, self.dataset, self.full = name, dataset, full
        self.batches: Iterator[list[int]] = batches.updates()
        torch.manual_seed(0)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = CodeBertForPreTraining(dataset.layout.config).to(self.device)
        self.masked = MaskedRows(self.model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), 5e-5)
        self.rates: list[float] = []
        self.longest: list[int] = []

    def train(self, updates: int) -> None:
        """Make updates and note the patients per second."""
        patients, began = 0, time.perf_counter()
        for _ in range(updates):
            keys = next(self.batches)
            patients += len(keys)
            self.update(self.dataset.__getitems__(keys))
        if self.device == "cuda":
            torch.cuda.synchronize()
        self.rates.append(patients / (time.perf_counter() - began))

    def update(self, batch: dict[str, Any]) -> None:
        """Train on one batch."""
        if self.full:
            batch = {name: widen(tensor, IGNORED if name == "labels" else 0) for name, tensor in batch.items()}
        batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
        labels, stays = batch.pop("labels"), batch.pop("next_sentence_label")
        self.longest.append(labels.shape[1])
        self.masked.at = labels != IGNORED
        with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
            output = self.model(**batch)
        codes = torch.nn.functional.cross_entropy(output.prediction_logits.float(), labels[self.masked.at])
        loss = codes + torch.nn.functional.cross_entropy(output.seq_relationship_logits.float(), stays)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


def widen(tensor: Any, filling: int) -> Any:
    """Pad to the full length."""
    return (
        torch.nn.functional.pad(tensor, (0, LENGTH - tensor.shape[1]), value=filling) if tensor.dim() == 2 else tensor
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=20_000, help="how many synthetic patients")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed, by turns")
    parser.add_argument("--updates", type=int, default=3, help="updates in each round")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_patients(Path(folder) / "train-00000.parquet", args.patients)
        vocabulary = CodeVocabulary([*SPECIALS, *map(str, range(VOCABULARY - len(SPECIALS)))])
        layout = CodeLayout(make_config(CodeModelSettings(style="paper"), vocabulary), LENGTH)
        side = find_side([Path(folder) / "train-00000.parquet"], layout, skip_longer=False)
        dataset = CodeDataset(side.parts, layout, CodeMasking(vocabulary, None, 0), static=True)

        def bucketed(**size: int) -> CodeBatches:
            return CodeBatches(dataset.sizes, side.lengths, 0, CodeTrainingSettings(steps=1, **size), (1, 1, 0))

        plain = Batches(dataset.sizes, 0, PATIENTS_A_STEP, (1, 1, 0), 0)
        budget = PATIENTS_A_STEP * LENGTH
        runs = [
            Run(f"padded to {LENGTH}, {PATIENTS_A_STEP} patients", dataset, plain, full=True),
            Run(f"ours, {PATIENTS_A_STEP} patients", dataset, bucketed(batch_size=PATIENTS_A_STEP), full=False),
            Run(f"ours, {budget:,} padded codes", dataset, bucketed(batch_codes=budget), full=False),
        ]
        for run in runs:
            run.train(1)
            run.rates.clear()
        for _ in range(args.rounds):
            for run in runs:
                run.train(args.updates)
    print(f"{len(dataset):,} patients, median length {int(np.median(side.lengths))}, on {runs[0].device}\n")
    print("| update | rounds | patients/s, median | least | most | against padded |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for run in runs:
        rate = statistics.median(run.rates)
        ratio = statistics.median(mine / theirs for mine, theirs in zip(run.rates, runs[0].rates, strict=True))
        print(
            f"| {run.name} | {args.rounds} | {rate:.1f} | {min(run.rates):.1f} | {max(run.rates):.1f} | {ratio:.1f} |"
        )


if __name__ == "__main__":
    main()
