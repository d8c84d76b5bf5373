"""A checkpoint with a LoRA adapter in PEFT's format merged into it, weight by weight.

What it yields looks like any other checkpoint's, so that nothing else needs to know. Whether the
two fit is found out from headers, before a weight is read; the sum is `merge`'s.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from aira_cli.checkpoints.adapter_config import LoraConfig
from aira_cli.checkpoints.forms import Form
from aira_cli.checkpoints.safetensors_folder import open_safetensors
from aira_cli.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

    from aira_cli.checkpoints.open import Checkpoint
    from aira_cli.checkpoints.weights import Weight

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PICKLED_WEIGHTS = "adapter_model.bin"

# PEFT's names: a layer's path in the model, A or B; those of embeddings are not ".weight".
_NAME = re.compile(
    r"base_model\.model\.(?P<layer>.+)\.lora_(?P<embedding>embedding_)?(?P<side>[AB])(\.weight)?"
)
_DTYPES = ("F32", "F16", "BF16")

# transformers keeps the weights of these in Conv1D, as [inputs, outputs].
_CONV1D_TYPES = ("gpt2", "openai-gpt")
_HEAD = "lm_head"

_LARGEST_GROUP = 128  # of inputs with one scale, for 8 bits in our kernels

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Product:
    """What is added to one weight, and the form of the sum; `a` and `b` are names in the file.

    scale · B A for B [N, R] and A [R, K], or where the weight lies `transposed` Aᵀ Bᵀ.
    """

    a: str
    b: str
    scale: float
    transposed: bool
    form: Form


@dataclass(frozen=True)
class AdaptedCheckpoint:
    """`base` with `products`, by the names of its tensors, from the adapter in `folder`."""

    base: Checkpoint
    folder: Path
    products: Mapping[str, Product]

    @classmethod
    def open(cls, base: Checkpoint, folder: Path) -> AdaptedCheckpoint:
        """Raises CheckpointError for files that are missing, pickled, damaged or of another kind,
        and for a layer, rank or size that does not fit `base`."""
        _require_files(folder)
        config = LoraConfig.read(folder / CONFIG)
        products = _products(config, folder / WEIGHTS, base)
        log.debug(
            "the adapter %s, made for %s, changes %d weights of %s",
            folder, config.made_for, len(products), base.path,
        )  # fmt: skip
        return cls(base, folder, products)

    @property
    def path(self) -> Path:
        return self.base.path

    @property
    def files(self) -> tuple[Path, ...]:
        return (*self.base.files, self.folder / CONFIG, self.folder / WEIGHTS)

    @property
    def config(self) -> dict[str, Any]:
        return self.base.config

    @property
    def generation(self) -> dict[str, Any]:
        return self.base.generation

    @property
    def nbytes(self) -> int:
        return self.base.nbytes + (self.folder / WEIGHTS).stat().st_size

    @property
    def tokenizer_fields(self) -> dict[str, Any] | None:
        return self.base.tokenizer_fields

    def forms(self) -> dict[str, Form]:
        """See `Checkpoint`."""
        return self.base.forms() | {name: p.form for name, p in self.products.items()}

    def weights(self) -> Iterator[tuple[str, Weight]]:
        """The base's, in its order; those that the adapter changes with its product added."""
        # torch is imported here and not above: opening a checkpoint must not cost its two seconds
        from aira_cli.checkpoints.merge import merged

        mapped = open_safetensors(self.folder / WEIGHTS, "pt")
        for name, weight in self.base.weights():
            product = self.products.get(name)
            if product is None:
                yield name, weight
                continue
            a, b = self._read(mapped, product.a), self._read(mapped, product.b)
            left, right = (a.T, b.T) if product.transposed else (b, a)
            yield name, merged(weight, left, right, product.scale, product.form)

    def _read(self, mapped: Any, name: str) -> Tensor:
        try:
            tensor: Tensor = mapped.get_tensor(name)
        except SafetensorError as error:
            file = self.folder / WEIGHTS
            raise CheckpointError("safetensors_damaged", path=file, reason=error) from error
        return tensor


def _require_files(folder: Path) -> None:
    if (folder / PICKLED_WEIGHTS).is_file() and not (folder / WEIGHTS).is_file():
        raise CheckpointError("adapter_pickled", path=folder, file=PICKLED_WEIGHTS)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise CheckpointError("adapter_file_missing", path=folder, file=name)


def _products(config: LoraConfig, file: Path, base: Checkpoint) -> dict[str, Product]:
    """What is added to which tensor of `base`; CheckpointError where it does not fit."""
    forms = base.forms()
    tied = base.config.get("tie_word_embeddings", f"{_HEAD}.weight" not in forms)
    conv1d = base.config.get("model_type") in _CONV1D_TYPES
    products: dict[str, Product] = {}
    for layer, (a, b) in _pairs(file).items():
        if tied and (layer == _HEAD or a.embedding):
            raise CheckpointError("adapter_tied", path=file, name=layer)
        name = _stored_name(layer, forms)
        if name is None:
            raise CheckpointError("adapter_target_missing", path=file, name=layer)
        transposed = a.embedding or (conv1d and layer != _HEAD)
        _check_rank(config, layer, a, b)
        expected, found = forms[name].shape, (b.shape[0], a.shape[1])
        found = found[::-1] if transposed else found
        if found != expected:
            raise CheckpointError(
                "adapter_shape", path=file, name=layer, expected=list(expected), found=list(found)
            )
        scale, form = config.scale(layer), _merged_form(forms[name])
        products[name] = Product(a.name, b.name, scale, transposed, form)
    return products


@dataclass(frozen=True)
class _Factor:
    """A or B of a layer, as the file has it."""

    name: str
    shape: tuple[int, ...]
    embedding: bool


def _pairs(file: Path) -> dict[str, tuple[_Factor, _Factor]]:
    """Layer → its A and B. CheckpointError for any tensor that is neither, or alone."""
    found: dict[str, dict[str, _Factor]] = {}
    with open_safetensors(file, "np") as mapped:  # numpy: only headers are read, torch stays out
        for name in list(mapped.keys()):
            match, part = _NAME.fullmatch(name), mapped.get_slice(name)
            if match is None or part.get_dtype() not in _DTYPES:
                raise CheckpointError("adapter_tensor", path=file, name=name)
            factor = _Factor(name, tuple(part.get_shape()), match["embedding"] is not None)
            found.setdefault(match["layer"], {})[match["side"]] = factor
    if not found:
        raise CheckpointError("adapter_empty", path=file)
    for layer, factors in found.items():
        if len(factors) < 2:
            raise CheckpointError("adapter_half", path=file, name=layer)
    return {layer: (factors["A"], factors["B"]) for layer, factors in found.items()}


def _stored_name(layer: str, forms: Mapping[str, Form]) -> str | None:
    """The tensor of the layer's weight; a checkpoint's names may lack the base model's prefix."""
    _, _, unprefixed = layer.partition(".")
    names = (f"{layer}.weight", f"{unprefixed}.weight")
    return next((name for name in names if name in forms), None)


def _check_rank(config: LoraConfig, layer: str, a: _Factor, b: _Factor) -> None:
    rank = config.rank(layer)
    if len(a.shape) != 2 or len(b.shape) != 2 or (a.shape[0], b.shape[1]) != (rank, rank):
        raise CheckpointError(
            "adapter_rank",
            path=config.path, name=layer, rank=rank, a=list(a.shape), b=list(b.shape),
        )  # fmt: skip


def _merged_form(form: Form) -> Form:
    """In 4 bits, and in bfloat16, much of what an adapter adds is less than half a step and would
    be rounded away. Packed weights get 8 bits and keep their groups, those of 16 are float16."""
    if form.is_packed:
        return Form(form.shape, 8, math.gcd(form.group_size, _LARGEST_GROUP))
    return Form(form.shape, 16 if form.bits <= 16 else 32)
