"""Google BERT's `create_pretraining_data` in plain Python, as published: what our export is measured against.

Devlin et al. 2019, "BERT"; google-research/bert, create_pretraining_data.py. Wordpieces are numbers here. A second
segment comes from any other document, as there; patients are not known.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

Document = Sequence[Sequence[int]]


class Vocabulary(NamedTuple):
    """The numbers of the special pieces, those a mask may be replaced by, and those that continue a word."""

    cls: int
    sep: int
    mask: int
    words: Sequence[int]
    continues: frozenset[int]


class Limits(NamedTuple):
    """The flags of the script."""

    length: int = 128
    max_predictions: int = 20
    mask_probability: float = 0.15
    short_probability: float = 0.1
    whole_word: bool = False


class Instance(NamedTuple):
    """An example; `chunk` is the number of segments that it was made of."""

    pieces: list[int]
    types: list[int]
    positions: list[int]
    originals: list[int]
    is_random: bool
    chunk: int


def create_instances(
    documents: Sequence[Document], dupe: int, vocabulary: Vocabulary, limits: Limits, rng: random.Random
) -> list[Instance]:
    """All examples of the documents, `dupe` times, shuffled."""
    documents = [[segment for segment in document if segment] for document in documents]
    documents = [document for document in documents if document]
    rng.shuffle(documents)
    instances = [
        instance
        for _ in range(dupe)
        for number in range(len(documents))
        for instance in from_document(documents, number, vocabulary, limits, rng)
    ]
    rng.shuffle(instances)
    return instances


def from_document(
    documents: Sequence[Document], number: int, vocabulary: Vocabulary, limits: Limits, rng: random.Random
) -> list[Instance]:
    """The examples of one document, once."""
    document = documents[number]
    room = limits.length - 3
    target = rng.randint(2, room) if rng.random() < limits.short_probability else room
    instances = []
    chunk: list[Sequence[int]] = []
    at = 0
    while at < len(document):
        chunk.append(document[at])
        if at == len(document) - 1 or sum(map(len, chunk)) >= target:
            split = rng.randint(1, len(chunk) - 1) if len(chunk) >= 2 else 1
            first = [piece for segment in chunk[:split] for piece in segment]
            is_random = len(chunk) == 1 or rng.random() < 0.5
            if is_random:
                second = random_second(documents, number, target - len(first), rng)
                at -= len(chunk) - split
            else:
                second = [piece for segment in chunk[split:] for piece in segment]
            truncate(first, second, room, rng)
            pieces = [vocabulary.cls, *first, vocabulary.sep, *second, vocabulary.sep]
            types = [0] * (len(first) + 2) + [1] * (len(second) + 1)
            pieces, positions, originals = mask(pieces, vocabulary, limits, rng)
            instances.append(Instance(pieces, types, positions, originals, is_random, len(chunk)))
            chunk = []
        at += 1
    return instances


def random_second(documents: Sequence[Document], number: int, wanted: int, rng: random.Random) -> list[int]:
    """Segments of a random document from a random one on, until there are pieces enough."""
    for _ in range(10):
        other = rng.randint(0, len(documents) - 1)
        if other != number:
            break
    second: list[int] = []
    for segment in documents[other][rng.randint(0, len(documents[other]) - 1) :]:
        second.extend(segment)
        if len(second) >= wanted:
            break
    return second


def truncate(first: list[int], second: list[int], room: int, rng: random.Random) -> None:
    """Take pieces off the longer run, at a random end, until both have room."""
    while len(first) + len(second) > room:
        longer = first if len(first) > len(second) else second
        if rng.random() < 0.5:
            del longer[0]
        else:
            longer.pop()


def mask(
    pieces: list[int], vocabulary: Vocabulary, limits: Limits, rng: random.Random
) -> tuple[list[int], list[int], list[int]]:
    """Masked pieces, where they are, and what was there."""
    words: list[list[int]] = []
    for position, piece in enumerate(pieces):
        if piece in (vocabulary.cls, vocabulary.sep):
            continue
        if limits.whole_word and words and piece in vocabulary.continues:
            words[-1].append(position)
        else:
            words.append([position])
    rng.shuffle(words)
    wanted = min(limits.max_predictions, max(1, round(len(pieces) * limits.mask_probability)))
    output, masked = list(pieces), []
    for word in words:
        if len(masked) >= wanted:
            break
        if len(masked) + len(word) > wanted:
            continue
        for position in word:
            masked.append(position)
            if rng.random() < 0.8:
                output[position] = vocabulary.mask
            elif rng.random() >= 0.5:
                output[position] = vocabulary.words[rng.randint(0, len(vocabulary.words) - 1)]
    masked.sort()
    return output, masked, [pieces[position] for position in masked]
