"""A profile's model as users get it, for measuring: its answers, and how it is surprised by texts.

What is asked and how answers are judged is `evaluate.py`'s.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import TracebackType

import torch
from torch.nn import functional as F

from aira_cli.checkpoints.open import open_checkpoint
from aira_cli.engine.local.device import pick_device, pick_precision
from aira_cli.engine.local.engine import LocalEngine
from aira_cli.engine.local.load import load_model
from aira_cli.engine.local.native import kernels
from aira_cli.engine.open import Place, open_prompter
from aira_cli.profiles.schema import Profile
from aira_cli.types import LocalSource, Message, Request, Sampling
from training.pairs import Pair, encode


class Answering:
    """An open model with the completed profile's sampling, one answer a question."""

    def __init__(self, profile: Profile, place: Place, device: str | None, tokens: int) -> None:
        """`tokens` is how long an answer may be. Raises what opening a model raises."""
        chosen = pick_device(device)
        kernels.activate(place.cache_dir / "native")
        completed, prompter = open_prompter(profile, place)
        path = place.resolve(profile.source, weights=True)
        checkpoint = open_checkpoint(path, place.adapter(profile))
        self.model = load_model(checkpoint, chosen, pick_precision(None, chosen))
        self.prompter = prompter
        self.engine = LocalEngine(self.model, prompter)
        sampling = completed.sampling.value()
        self.sampling: Sampling = replace(sampling, samples=1, max_new_tokens=tokens)

    def __enter__(self) -> Answering:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.engine.close()

    def answer(self, question: str, seed: int) -> str:
        request = Request((Message("user", question),), self.sampling, seed)
        return "".join(chunk.text for chunk in self.engine.stream(request)).strip()

    @torch.inference_mode()
    def surprise(self, question: str, answer: str) -> tuple[float, int]:
        """The negative log-likelihood of the answer and its end, in nats, and how many tokens."""
        pair = Pair(question, answer, fact="")
        example = encode(pair, self.prompter.tokenizer, self.prompter.prompt_format)
        ids = torch.tensor([example.prompt + example.answer], device=self.model.device)
        logits = self.model.all_logits(ids, self.model.new_cache())
        start = len(example.prompt)
        scores, targets = logits[start - 1 : -1].float(), ids[0, start:]
        return float(F.cross_entropy(scores, targets, reduction="sum")), len(example.answer)


def adapted(profile: Profile, adapter: Path) -> Profile:
    """The profile with the adapter in a folder."""
    return profile.model_copy(update={"adapter": LocalSource(str(adapter))})
