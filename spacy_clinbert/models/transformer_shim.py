"""The bridge between a Hugging Face encoder and Thinc: passes in bounded memory, device, threads, serialization."""

import copy
import os
import warnings
from contextlib import contextmanager, nullcontext
from typing import Any, Callable, Iterator, Mapping, Optional, Protocol, Sequence, Union, cast

import numpy as np
import srsly
from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import CupyOps, Model, Optimizer, PyTorchGradScaler, PyTorchShim, get_current_ops, torch2xp, xp2torch
from thinc.shims.shim import Shim
from thinc.types import Floats2d, FloatsXd

from ..errors import ClinbertError
from .batches import Bounds, MicroBatch, gather
from .checkpoints import freeze, from_files, max_positions, parts_from_files, read_checkpoint, set_dropout, to_files
from .fused_adam import Key, fused_step, is_adamw
from .openvino_engine import BEST_PIECES, GRAPH, Arrays, OpenVinoEncoder, read_graph
from .openvino_graph import compile_encoder
from .quantization import quantize
from .repeats import Repeats
from .run_settings import RunSettings
from .wordpieces import Wordpieces

# What a micro-batch costs beside its padded wordpieces, in such pieces: reading the weights, and starting each
# operation, which a GPU waits for. Training steps of MiniLM on two cores took the same time with 32 to 128, within 3 %,
# and half as long again with 1,024; on a GPU nothing was measured.
OVERHEAD, GPU_OVERHEAD = 64, 1024


class Layout(Protocol):
    """Lays a batch of Docs into micro-batches, and says how many rows each Doc gets."""

    def __call__(
        self, shim: "TransformerShim", docs: Sequence[Doc], is_train: bool
    ) -> tuple[list[MicroBatch], list[int]]:
        """Lay them."""


class TransformerShim(PyTorchShim):
    """A Hugging Face encoder with its tokenizer, as Thinc's model sees it; empty until `load` or `from_bytes`.

    settings (RunSettings): how it runs.
    layout (Layout): what its rows are: tokens, windows or pairs.
    """

    def __init__(self, settings: RunSettings, layout: Layout) -> None:
        super().__init__(None)
        self.settings = settings
        self.layout = layout
        self.pieces: Optional[Wordpieces] = None
        self.warned = False
        self.repeats = Repeats(settings.cache_mb * 2**20)
        # Called with the micro-batches of each pass.
        self.watch: Optional[Callable[[Sequence[MicroBatch]], None]] = None
        # Whether this update's gradients are in their own scale again.
        self._unscaled = False
        self._process = os.getpid()
        self._compiled: Optional[OpenVinoEncoder] = None
        self._config: Any = None

    @property
    def loaded(self) -> bool:
        """Whether weights are present, be it in compiled form alone."""
        return self._model is not None or self._compiled is not None

    @property
    def trainable(self) -> bool:
        """Whether weights are present that torch can train."""
        return self._model is not None

    @property
    def device(self) -> Any:
        """Where torch computes."""
        import torch

        return super().device if self.trainable else torch.device("cpu")

    @property
    def width(self) -> int:
        """Width of the encoder's rows."""
        return int(self.model_config.hidden_size)

    @property
    def model_config(self) -> Any:
        """The encoder's configuration."""
        return self._model.config if self.trainable else self._config

    @property
    def pooled(self) -> bool:
        """Whether rows go through a pooler."""
        if self._compiled is not None:
            return self._compiled.pooled
        return getattr(self._model, "pooler", None) is not None

    @property
    def max_positions(self) -> int:
        """The longest sequence, special pieces included, that the encoder has positions for."""
        return max_positions(self._model) if self.trainable else int(self.cfg["max_positions"])

    @property
    def trained_length(self) -> int:
        """The length of sequence, special pieces included, that the encoder was trained at."""
        return int(self.cfg["trained_length"])

    def bounds(self, is_train: bool) -> Bounds:
        """What a micro-batch may hold and costs."""
        most = self.settings.max_batch_pieces
        overhead = OVERHEAD if self.device.type == "cpu" else GPU_OVERHEAD
        return Bounds(min(most, BEST_PIECES) if self._compiles(is_train) else most, overhead)

    def _compiles(self, is_train: bool) -> bool:
        """Whether another engine than torch computes."""
        return self.settings.engine != "torch" and not is_train

    def load(self, name: str) -> None:
        """Read an encoder by catalogue alias, hub id or folder."""
        checkpoint = read_checkpoint(name, self.settings.pooler)
        self.cfg = {"name": name, "trained_length": checkpoint.trained_length, "pooler": self.settings.pooler}
        self._settle(checkpoint.model, checkpoint.tokenizer)
        if self.settings.pooler and hasattr(self._model, "pooler") and not self.pooled:
            warnings.warn(
                f"the files of {name!r} hold no pooler: rows are the raw [CLS]; set pooler = false if that is meant",
                stacklevel=2,
            )

    def rows(self, batches: Sequence[MicroBatch], n_rows: int, is_train: bool) -> tuple[Floats2d, Callable]:
        """Run micro-batches through the encoder and collect their rows.

        batches (Sequence[MicroBatch]): what goes through together.
        n_rows (int): number of rows; those that no micro-batch feeds get zeros.
        is_train (bool): whether a backward pass follows.
        RETURNS (Tuple[Floats2d, Callable]): the rows, shape (n_rows, width), and a callback that takes their gradient.
        """
        import torch

        self._mind_the_fork()
        if self.watch is not None:
            self.watch(batches)
        # One micro-batch fits the bound. Of several, only the used rows are kept: the rest is computed again backwards.
        recompute = is_train and sum(batch.ids.size for batch in batches) > self.settings.max_batch_pieces
        with torch.set_grad_enabled(is_train):
            if self._compiles(is_train) or (not is_train and self.device.type == "cpu"):
                parts = self.repeats.through(batches, self._predict)
                rows = torch.from_numpy(gather(batches, parts, n_rows, self.width)).to(self.device)
            else:
                rows = torch.zeros(n_rows, self.width, device=self.device)
                if batches:
                    inputs = self._inputs(batches, is_train)
                    values = [self._run(batch, each, is_train, recompute) for batch, each in zip(batches, inputs)]
                    places = torch.from_numpy(np.concatenate([batch.rows for batch in batches])).to(self.device)
                    rows = rows.index_add(0, places, torch.cat(values))

        def backprop(d_rows: Floats2d) -> None:
            if rows.requires_grad:
                gradient = xp2torch(d_rows, device=self.device)
                rows.backward(self._grad_scaler.scale(gradient))

        return cast(Floats2d, torch2xp(rows, ops=get_current_ops())), backprop

    def _predict(self, batches: Sequence[MicroBatch]) -> Iterator[np.ndarray]:
        """The rows of each micro-batch, on the CPU."""
        if self._compiles(False):
            outputs = self._engine().stream((batch.ids, batch.mask, batch.types) for batch in batches)
            for batch, output in zip(batches, outputs):
                yield self._pick(output, batch, batch.picks) * batch.weights[:, None]
        else:
            for batch, inputs in zip(batches, self._inputs(batches, False)):
                yield self._run(batch, inputs, False, False).numpy()

    def _pick(self, output: Any, batch: MicroBatch, picks: Any) -> Any:
        """The rows that are used; a pooler gives one for each sequence, that of its first place."""
        return output[picks // batch.ids.shape[1]] if self.pooled else output.reshape(-1, self.width)[picks]

    def _inputs(self, batches: Sequence[MicroBatch], is_train: bool) -> Iterator[dict[str, Any]]:
        """What the encoder is given for each micro-batch.

        At training the wordpieces of all are looked up at once: each lookup's gradient is as large as the vocabulary.
        """
        import torch

        ids = [torch.from_numpy(batch.ids).to(self.device) for batch in batches]
        if is_train:
            vectors = self._model.get_input_embeddings()(torch.cat([each.flatten() for each in ids]))
            parts = vectors.split([each.numel() for each in ids])
            read = [{"inputs_embeds": part.view(*each.shape, -1)} for part, each in zip(parts, ids)]
        else:
            read = [{"input_ids": each} for each in ids]
        for batch, inputs in zip(batches, read):
            inputs["attention_mask"] = torch.from_numpy(batch.mask).to(self.device)
            if batch.types is not None:
                inputs["token_type_ids"] = torch.from_numpy(batch.types).to(self.device)
            yield inputs

    def _run(self, batch: MicroBatch, inputs: dict[str, Any], is_train: bool, recompute: bool) -> Any:
        """The rows of one micro-batch in torch."""
        import torch
        from torch.utils.checkpoint import checkpoint

        picks, weights = (torch.from_numpy(array).to(self.device) for array in (batch.picks, batch.weights))

        def encode(inputs: dict[str, Any]) -> Any:
            # A prediction between the passes may have switched dropout off; what is computed again must be the same.
            self._model.train(is_train)
            with self._autocast():
                output = self._model(**inputs)
            return self._pick_rows(output, batch, picks).float() * weights[:, None]

        return checkpoint(encode, inputs, use_reentrant=False) if recompute else encode(inputs)

    def _pick_rows(self, output: Any, batch: MicroBatch, picks: Any) -> Any:
        """The rows that are used of what torch's encoder returns."""
        return self._pick(output.pooler_output if self.pooled else output.last_hidden_state, batch, picks)

    def _engine(self) -> OpenVinoEncoder:
        """The compiled form of the weights as they are now."""
        if self._compiled is None:
            if self.settings.precision == "int8":
                raise ClinbertError(
                    'precision = "int8" needs ranges measured on notes: run clinbert compile --precision int8'
                )
            self._compiled = compile_encoder(self._model, self.pooled, self.settings.precision)
        return self._compiled

    def keep_compiled(self, sequences: Sequence[Arrays] = ()) -> None:
        """Keep nothing but the compiled form: what is saved from here on loads without torch's weights.

        sequences (Sequence[Tuple[ndarray, ndarray, Optional[ndarray]]]): for precision "int8", what it is measured on.
        """
        if sequences and not self.trainable:
            raise ClinbertError(
                "these weights were rounded by what other notes gave: compile the pipeline that they were compiled from"
            )
        if self.trainable and self.settings.precision == "int8":
            self._compiled = quantize(compile_encoder(self._model, self.pooled, "fp32"), sequences)
        self._engine()
        self.cfg["max_positions"], self._config = self.max_positions, self.model_config
        self._model = None
        self.repeats.clear()

    def _forget(self) -> None:
        """Drop what was made with the weights, since others come."""
        self._compiled = None
        self.repeats.clear()

    def _autocast(self) -> Any:
        """Mixed precision on whatever device the encoder is; Thinc's own autocast knows CUDA only."""
        import torch

        if self.settings.mixed_precision == "no":
            return nullcontext()
        dtype = torch.bfloat16 if self.settings.mixed_precision == "bf16" else torch.float16
        return torch.autocast(self.device.type, dtype=dtype)

    def _mind_the_fork(self) -> None:
        """In a forked worker, leave the parent's thread pool alone: its threads are not there to wait for."""
        if self._process != os.getpid():
            import torch

            torch.set_num_threads(1)
            self._process = os.getpid()

    def finish_update(self, optimizer: Optimizer) -> None:
        """Update the weights: in PyTorch where the optimizer is AdamW, else by Thinc's own steps.

        optimizer (Optimizer): Thinc's; its key is (shim id, parameter name).
        """
        self._forget()
        weights = self.ready_weights()
        if weights:
            step = fused_step if is_adamw(optimizer) else self._thinc_step
            step(optimizer, weights)
        self._model.zero_grad(set_to_none=True)
        self._grad_scaler.update()
        self._unscaled = False

    def ready_weights(self) -> dict[Key, Any]:
        """The weights with gradients, these in their own scale; none where one overflowed, since no step follows then.

        RETURNS (Dict[Key, Parameter]): the weights by the optimizer's keys.
        """
        weights = {(self.id, name): p for name, p in self._model.named_parameters() if p.grad is not None}
        if not self._unscaled:
            self._grad_scaler.unscale([weight.grad for weight in weights.values()])
            self._unscaled = True
        return {} if self._grad_scaler.found_inf else weights

    def _thinc_step(self, optimizer: Optimizer, parameters: Mapping[Key, Any]) -> None:
        ops = get_current_ops()
        for key, parameter in parameters.items():
            weights, gradient = (cast(FloatsXd, torch2xp(t, ops=ops)) for t in (parameter.data, parameter.grad))
            updated, _ = optimizer(key, weights, gradient)
            parameter.data = xp2torch(updated, device=parameter.device)

    @contextmanager
    def use_params(self, params: dict) -> Iterator[None]:
        """Take other weights for a while: the averages of an optimizer, by its keys.

        params (dict): weights by (shim id, parameter name); the inherited method knows keys of another form.
        """
        parameters = dict(self._model.named_parameters()) if self.trainable else {}
        own = {name: p for name, p in parameters.items() if (self.id, name) in params}
        backup = {name: p.data for name, p in own.items()}
        for name, parameter in own.items():
            parameter.data = xp2torch(params[self.id, name].copy(), device=parameter.device)
        before = self._compiled
        if own:
            self._forget()
        try:
            yield
        finally:
            for name, parameter in own.items():
                parameter.data = backup[name]
            if own:
                self.repeats.clear()
                self._compiled = before

    def copy(self) -> "TransformerShim":
        """A copy with an id of its own: the id is the optimizer's key, and two copies must not share its state."""
        copied = copy.deepcopy(self)
        with Shim.global_id_lock:
            Shim.global_id += 1
            copied.id = Shim.global_id
        return copied

    def to_device(self, device_type: str, device_id: int) -> None:
        """Follow Thinc to a GPU; while Thinc is on the CPU, the settings decide."""
        self.repeats.clear()
        if self.trainable:
            self._model.to(f"cuda:{device_id}" if device_type == "gpu" else self._choose_device())
            self._grad_scaler.to_(self.device)

    def to_bytes(self) -> bytes:
        """Configuration, tokenizer and weights as bytes; of an empty shim, nothing but that it is empty."""
        files: dict[str, bytes] = {}
        if self.pieces is not None:
            files = to_files(self._model if self.trainable else self._config, self.pieces.tokenizer)
            if not self.trainable:
                files.update(self._engine().to_files())
        return srsly.msgpack_dumps({"cfg": self.cfg, "files": files})

    def from_bytes(self, bytes_data: bytes) -> "TransformerShim":
        """Restore what `to_bytes` wrote; the folder or hub that it came from is not needed."""
        msg = srsly.msgpack_loads(bytes_data)
        self.cfg = msg["cfg"]
        if self.settings.pooler and not self.cfg.get("pooler", True):
            raise ClinbertError(
                f"pooler = true, but {self.cfg['name']!r} was trained and saved without its pooler: set pooler = false"
            )
        if GRAPH in msg["files"]:
            self._settle_compiled(msg["files"])
        elif msg["files"]:
            self._settle(*from_files(msg["files"], self.settings.pooler))
        return self

    def _settle_compiled(self, files: dict[str, bytes]) -> None:
        """Take a compiled encoder, which has its pooler or lack of it built in."""
        if self.settings.engine == "torch":
            raise ClinbertError(
                'these weights were compiled for OpenVINO: set engine = "openvino", or load the pipeline that they '
                "were compiled from"
            )
        self._forget()
        self._config, tokenizer = parts_from_files(files)
        self.pieces = Wordpieces(tokenizer)
        self._model, self._compiled = None, OpenVinoEncoder(read_graph(files), self.settings.precision)
        if self._compiled.in_8_bits != (self.settings.precision == "int8"):
            made = "int8" if self._compiled.in_8_bits else "fp32 or bf16"
            raise ClinbertError(
                f'these weights were compiled for {made}, not for "{self.settings.precision}": compile the pipeline '
                "that they were compiled from"
            )
        if self.pooled and not self.settings.pooler:
            raise ClinbertError("pooler = false, but the encoder was compiled with its pooler: set pooler = true")

    def _settle(self, model: Any, tokenizer: Any) -> None:
        """Take model and tokenizer, with this run's settings."""
        self.pieces = Wordpieces(tokenizer)
        self._forget()
        self._take(model)

    def _take(self, model: Any) -> None:
        """Take a model, with this run's settings."""
        set_dropout(model, self.settings.dropout)
        freeze(model, self.settings.freeze_layers, self.cfg["name"])
        try:
            self._model = model.to(self._choose_device())
        except (RuntimeError, AssertionError) as error:
            raise ClinbertError(
                f'device = "{self.settings.device}" is not there for torch: give "cpu" or "auto"'
            ) from error
        # Gradients of fp16 underflow unless scaled; Thinc scales on CUDA only, and fp16 is of use only there.
        scales = self.settings.mixed_precision == "fp16" and self.device.type == "cuda"
        self._grad_scaler = PyTorchGradScaler(enabled=scales)
        self._grad_scaler.to_(self.device)

    def _choose_device(self) -> Union[str, Any]:
        """Thinc's device where it computes on a GPU, else the one named, else CUDA where torch has it."""
        import torch

        ops = get_current_ops()
        if isinstance(ops, CupyOps):
            return f"cuda:{ops.device_id}"
        if self.settings.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.settings.device


def find_shims(nlp: Language) -> Iterator[TransformerShim]:
    """The encoders of a pipeline, in its order."""
    for name in nlp.component_names:
        model = getattr(nlp.get_pipe(name), "model", None)
        for layer in model.walk() if isinstance(model, Model) else ():
            yield from (shim for shim in layer.shims if isinstance(shim, TransformerShim))
