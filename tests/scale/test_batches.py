"""Notes cut into batches by number and by characters."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from spacy_clinbert.scale.batches import slices
from spacy_clinbert.scale.schemas import NOTES_SCHEMA

TEXTS = st.lists(st.one_of(st.none(), st.text("aé🙂", max_size=9)), max_size=12)


@given(TEXTS, st.integers(1, 5), st.integers(1, 20))
def test_slices_hold_all_notes_and_stay_within_their_sizes(texts, batch_size, characters):
    batch = pa.RecordBatch.from_pylist([{"note_id": str(n), "text": t} for n, t in enumerate(texts)], NOTES_SCHEMA)
    parts = list(slices(batch, batch_size, characters))
    assert [row for part in parts for row in part.to_pylist()] == batch.to_pylist()
    for part, following in zip(parts, [*parts[1:], None]):
        lengths = [len(text or "") for text in part["text"].to_pylist()]
        assert 0 < len(lengths) <= batch_size and (sum(lengths) <= characters or len(lengths) == 1)
        if following is not None:
            full = len(lengths) == batch_size
            assert full or sum(lengths) + len(following["text"][0].as_py() or "") > characters
        assert [again.to_pylist() for again in slices(part, batch_size, characters)] == [part.to_pylist()]
