"""How much memory a model will need in a number format, and whether the device has that much.

Both are known before a weight is read. The forms that weights will take are foretold here as
`choose` will decide on them; what is free on a machine is read from the system.

    N  outputs   K  inputs   G  inputs that share a scale
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from aira_cli.checkpoints.forms import Form
from aira_cli.checkpoints.open import Checkpoint
from aira_cli.engine.local.choose import Use, layers_of, runs_native
from aira_cli.engine.local.device import Precision, pick_precision
from aira_cli.engine.local.linear import Linear
from aira_cli.engine.local.matrix import takes
from aira_cli.engine.local.native.kernels import LANES, STRIP
from aira_cli.engine.local.rounding import INT4_GROUP
from aira_cli.engine.local.torch_matrix import takes_int4
from aira_cli.errors import AiraError
from aira_cli.printable import Size

# Beside the weights: the cache, activations, what packing a matrix takes for a moment.
_SHARE, _REST = 1.1, 300_000_000

_FLOAT = 4  # bytes


# what is needed


@dataclass(frozen=True)
class Part:
    """A stored tensor; `use` is None for norms, biases and all of a model that is not ours."""

    form: Form
    use: Use | None = None
    transposed: bool = False


def whole_parts(checkpoint: Checkpoint) -> list[Part]:
    """All tensors, for a decoder that keeps every weight dense."""
    return [Part(form) for form in checkpoint.forms().values()]


def own_parts(model: nn.Module, checkpoint: Checkpoint, prefix: str) -> list[Part]:
    """The tensors that have a place in `model`, one of our decoders on the meta device.

    Names may lack the base model's `prefix`. Those that do not fit are left to `load.fill`.
    """
    slots = dict(model.named_parameters(remove_duplicate=False))
    tied: dict[int, list[str]] = {}
    for slot, parameter in slots.items():
        tied.setdefault(id(parameter), []).append(slot)
    parts = []
    for name, form in checkpoint.forms().items():
        slot = name if name in slots else prefix + name
        if slot in slots and form.shape == tuple(slots[slot].shape):
            parts.append(_part(model, tied[id(slots[slot])], form))
    return parts


def _part(model: nn.Module, slots: Sequence[str], form: Form) -> Part:
    layers = layers_of(model, slots)
    if not layers:
        return Part(form)
    transposed = any(isinstance(layer, Linear) and layer.transposed for layer in layers)
    return Part(form, Use.of(slots, layers), transposed)


def weights_bytes(parts: Sequence[Part], device: torch.device, precision: Precision) -> int:
    """What the weights will take on `device`, files that they are mapped from included."""
    return round(sum(_bytes(part, device, precision) for part in parts))


def _bytes(part: Part, device: torch.device, precision: Precision) -> float:
    if part.use is None or precision.weights == "dense":
        return part.form.count * precision.dtype.itemsize
    form = _rounded(part, part.use, precision)
    if runs_native(device, precision):
        return _native_bytes(form)
    return _torch_bytes(form, part.use, device, precision.dtype.itemsize)


def _rounded(part: Part, use: Use, precision: Precision) -> Form:
    form = part.form
    if part.transposed:
        form = Form(form.shape[::-1], 8 * _FLOAT)
    if form.is_packed or precision.weights == "stored" or not use.multiplies:
        return form
    inputs = form.shape[1]
    if precision.weights == "int4" and not use.vocabulary and inputs % INT4_GROUP == 0:
        return Form(form.shape, 4, INT4_GROUP)
    return Form(form.shape, 8, inputs)


def _native_bytes(form: Form) -> float:
    outputs, inputs = form.shape
    group = form.group_size
    padded = -(-outputs // STRIP) * STRIP
    if form.bits == 4 and takes(4, inputs, group):
        return padded * inputs * (1 / 2 + 4 / group)  # a scale and a point or minimum
    if form.is_packed and form.bits == 8:
        if group == inputs and inputs % 32 == 0:
            return padded * (inputs + _FLOAT)
        if takes(8, inputs, group):
            return padded * inputs * (1 + 2 / group)
    if not form.is_packed and inputs % LANES == 0:
        return form.count * form.bits / 8  # as in the file
    return form.count * _FLOAT


def _torch_bytes(form: Form, use: Use, device: torch.device, itemsize: int) -> float:
    outputs, inputs = form.shape
    group = form.group_size
    if form.bits == 4 and not use.vocabulary and takes_int4(form.shape, group, device):
        return form.count * (1 / 2 + 8 / group)  # scales and zeros, and what rounding left over
    if form.bits == 8 and group == inputs:
        return form.count + 2 * outputs
    return form.count * itemsize


# what is there


def free_bytes(device: torch.device, root: Path = Path("/")) -> int | None:
    """What can still be allocated on `device`, files in the page cache counted as free.

    None where that is unknown: on other systems than Linux and on other accelerators than
    CUDA's. `root` is where /proc and /sys lie.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type != "cpu":
        return None
    try:
        known = [*_free_on_machine(root), *_free_in_group(root)]
    except (OSError, ValueError):
        return None
    return max(0, min(known)) if known else None


def _free_on_machine(root: Path) -> Iterator[int]:
    """MemAvailable, which kernels before 3.14 do not tell."""
    for line in (root / "proc/meminfo").read_text(encoding="ascii").splitlines():
        name, _, amount = line.partition(":")
        if name == "MemAvailable":
            yield int(amount.split()[0]) * 1024


@dataclass(frozen=True)
class _Group:
    """How a version of control groups names what it tells of memory."""

    mount: str
    limit: str
    usage: str
    prefix: str


# By what stands between the colons of a line in /proc/self/cgroup.
_GROUPS = {
    "": _Group("sys/fs/cgroup", "memory.max", "memory.current", ""),
    "memory": _Group(
        "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"
    ),
}


def _free_in_group(root: Path) -> Iterator[int]:
    """What the limits of this process's control group and of the outermost one leave."""
    membership = root / "proc/self/cgroup"
    if not membership.exists():
        return
    for line in membership.read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        group = _GROUPS.get(controllers)
        if group is not None:
            mount = root / group.mount
            for folder in dict.fromkeys((mount / path.lstrip("/"), mount)):
                yield from _left(folder, group)


def _left(folder: Path, group: _Group) -> Iterator[int]:
    if not (folder / group.limit).exists():
        return
    limit = (folder / group.limit).read_text(encoding="ascii").strip()
    if limit == "max":
        return
    used = int((folder / group.usage).read_text(encoding="ascii"))
    for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines():
        name, _, amount = line.partition(" ")
        if name in (f"{group.prefix}inactive_file", f"{group.prefix}active_file"):
            used -= int(amount)  # pages of files go when they are needed
    yield int(limit) - used


# whether that is enough


def require_memory(
    parts: Sequence[Part],
    device: torch.device,
    precision: Precision,
    *,
    smaller: Sequence[str],
    free: Callable[[torch.device], int | None] = free_bytes,
) -> None:
    """AiraError if `device` has less memory than a model of `parts` needs.

    It names the first of the `smaller` number formats, words for --dtype, with which the model
    would fit. Where nobody says how much is free, nothing is refused.
    """
    available = free(device)
    needed = _with_rest(weights_bytes(parts, device, precision))
    if available is None or needed <= available:
        return
    for name in smaller:
        other = pick_precision(name, device)
        if _with_rest(weights_bytes(parts, device, other)) <= available:
            raise AiraError(
                "memory_short", device=device, need=Size(needed), available=Size(available),
                choice=f"--dtype {name}",
            )  # fmt: skip
    raise AiraError("memory_too_short", device=device, need=Size(needed), available=Size(available))


def _with_rest(weights: int) -> int:
    return round(weights * _SHARE) + _REST
