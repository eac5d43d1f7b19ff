"""Wordpiece vocabularies trained on notes, without the words of a few patients."""

import string
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from ..corpora.notes import Note
from ..errors import ClinbertError

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

# What `write_tokenizer` writes.
TOKENIZER_FILES = ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")

# BERT's own limit: a longer word is one [UNK] (`max_input_chars_per_word` of Google's WordpieceTokenizer).
LONGEST_WORD = 100


class Vocabulary(NamedTuple):
    """A trained vocabulary.

    pieces (list[str]): the wordpieces, in the order of their ids.
    n_notes (int): notes read.
    n_known (int): those of them whose patient is known.
    n_words (int): word types that it was trained on.
    n_rare (int): word types left out because too few patients or notes have them.
    """

    pieces: list[str]
    n_notes: int
    n_known: int
    n_words: int
    n_rare: int


def train_vocabulary(notes: Callable[[], Iterable[Note]], *, size: int, min_notes: int, cased: bool) -> Vocabulary:
    """Train a wordpiece vocabulary on the words that enough patients share.

    A vocabulary leaks: a name written often in one note, or in the many notes of one patient, would become a piece.
    Words of fewer than `min_notes` patients therefore never reach the training, so every piece and every character is
    part of a word of that many patients, or printable ASCII, which is always in. Where the patient of a note is not
    known, the note counts as one. Memory grows with the number of different words, not of notes.

    notes (Callable[[], Iterable[Note]]): gives the notes, anew at each call; they are read twice.
    size (int): largest number of pieces, special ones included.
    min_notes (int): a word of fewer patients, or notes of unknown patients, is left out.
    cased (bool): keep upper case and accents; else both go, as in Google's uncased models.
    RETURNS (Vocabulary): the pieces and what was counted; the same notes give the same pieces.
    RAISES (ClinbertError): if there are no notes, no word is in enough notes, or `size` has no room for the characters.
    """
    normalizer = normalizers.BertNormalizer(lowercase=not cased, strip_accents=not cased)
    pre_tokenizer = pre_tokenizers.BertPreTokenizer()

    def words(text: str) -> Iterator[str]:
        pairs = pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text))
        return (word for word, _ in pairs if len(word) <= LONGEST_WORD)

    n_notes = n_known = 0
    shared: set[str] = set()
    # Of a word that few have, who they are; most words are of few, so that sets would take much more memory.
    owners: dict[str, tuple[int, ...]] = {}
    for note in notes():
        n_notes += 1
        n_known += bool(note.patient)
        # 64 bits of an id are told apart as well as ids, and take less memory.
        owner = hash(("patient", note.patient) if note.patient else ("note", note.note_id))
        for word in set(words(note.text)) - shared:
            known = owners.get(word, ())
            if owner in known:
                continue
            if len(known) + 1 >= min_notes:
                shared.add(word)
                owners.pop(word, None)
            else:
                owners[word] = (*known, owner)
    if not n_notes:
        raise ClinbertError("there are no notes to train a vocabulary on: check the file and its columns")
    if not shared:
        whom = "patients" if n_known else "notes"
        raise ClinbertError(
            f"no word is of {min_notes} {whom} among the {n_notes} notes: give more notes or a smaller --min-notes"
        )

    plain = normalizer.normalize_str(string.ascii_letters + string.digits)
    alphabet = sorted(set(chain(plain, string.punctuation, *shared)))
    # As special tokens the continuing characters have fixed ids. The trainer itself would number them in the order of a
    # hash map, and ids break the ties between merges: the vocabulary would change from run to run.
    specials = [*SPECIALS, *(f"##{char}" for char in sorted(set(chain(plain, *(word[1:] for word in shared)))))]
    if size < len(specials) + len(alphabet):
        raise ClinbertError(
            f"a vocabulary of {size} pieces has no room for the {len(specials) + len(alphabet)} special pieces and"
            " single characters of these notes: give a larger --size"
        )
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator((" ".join(w for w in words(note.text) if w in shared) for note in notes()), trainer)
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return Vocabulary([piece for piece, _ in pieces], n_notes, n_known, len(shared), len(owners))


def write_tokenizer(pieces: Iterable[str], folder: Path, *, cased: bool, length: int) -> None:
    """Write a BERT tokenizer that `AutoTokenizer` loads, with casing, accents and length explicit.

    pieces (Iterable[str]): the wordpieces, in the order of their ids.
    folder (Path): an existing folder.
    cased (bool): as at the training of the vocabulary.
    length (int): `model_max_length`, the longest sequence in wordpieces, specials included.
    """
    from transformers import BertTokenizerFast

    vocab_file = folder / "vocab.txt"
    vocab_file.write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    tokenizer = BertTokenizerFast(
        str(vocab_file), do_lower_case=not cased, strip_accents=not cased, model_max_length=length
    )
    tokenizer.save_pretrained(folder)
