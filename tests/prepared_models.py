"""Tiny models for the tests of prepared copies, loaded here or in a forked process."""

from __future__ import annotations

import faulthandler
import os
import signal
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from torch import Tensor

from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.engine.local.device import Precision
from aira_cli.engine.local.load import load_model

CPU = torch.device("cpu")
Asked = Literal["stored", "dense", "int8", "int4"]

MODELS: dict[str, dict[str, Any]] = {
    "llama": {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1,
              "num_attention_heads": 2, "vocab_size": 70, "tie_word_embeddings": True},
    "bloom": {"hidden_size": 64, "n_layer": 1, "n_head": 2, "vocab_size": 70},
    "gpt2": {"n_embd": 64, "n_layer": 1, "n_head": 2, "n_positions": 64, "vocab_size": 70},
}  # fmt: skip
IDS = torch.randint(0, 70, (1, 9), generator=torch.Generator().manual_seed(3))


def save(folder: Path, model_type: str = "llama", **changes: Any) -> Path:
    torch.manual_seed(5)
    config = transformers.AutoConfig.for_model(model_type, **MODELS[model_type] | changes)
    model = transformers.AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():
        parameter.data.normal_(std=0.2)
    model.save_pretrained(folder)
    return folder


def logits(model: Path, kept: Path | None, asked: Asked = "int8") -> Tensor:
    """Of a prompt and of two steps behind it, by a model that is loaded now."""
    loaded = load_model(open_checkpoint(model), CPU, Precision(torch.float32, asked), prepared=kept)
    with torch.inference_mode():
        cache = loaded.new_cache()
        found = [loaded.prefill(IDS, cache)]
        found += [loaded.step(torch.tensor([[7]]), cache) for _ in range(2)]
        return torch.cat(found)


def start(body: Callable[[], object]) -> int:
    """A forked process that does `body`; `ended` says how that went."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        faulthandler.disable()  # pytest's; a crash is told by how the process ends
        torch.set_num_threads(1)  # OpenMP's threads did not come along
        try:
            body()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", flush=True)
            os._exit(1)
        os._exit(0)
    return child


def ended(child: int) -> int:
    """What a process ends with: 0 if all went well, minus the number of a signal it died of."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def the_copy(kept: Path) -> Path:
    (only,) = kept.iterdir()
    return only


def blank(model: Path) -> None:
    """Zeros for all weights, in a file of the same size and time."""
    file = model / "model.safetensors"
    times, whole = file.stat(), file.read_bytes()
    start = 8 + struct.unpack("<Q", whole[:8])[0]
    file.write_bytes(whole[:start] + bytes(len(whole) - start))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
