"""Tiny random checkpoints in a folder, as a hub repository would hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from tests import tiny_tokenizers

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

SIZES: dict[str, dict[str, Any]] = {
    "llama": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
              "num_attention_heads": 4, "max_position_embeddings": 256},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4, "seq_length": 256},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256},
}  # fmt: skip


def save_tiny(
    folder: Path,
    model_type: str = "llama",
    kind: str = "byte_level",
    *,
    chat_template: str | None = CHATML,
    shard: str = "5GB",
    **config: Any,
) -> Any:
    """Writes weights, configuration and tokenizer to `folder`; returns transformers' model."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_tokenizers.save(tiny_tokenizers.KINDS[kind](), folder)
    if chat_template is not None:
        (folder / "chat_template.jinja").write_text(chat_template)
    torch.manual_seed(3)
    fields = SIZES[model_type] | {"vocab_size": len(tokenizer), "tie_word_embeddings": False}
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    settings = transformers.AutoConfig.for_model(model_type, **fields | ids | config)
    model = transformers.AutoModelForCausalLM.from_config(settings).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)
    model.save_pretrained(folder, max_shard_size=shard)
    return model
