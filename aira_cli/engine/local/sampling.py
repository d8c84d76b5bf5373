"""Sampling as pure functions on float32 scores, in the order and sense of transformers.

ids    [n, T]  prompt and answer so far, one row a sample
scores [n, V]  float32; -inf is "cannot be drawn"
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from aira_cli.types import Sampling

_NEVER = float("-inf")


def repetition_penalty(ids: Tensor, scores: Tensor, penalty: float) -> Tensor:
    """Divides the positive and multiplies the negative scores of ids seen (Keskar et al. 2019).

    An id counts once, however often it occurs in the prompt or the answer.
    """
    seen = scores.gather(1, ids)
    seen = torch.where(seen < 0, seen * penalty, seen / penalty)
    return scores.scatter(1, ids, seen)


def top_k(scores: Tensor, k: int) -> Tensor:
    """Keeps the `k` best scores of a row; what ties with the k-th stays, too."""
    worst = scores.topk(min(k, scores.shape[-1])).values[:, -1:]
    return scores.masked_fill(scores < worst, _NEVER)


def top_p(scores: Tensor, p: float) -> Tensor:
    """Keeps the smallest set of best tokens whose probability reaches `p` (Holtzman et al. 2020).

    At least one token stays.
    """
    ordered, order = scores.sort(descending=False)
    outside = ordered.softmax(-1).cumsum(-1) <= 1 - p
    outside[:, -1] = False
    return scores.masked_fill(outside.scatter(1, order, outside), _NEVER)


def warped(ids: Tensor, logits: Tensor, sampling: Sampling) -> Tensor:
    """`logits` [n, V] of any type as the scores [n, V] from which the next tokens are drawn."""
    scores = _tempered(ids, logits, sampling)
    if sampling.greedy:
        return scores
    if 0 < sampling.top_k < scores.shape[-1]:
        scores = top_k(scores, sampling.top_k)
    return top_p(scores, sampling.top_p) if sampling.top_p < 1 else scores


def _tempered(ids: Tensor, logits: Tensor, sampling: Sampling) -> Tensor:
    scores = logits.float()
    if sampling.repetition_penalty != 1:
        scores = repetition_penalty(ids, scores, sampling.repetition_penalty)
    return scores if sampling.greedy else scores / sampling.temperature


def generators(seed: int, rows: int, drawn: int = 0) -> list[torch.Generator]:
    """One generator a row, seeded with `seed` + row, so that a sample can be drawn again alone.

    Each stands where it is after `drawn` tokens, so that a sample can be gone on with. They live
    on the CPU whatever the device: a seed means the same everywhere.
    """
    made = [torch.Generator().manual_seed((seed + row) % 2**63) for row in range(rows)]
    for generator in made:
        _uniform(generator, drawn)
    return made


def draw(scores: Tensor, rows: Sequence[torch.Generator]) -> Tensor:
    """One token id [n] for each row of `scores` [n, V], by inverting the cumulative sum."""
    probabilities = scores.double().softmax(-1)
    cumulative = probabilities.cumsum(-1)
    uniform = torch.cat([_uniform(row, 1) for row in rows])
    # Scaling by the last sum keeps the drawn point inside it, however the sum was rounded.
    point = uniform.to(scores.device)[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, point, right=True).squeeze(1).clamp_(max=_last(scores))


def _uniform(row: torch.Generator, count: int) -> Tensor:
    return torch.rand(count, generator=row, dtype=torch.float64)


def _last(scores: Tensor) -> int:
    return scores.shape[-1] - 1


def choose(
    ids: Tensor, logits: Tensor, sampling: Sampling, rows: Sequence[torch.Generator]
) -> Tensor:
    """The next token ids [n]: the best of the `warped` scores if greedy, else drawn from them."""
    if sampling.greedy:
        return _tempered(ids, logits, sampling).argmax(-1)
    if 0 < sampling.top_k < logits.shape[-1] // 2:
        found = _among_the_best(_tempered(ids, logits, sampling), sampling)
        if found is not None:
            scores, candidates = found
            return candidates.gather(1, draw(scores, rows)[:, None]).squeeze(1)
    return draw(warped(ids, logits, sampling), rows)


def _among_the_best(scores: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor] | None:
    """What `warped` leaves of `scores`, without the tokens that it rules out: scores [n, k] and
    their token ids, in the order of the ids; None where others tie with the k-th.

    Going over a whole vocabulary for each later step takes longer than all of them on k tokens.
    """
    k = sampling.top_k
    best, ids = scores.topk(k + 1)
    if bool((best[:, k - 1] == best[:, k]).any()):
        return None
    ids, order = ids[:, :k].sort(dim=1)
    best = best.gather(1, order)
    return (top_p(best, sampling.top_p) if sampling.top_p < 1 else best), ids
