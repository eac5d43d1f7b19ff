"""The three settings of Med-BERT: what its published code does, what its paper says, and the best we know."""

from typing import NamedTuple

# Ids that are no codes, as `ehr/schemas.py` has them; original Med-BERT has its mask at the id of its padding.
SPECIALS = ("[PAD]", "[MASK]", "[UNK]", "[CLS]")
PAD, MASK, UNK, CLS = range(4)

# Rows of the tables of ages (in years) and of gaps (in steps of a logarithmic scale), id 0 for unknown or none.
AGES, GAPS = 122, 34


class Style(NamedTuple):
    """How a BERT reads codes.

    poolings (tuple[str, ...]): how the rows of a patient may become one, the first unless another is chosen: "cls" and
        "first_pooler" (a tanh layer on the first row, `[CLS]` or the first code), "sum" over the codes, or
        "sum_with_pads", over all rows of a sequence padded to its full length.
    positions (bool): whether there is a table of absolute positions.
    ranks (bool): whether there is one of the order within the visit (serialization).
    cls (bool): whether `[CLS]` stands before the codes.
    ages, gaps (bool): whether there are tables of the age at a visit, and of the days since the visit before.
    specials (bool): whether padding, mask, unknown code and `[CLS]` have ids of their own; else padding and mask share
        id 0, and there are no others.
    renumbers (bool): whether the first visit that is read is number 1, though earlier ones were cut off.
    masking (str): "static" (one mask for each patient) or "dynamic".
    """

    poolings: tuple[str, ...]
    positions: bool = False
    ranks: bool = True
    cls: bool = False
    ages: bool = False
    gaps: bool = False
    specials: bool = True
    renumbers: bool = False
    masking: str = "dynamic"


# original: ZhiGroup/Med-BERT, `create_BERTpretrain_EHRfeatures.py` (mask id 0, one mask, longer patients skipped),
# `config.json` (no rank table), `run_EHRpretraining.py` (pooler on the first code) and `run_EHRpretraining_QA2Seq.py`
# (sum over all 512 rows). paper: Rasmy et al. 2021, npj Digital Medicine 4:86, doi:10.1038/s41746-021-00455-y: code,
# visit and serialization embeddings, no [CLS] and no [SEP], all outputs into one for the prolonged stay; it masks one
# code a patient and does not say how often anew. default: RoBERTa's masks drawn anew (arXiv:1907.11692); age and time
# between visits as CORE-BEHRT found of use (Odgaard et al. 2024, arXiv:2404.15201); codes whose order no source states
# are not told apart by position. Measured on 8,000 simulated patients only (two layers, 400 updates, one seed): after
# equal updates, masks drawn anew over 15 % of the codes give a held-out loss of 5.35 nats a code, one static mask a
# patient 6.45; [CLS], ages and gaps change it by less than 0.02.
STYLES = {
    "original": Style(("first_pooler", "sum_with_pads"), True, ranks=False, specials=False, masking="static"),
    "paper": Style(("sum",)),
    "default": Style(("cls",), cls=True, ages=True, gaps=True, renumbers=True),
}
