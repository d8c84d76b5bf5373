"""Sampling against transformers' own processors on random scores, and against their odds."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from aira_cli.engine.local.sampling import (
    choose,
    draw,
    generators,
    repetition_penalty,
    top_k,
    top_p,
    warped,
)
from aira_cli.types import Sampling

ROWS, VOCABULARY = 5, 97


def random_scores(seed: int, scale: float = 4.0) -> torch.Tensor:
    return torch.randn(ROWS, VOCABULARY, generator=torch.Generator().manual_seed(seed)) * scale


def random_ids(seed: int, length: int = 23) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, VOCABULARY, (ROWS, length), generator=generator)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("penalty", [0.7, 1.2, 2.0])
def test_repetition_penalty_equals_theirs(seed: int, penalty: float) -> None:
    ids, scores = random_ids(seed), random_scores(seed)
    theirs = RepetitionPenaltyLogitsProcessor(penalty)(ids, scores.clone())
    assert torch.equal(repetition_penalty(ids, scores, penalty), theirs)


@pytest.mark.parametrize("k", [1, 5, 50, VOCABULARY, 500])
def test_top_k_equals_theirs_with_ties(k: int) -> None:
    scores = random_scores(k).round()  # rounding makes many ties
    assert torch.equal(top_k(scores, k), TopKLogitsWarper(k)(None, scores))


@pytest.mark.parametrize("p", [0.01, 0.3, 0.9, 0.999])
def test_top_p_equals_theirs(p: float) -> None:
    scores = random_scores(int(p * 1000))
    assert torch.equal(top_p(scores, p), TopPLogitsWarper(p)(None, scores))


SETTINGS = [
    Sampling(temperature=0.1, top_k=50, top_p=1.0, repetition_penalty=1.2),
    Sampling(temperature=0.7, top_k=50, top_p=0.95),
    Sampling(temperature=1.7, top_k=0, top_p=0.8, repetition_penalty=1.5),
    Sampling(temperature=1.0, top_k=3),
]


def their_scores(ids: torch.Tensor, scores: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """The processors in the order in which transformers' generate applies them."""
    chain = LogitsProcessorList([RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty)])
    chain.append(TemperatureLogitsWarper(sampling.temperature))
    if sampling.top_k:
        chain.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        chain.append(TopPLogitsWarper(sampling.top_p))
    return chain(ids, scores.clone())


@pytest.mark.parametrize("sampling", SETTINGS)
def test_the_whole_chain_equals_theirs(sampling: Sampling) -> None:
    ids, scores = random_ids(3), random_scores(4)
    torch.testing.assert_close(warped(ids, scores, sampling), their_scores(ids, scores, sampling))


@pytest.mark.parametrize("sampling", SETTINGS)
def test_draws_follow_their_distribution(sampling: Sampling) -> None:
    """20 000 draws against the probabilities of transformers' processors (chi-square, p > 1e-4)."""
    ids, scores = random_ids(5)[:1], random_scores(6, scale=1.5)[:1]
    odds = their_scores(ids, scores, sampling).softmax(-1)[0].double()
    ours = warped(ids, scores, sampling).expand(1000, -1)
    rows = [torch.Generator().manual_seed(7_000 + i) for i in range(1000)]
    drawn = torch.cat([draw(ours, rows) for _ in range(20)])
    counts = torch.bincount(drawn, minlength=VOCABULARY).double()
    assert counts[odds == 0].sum() == 0
    likely = odds * len(drawn) >= 5  # chi-square wants five expected in each cell
    if likely.sum() < 2:
        assert counts[likely].sum() > 0.9 * len(drawn)
        return
    observed = torch.cat((counts[likely], counts[~likely].sum()[None]))
    expected = torch.cat((odds[likely], odds[~likely].sum()[None])) * len(drawn)
    keep = expected > 0
    assert (
        chisquare(observed[keep], expected[keep] * observed.sum() / expected[keep].sum()).pvalue
        > 1e-4
    )


def test_bfloat16_logits_are_sampled_in_float32() -> None:
    logits = random_scores(8).bfloat16()
    sampling = Sampling(temperature=0.3)
    assert warped(random_ids(8), logits, sampling).dtype == torch.float32


def test_a_row_draws_the_same_whoever_is_beside_it() -> None:
    scores = random_scores(9)
    together = draw(scores, generators(40, ROWS))
    for row in range(ROWS):
        alone = draw(scores[row : row + 1], generators(40 + row, 1))
        assert alone.item() == together[row].item()


def test_an_impossible_token_is_never_drawn() -> None:
    scores = torch.full((1, 4), float("-inf"))
    scores[0, 2] = 0.0
    row = torch.Generator().manual_seed(0)
    assert {draw(scores, [row]).item() for _ in range(50)} == {2}


@pytest.mark.parametrize("top_p", [1.0, 0.6])
@pytest.mark.parametrize("ties", [False, True])
def test_choosing_among_the_best_is_drawing_from_all(top_p: float, ties: bool) -> None:
    """The short way over k candidates against the long one over the vocabulary, 200 draws."""
    logits = torch.randn(ROWS, 400, generator=torch.Generator().manual_seed(6)) * 3
    if ties:
        logits = logits.round()
    ids = torch.randint(0, 400, (ROWS, 30), generator=torch.Generator().manual_seed(7))
    sampling = Sampling(samples=ROWS, temperature=1.3, top_k=9, top_p=top_p, repetition_penalty=1.2)
    for seed in range(200):
        drawn = choose(ids, logits, sampling, generators(seed, ROWS))
        long_way = draw(warped(ids, logits, sampling), generators(seed, ROWS))
        assert drawn.tolist() == long_way.tolist()
