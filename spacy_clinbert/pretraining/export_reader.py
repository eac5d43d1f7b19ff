"""An export as training reads it: checked, with its tokenizer, divided into what is trained on and what is held out."""

from pathlib import Path
from typing import Any, NamedTuple, Optional

from transformers import AutoTokenizer

from ..errors import ClinbertError
from .dataset import Instances
from .dynamic_masking import Masking
from .export_tokenizer import fingerprint
from .held_out import all_parts, divide
from .manifest import Manifest, read_manifest, verify_shards
from .settings import Settings
from .work import TOKENIZER


class Export(NamedTuple):
    """An export that has been checked.

    manifest (Manifest): what it holds.
    shards (list[Path]): its files in order.
    tokenizer (PreTrainedTokenizerFast): what made its pieces.
    """

    manifest: Manifest
    shards: list[Path]
    tokenizer: Any


class Sides(NamedTuple):
    """The instances of either side; none are held out where nothing is to be scored."""

    train: Instances
    held_out: Optional[Instances]


def open_export(folder: Path) -> Export:
    """Read the manifest, the shards' checksums and the tokenizer of an export.

    folder (Path): as `clinbert export` wrote it.
    RETURNS (Export): what was read.
    RAISES (ClinbertError): if it is not whole, a shard or the tokenizer is damaged, or it is of a form that cannot be
        trained on.
    """
    manifest = read_manifest(folder)
    form = manifest.settings.form
    if form not in ("instances", "blocks"):
        raise ClinbertError(f'{folder} holds the form "{form}": training reads "instances" or "blocks"')
    verify_shards(folder, manifest)
    place = folder / TOKENIZER
    try:
        if fingerprint(place) != manifest.fingerprint:
            raise ClinbertError(f"{place} is not the tokenizer that made {folder}: copy the export again")
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    except ClinbertError:
        raise
    except Exception as error:
        # Damaged files show as errors of every type.
        raise ClinbertError(f"{place} cannot be loaded ({type(error).__name__}): copy the export again") from error
    return Export(manifest, [folder / shard.name for shard in manifest.shards], tokenizer)


def read_sides(settings: Settings, export: Export) -> Sides:
    """Divide the instances, and say how masks are drawn.

    settings (Settings): what is held out, the objective and the masking.
    export (Export): `paths.instances`.
    RETURNS (Sides): what is trained on and what is held out.
    RAISES (ClinbertError): if settings and form do not go together, or a side is empty.
    """
    blocks = export.manifest.settings.form == "blocks"
    if blocks and settings.model.objective != "mlm":
        raise ClinbertError(f'{settings.paths.instances} holds blocks, no sentence pairs: set model.objective = "mlm"')
    if blocks and settings.training.masking != "dynamic":
        raise ClinbertError(f'{settings.paths.instances} holds blocks without masks: set training.masking = "dynamic"')
    if settings.training.masking == "dynamic" and export.manifest.settings.whole_word:
        raise ClinbertError(
            f"{settings.paths.instances} was exported with whole_word, and dynamic masks are of single pieces: set"
            ' training.masking = "static", or export without it'
        )
    training = settings.training
    masking = Masking(export.tokenizer, training.mask_probability, training.seed)
    # What is held out has the same masks at each evaluation.
    train_masks, held_out_masks = masking if training.masking == "dynamic" else None, masking if blocks else None
    if settings.paths.held_out is True:
        parts = divide(export.shards, export.manifest.settings.seed)
        return Sides(Instances(parts.train, train_masks), Instances(parts.held_out, held_out_masks))
    train = Instances(all_parts(export.shards), train_masks)
    if settings.paths.held_out is False:
        return Sides(train, None)
    other = open_export(settings.paths.held_out)
    if (other.manifest.fingerprint, other.manifest.settings.form) != (
        export.manifest.fingerprint,
        export.manifest.settings.form,
    ):
        raise ClinbertError(
            f"{settings.paths.held_out} and {settings.paths.instances} differ in tokenizer or form: export them alike"
        )
    return Sides(train, Instances(all_parts(other.shards), held_out_masks))
