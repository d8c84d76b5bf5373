"""What a profile may say, as pydantic models. Reading files and layering them is `store.py`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from aira_cli.types import (
    AdapterSource,
    HubSource,
    LocalSource,
    Sampling,
    Source,
    WheelSource,
)

PromptFormat = Literal["auto", "aira", "ttl", "chatml", "template", "raw"]


class Strict(BaseModel):
    """Frozen, and a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SamplingFields(Strict):
    """Sampling settings with their ranges; the same rules hold for profiles and flags."""

    samples: int = Field(2, ge=1, le=256)
    temperature: float = Field(0.7, ge=0)
    top_k: int = Field(50, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    repetition_penalty: float = Field(1.0, gt=0)
    max_new_tokens: int = Field(200, ge=1)
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    def value(self) -> Sampling:
        return Sampling(**self.model_dump())


def allowed_range(name: str) -> str:
    """A sampling field's range as it is declared: "> 0, ≤ 1"."""
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    limits = SamplingFields.model_fields[name].metadata
    found = [f"{signs[s]} {getattr(m, s)}" for m in limits for s in signs if hasattr(m, s)]
    return ", ".join(found) or "…"


class Bilingual(Strict):
    """One sentence in both languages of the interface."""

    pt: str
    en: str

    def text(self, language: str) -> str:
        return self.pt if language == "pt" else self.en


class Profile(Strict):
    """One model: where it is, how it is asked, and what it is bad at.

    `context_length` and `architecture` may be left out: they are then read from the
    checkpoint. `architecture` is a transformers configuration (with its `model_type`), and
    `parameters` the exact count of a model built from it. `tokenizer` names a second source
    for checkpoints that bring no tokenizer of their own, `adapter` a LoRA adapter in PEFT's format
    that is merged into the weights. `single_turn`: tuned on single questions,
    so that a conversation sends no past turns unless it is told to.
    """

    name: str
    source: HubSource | LocalSource | WheelSource
    tokenizer: HubSource | LocalSource | None = None
    adapter: AdapterSource | None = None
    prompt_format: PromptFormat = "auto"
    sampling: SamplingFields = SamplingFields()
    context_length: int | None = Field(None, ge=1)
    single_turn: bool = False
    parameters: int | None = Field(None, ge=1)
    architecture: dict[str, Any] | None = None
    description: Bilingual = Bilingual(pt="", en="")
    languages: tuple[str, ...] = ()
    licence: str = ""
    limits: Bilingual = Bilingual(pt="", en="")

    def sources(self) -> tuple[Source, ...]:
        return (self.source, self.tokenizer) if self.tokenizer else (self.source,)


class Settings(Strict):
    """The user's config.yaml: what to use where no flag and no variable says otherwise."""

    model: str | None = None
    lang: Literal["pt", "en"] | None = None
