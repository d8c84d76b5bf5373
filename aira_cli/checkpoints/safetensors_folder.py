"""A folder as transformers saves it: config.json and safetensors, whole or in shards.

Finds the files, checks every header and reads the JSON beside them; unpacking AWQ is left to
`awq`. The safetensors library maps the files, so a tensor costs memory only when it is used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from aira_cli.checkpoints.forms import Form, dense_form
from aira_cli.checkpoints.quantization import WHOLE_INPUT, awq_group_size
from aira_cli.checkpoints.safetensors_header import read_header
from aira_cli.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

    from aira_cli.checkpoints.weights import Weight

WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_MAPPED_AT_ONCE = 1 << 28  # bytes
AWQ_PARTS = ("qweight", "qzeros", "scales")


@dataclass(frozen=True)
class SafetensorsFolder:
    """An opened folder; `places` says which of its safetensors files holds each tensor."""

    path: Path
    config: dict[str, Any]
    generation: dict[str, Any]
    places: dict[str, Path]
    group_size: int | None
    tokenizer_fields: None = field(default=None, init=False)

    @classmethod
    def open(cls, folder: Path) -> SafetensorsFolder:
        """Raises CheckpointError for what is missing, damaged or quantized in another way."""
        config_file = folder / "config.json"
        if not config_file.is_file():
            raise CheckpointError("config_missing", path=folder)
        config = read_json(config_file)
        generation_file = folder / "generation_config.json"
        generation = read_json(generation_file) if generation_file.is_file() else {}
        group_size = awq_group_size(config_file, config)
        return cls(folder, config, generation, _find_tensors(folder), group_size)

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path / "config.json", *sorted(set(self.places.values())))

    @property
    def nbytes(self) -> int:
        return sum(file.stat().st_size for file in set(self.places.values()))

    def forms(self) -> dict[str, Form]:
        """See `Checkpoint`."""
        headers = {file: read_header(file) for file in dict.fromkeys(self.places.values())}
        forms: dict[str, Form] = {}
        for name, file in self.places.items():
            layer, _, kind = name.rpartition(".")
            shape, (start, end) = headers[file][name]["shape"], headers[file][name]["data_offsets"]
            if self.group_size is None or f"{layer}.qweight" not in self.places:
                forms[name] = dense_form(tuple(shape), end - start)
            elif kind == "qweight":
                inputs, packed = shape if len(shape) == 2 else (0, 0)
                group = inputs if self.group_size == WHOLE_INPUT else self.group_size
                forms[f"{layer}.weight"] = Form((8 * packed, inputs), 4, group)
            elif kind not in AWQ_PARTS:
                forms[name] = dense_form(tuple(shape), end - start)
        return forms

    def weights(self) -> Iterator[tuple[str, Weight]]:
        """Each tensor in the order of the files; an AWQ layer is one record, ".weight"."""
        # torch is imported here and not above: opening a checkpoint must not cost its two seconds
        from aira_cli.checkpoints.awq import int4_from_awq
        from aira_cli.checkpoints.weights import Dense

        read = self._reader()
        for name in self.places:
            layer, _, kind = name.rpartition(".")
            if self.group_size is None or f"{layer}.qweight" not in self.places:
                yield name, Dense(read(name))
            elif kind == "qweight":
                packed = {part: read(f"{layer}.{part}") for part in AWQ_PARTS}
                record = int4_from_awq(self.path, layer, packed, self.group_size)
                yield f"{layer}.weight", record
            elif kind not in AWQ_PARTS:
                yield name, Dense(read(name))

    def _reader(self) -> Callable[[str], Tensor]:
        """A function from a tensor's name to the tensor.

        Pages of a mapping that were read count as this process's memory until it is given up,
        so that the files are mapped anew now and then; tensors still in use keep theirs.
        """
        mapped: dict[Path, Any] = {}
        since = 0

        def read(name: str) -> Tensor:
            nonlocal since
            if name not in self.places:
                raise CheckpointError("tensor_missing", path=self.path, name=name)
            if since > _MAPPED_AT_ONCE:
                mapped.clear()
                since = 0
            file = self.places[name]
            if file not in mapped:
                mapped[file] = open_safetensors(file, "pt")
            try:
                tensor: Tensor = mapped[file].get_tensor(name)
            except SafetensorError as error:
                raise CheckpointError("safetensors_damaged", path=file, reason=error) from error
            since += tensor.nbytes
            return tensor

        return read


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`. Raises CheckpointError with the line where it stops being one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # bad syntax, UTF-8, number; nested too deep
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 1
        raise CheckpointError("json_invalid", path=path, line=line) from error
    if not isinstance(value, dict):
        raise CheckpointError("json_invalid", path=path, line=1)
    return value


def open_safetensors(path: Path, framework: str) -> Any:
    """The library's handle on `path`; its header is checked against the file's length."""
    try:
        return safe_open(path, framework=framework)
    except SafetensorError as error:
        raise CheckpointError("safetensors_damaged", path=path, reason=error) from error


def _find_tensors(folder: Path) -> dict[str, Path]:
    """Tensor name → file, in transformers' precedence: the whole file, the index, the only one."""
    if not (folder / WHOLE).is_file() and (folder / INDEX).is_file():
        return _find_in_shards(folder)
    present = sorted(file.name for file in folder.glob("*.safetensors"))
    if WHOLE not in present and len(present) > 1:
        raise CheckpointError("safetensors_several", path=folder, files=", ".join(present))
    file = folder / (WHOLE if WHOLE in present else present[0])
    return dict.fromkeys(_names_in(file), file)


def _find_in_shards(folder: Path) -> dict[str, Path]:
    index = folder / INDEX
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError("index_invalid", path=index)
    if not all(isinstance(shard, str) for shard in weight_map.values()):
        raise CheckpointError("index_invalid", path=index)
    shards = sorted(set(weight_map.values()))
    names = {shard: set(_names_in(_shard_file(folder, shard))) for shard in shards}
    for name, shard in weight_map.items():
        if name not in names[shard]:
            raise CheckpointError("tensor_missing", path=folder / shard, name=name)
    return {name: folder / shard for name, shard in weight_map.items()}


def _shard_file(folder: Path, shard: str) -> Path:
    """The shard beside its index: a name with a path in it could name any file of the person's."""
    if set(shard) & set("/\\:\0") or not shard.endswith(".safetensors"):
        raise CheckpointError("shard_name_unsafe", path=folder / INDEX, shard=shard)
    file = folder / shard
    if not file.is_file():
        raise CheckpointError("shard_missing", path=folder, shard=shard)
    return file


def _names_in(file: Path) -> list[str]:
    with open_safetensors(file, "np") as mapped:  # numpy: only names are asked, torch stays out
        return list(mapped.keys())
