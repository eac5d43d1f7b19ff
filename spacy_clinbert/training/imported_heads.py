"""The heads of Hugging Face classifiers as components, each compared with the checkpoint before it is given out."""

from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Model

from ..errors import ClinbertError
from ..models.dense_text_classifier import ACTIVATIONS, activate
from ..models.passes import find_shim
from ..models.tag_decoding import tag_names
from ..models.tag_schemes import DECODING, UNNAMED, read_scheme

# The words on which the two are compared: few, since some models have short windows.
PROBE = ["Patient", "denies", "fever", ",", "3", "mg", "."]
# Of logits: two computations of one model in float32 differ by about 1e-5.
TOLERANCE = 1e-3

# Weights, shape (out, in), and biases, shape (out,).
Layer = Tuple[np.ndarray, np.ndarray]


def add_ner(nlp: Language, name: str, model: Any, classes: Sequence[str], scheme: Optional[str]) -> Dict[str, str]:
    """Add `clinbert_ner` with the weights of a token classifier.

    nlp (Language): the pipeline.
    name (str): hub id or folder of the checkpoint.
    model (PreTrainedModel): the checkpoint.
    classes (Sequence[str]): the names of its classes.
    scheme (Optional[str]): one of `tag_schemes.SCHEMES`; None to infer it.
    RETURNS (Dict[str, str]): how the classes were read.
    RAISES (ClinbertError): if its head or its classes cannot be read exactly.
    """
    read = read_scheme(classes, scheme)
    layers = head_layers(model)
    if len(layers) != 1:
        raise ClinbertError(f"its head has {len(layers)} linear layers, and that of a token classifier has one")
    ((weights, biases),) = layers
    plain = tag_names(read.labels)
    if sorted(read.tags) == sorted(plain):
        order = [read.tags.index(tag) for tag in plain]
        head: Dict[str, Any] = {"@architectures": "spacy_clinbert.TokenClassifier.v1"}
    else:
        order = list(range(len(classes)))
        head = {"@architectures": "spacy_clinbert.MappedTokenClassifier.v1", "tags": read.tags}
    head["tok2vec"] = {"@architectures": "spacy_clinbert.NoteEncoder.v1", "name": name}
    ner: Any = nlp.add_pipe("clinbert_ner", config={"decoding": DECODING[read.name], "model": head})
    doc = Doc(nlp.vocab, words=PROBE)
    ner.initialize(lambda: [Example(doc, doc.copy())], nlp=nlp, labels=read.labels)
    output, encoder = ner.model.get_ref("output_layer"), ner.model.get_ref("tok2vec")
    set_layer(output, (weights[order], biases[order]))
    logits, firsts = checkpoint_logits(model, encoder, doc)
    ours = output.ops.to_numpy(output.predict(encoder.predict([doc])[0]))
    if not same(ours, logits[0, firsts][:, order]):
        raise ClinbertError(f"its head ({type(model).__name__}) computes more than one linear layer")
    said = {"scheme": read.name, "labels": ", ".join(read.labels), "outside too": ", ".join(read.no_word)}
    return {key: value for key, value in said.items() if value}


def add_textcat(nlp: Language, name: str, model: Any, classes: Sequence[str]) -> Dict[str, str]:
    """Add `clinbert_textcat` with the weights of a sequence classifier.

    It reads, as the checkpoint does, one window of the text: what lies behind it is left out and counted.

    nlp, name, model, classes: as for `add_ner`.
    RETURNS (Dict[str, str]): how the classes are read.
    RAISES (ClinbertError): if it is a regression, or its head is of another form.
    """
    exclusive = model.config.problem_type != "multi_label_classification"
    if model.config.problem_type == "regression" or (exclusive and len(classes) == 1):
        raise ClinbertError("it is a regression, with a number instead of labels: give a classifier")
    if len(set(classes)) < len(classes):
        raise ClinbertError("two of its classes have one name: give those of all, in order, by --labels")
    layers = head_layers(model)
    tok2vec = {"@architectures": "spacy_clinbert.NoteWindows.v1", "name": name, "sections_key": "", "max_windows": 1}
    head: Dict[str, Any] = {"@architectures": "spacy_clinbert.TextClassifier.v1", "pooling": "cls"}
    if len(layers) == 2:
        tok2vec["pooler"] = False
        head = {"@architectures": "spacy_clinbert.DenseTextClassifier.v1", "width": len(layers[0][1])}
        head["activation"] = find_activation(model, layers)
    elif len(layers) != 1:
        raise ClinbertError(f"its head has {len(layers)} linear layers, and known ones have one or two")
    config = {"exclusive": exclusive, "model": {**head, "tok2vec": tok2vec}}
    textcat: Any = nlp.add_pipe("clinbert_textcat", config=config)
    doc = Doc(nlp.vocab, words=PROBE)
    gold = doc.copy()
    gold.cats = {label: float(label == classes[0]) for label in classes}
    textcat.initialize(lambda: [Example(doc, gold)], nlp=nlp, labels=list(classes))
    for ref, weights in zip(("output_layer", "dense_layer"), reversed(layers)):
        set_layer(textcat.model.get_ref(ref), weights)
    logits, _ = checkpoint_logits(model, textcat.model.get_ref("tok2vec"), doc)
    if not same(textcat.model.ops.to_numpy(textcat.model.predict([doc])[0]), logits):
        raise ClinbertError(f"its head ({type(model).__name__}) is of a form that is not known")
    said = {"classes": "one of" if exclusive else "any of", "labels": ", ".join(classes)}
    if any(UNNAMED.fullmatch(label) for label in classes):
        said["warning"] = "its config.json does not name the classes: give names by --labels"
    return said


def head_layers(model: Any) -> List[Layer]:
    """The linear layers of a classifier's head, in their order.

    model (PreTrainedModel): the classifier.
    RETURNS (List[Tuple[ndarray, ndarray]]): their weights and biases.
    RAISES (ClinbertError): if it has layers of other kinds.
    """
    import torch

    parts = [part for part in model.children() if part is not model.base_model]
    layers = [layer for part in parts for layer in part.modules() if any(True for _ in layer.parameters(recurse=False))]
    others = sorted({type(layer).__name__ for layer in layers if not isinstance(layer, torch.nn.Linear)})
    if others:
        raise ClinbertError(f"its head ({type(model).__name__}) has layers that are not linear: {', '.join(others)}")
    found = []
    for layer in layers:
        weights = layer.weight.detach().numpy()
        found.append((weights, np.zeros(len(weights)) if layer.bias is None else layer.bias.detach().numpy()))
    return found


def find_activation(model: Any, layers: List[Layer]) -> str:
    """Find what stands between the two layers of a head, which no config says: the one that gives its logits.

    model (PreTrainedModel): the classifier.
    layers (List[Tuple[ndarray, ndarray]]): its head.
    RETURNS (str): one of `ACTIVATIONS`.
    RAISES (ClinbertError): if it is none of them.
    """
    import torch

    ids = torch.arange(2, 10)[None]
    with torch.no_grad():
        logits = model(input_ids=ids).logits.numpy()
        first = model.base_model(input_ids=ids)[0][:, 0].numpy()
    (dense, bias), (weights, biases) = layers
    hidden = (first @ dense.T + bias).astype("float32")
    for name in ACTIVATIONS:
        if same(activate(name).predict(hidden) @ weights.T + biases, logits):
            return name
    raise ClinbertError(f"its head ({type(model).__name__}) is of a form that is not known")


def set_layer(layer: Model, weights: Layer) -> None:
    """Put weights into one of Thinc's linear layers."""
    for name, array in zip("Wb", weights):
        values: Any = np.ascontiguousarray(array, dtype="float32")
        layer.set_param(name, layer.ops.asarray_f(values))


def checkpoint_logits(model: Any, encoder: Model, doc: Doc) -> Tuple[np.ndarray, np.ndarray]:
    """What the checkpoint itself gives for a Doc of one window.

    model (PreTrainedModel): the checkpoint.
    encoder (Model): ours, which cuts the wordpieces.
    doc (Doc): the Doc.
    RETURNS (Tuple[ndarray, ndarray]): its logits, and the places of the first wordpieces of the tokens.
    """
    import torch

    pieces: Any = find_shim(encoder).pieces
    ids, starts = pieces.encode(doc)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([pieces.frame(ids.tolist())])).logits
    return logits.numpy(), starts[:-1] + len(pieces.prefix)


def same(ours: Any, theirs: np.ndarray) -> bool:
    """Whether two computations of logits agree; of other shapes they do not."""
    return np.shape(ours) == theirs.shape and np.allclose(ours, theirs, rtol=TOLERANCE / 10, atol=TOLERANCE)
