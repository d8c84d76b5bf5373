"""The header of a safetensors file alone, without the library, numpy or torch.

https://huggingface.co/docs/safetensors: eight bytes with the length of a JSON object, then it.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

_LONGEST = 100_000_000  # the library's own limit


def read_header(path: Path) -> dict[str, Any]:
    """Tensor name → dtype, shape and data_offsets; "__metadata__" → what the writer added.

    Raises OSError, and ValueError for a file that has no such header.
    """
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise ValueError("the file ends within its header")
        (length,) = struct.unpack("<Q", start)
        if length > _LONGEST:
            raise ValueError("the header is too long")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("the header is no JSON object")
    return header
