"""Packaged profiles against the cards' exact numbers; layers of profiles; the wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers

from aira_cli.engine.open import complete
from aira_cli.errors import UsageError
from aira_cli.profiles.schema import Profile
from aira_cli.profiles.store import DEFAULT_MODEL, EMBEDDED_MODEL, ProfileStore
from aira_cli.types import HubSource, LocalSource

# Parameter counts as the model cards give them (for the last one: of its GGUF file's tensors).
CARDS = {
    "aira-2-portuguese-1b7": 1_722_005_504,
    "aira-2-portuguese-560m": 559_012_864,
    "aira-2-portuguese-124m": 124_441_344,
    "ttl-460m": 468_243_456,
    "ttl-460m-awq": 468_243_456,
    "ttl-460m-base": 468_239_360,
    "ttl-160m-base": 162_417_408,
    "smollm2-135m": 134_515_008,
    "embedded": 134_515_008,
}


@pytest.fixture
def store(tmp_path: Path) -> ProfileStore:
    return ProfileStore(tmp_path)


def test_every_card_has_its_profile(store: ProfileStore) -> None:
    assert set(store.names()) == set(CARDS)
    assert {DEFAULT_MODEL, EMBEDDED_MODEL} <= set(CARDS)


@pytest.mark.parametrize("name", CARDS)
def test_the_architecture_has_exactly_the_cards_parameters(store: ProfileStore, name: str) -> None:
    profile = store.load(name)
    assert profile.architecture is not None and profile.parameters == CARDS[name]
    fields = dict(profile.architecture)
    config = transformers.AutoConfig.for_model(fields.pop("model_type"), **fields)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    assert sum(p.numel() for p in model.parameters()) == CARDS[name]


@pytest.mark.parametrize("name", CARDS)
def test_every_profile_says_what_a_person_needs_to_know(store: ProfileStore, name: str) -> None:
    profile = store.load(name)
    assert profile.licence and profile.languages and profile.context_length
    for sentence in (profile.description, profile.limits):
        assert sentence.pt and sentence.en and sentence.pt != sentence.en


def test_the_cards_sampling(store: ProfileStore) -> None:
    aira, ttl = store.load("aira-2-portuguese-1b7").sampling, store.load("ttl-460m-awq").sampling
    assert (aira.max_new_tokens, ttl.max_new_tokens) == (200, 150)
    for sampling in (aira, ttl):
        assert (sampling.repetition_penalty, sampling.temperature) == (1.2, 0.1)
        assert (sampling.top_k, sampling.top_p, sampling.samples) == (50, 1.0, 2)


def write(folder: Path, name: str, text: str) -> None:
    (folder / "profiles").mkdir(exist_ok=True)
    (folder / "profiles" / f"{name}.yaml").write_text(text, encoding="utf-8")


def test_a_user_profile_overrides_by_name_and_extends_the_packaged_one(tmp_path: Path) -> None:
    write(tmp_path, "ttl-460m", "extends: ttl-460m\nsampling: {temperature: 0.9}\n")
    store = ProfileStore(tmp_path)
    profile = store.load("ttl-460m")
    assert profile.sampling.temperature == 0.9
    assert profile.sampling.repetition_penalty == 1.2  # the packaged profile's
    assert store.load("ttl-460m-awq").sampling.temperature == 0.1  # packaged extends packaged


def test_a_source_is_replaced_not_merged(tmp_path: Path) -> None:
    write(tmp_path, "mine", "extends: ttl-460m\nsource: {path: weights}\n")
    source = ProfileStore(tmp_path).load("mine").source
    assert source == LocalSource(str(tmp_path / "profiles" / "weights"))


def test_extending_in_a_circle_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a", "extends: b\n")
    write(tmp_path, "b", "extends: a\n")
    with pytest.raises(UsageError) as raised:
        ProfileStore(tmp_path).load("a")
    assert raised.value.key == "profile_extends_itself"


def test_hub_names_and_paths_need_no_profile(store: ProfileStore, tmp_path: Path) -> None:
    assert store.find("org/name").source == HubSource("org/name")
    assert store.find("org/name:q4/file.gguf").source == HubSource("org/name", file="q4/file.gguf")
    assert store.find(str(tmp_path)).source == LocalSource(str(tmp_path))


def test_gaps_are_filled_from_the_checkpoint_and_words_stay() -> None:
    profile = Profile.model_validate(
        {"name": "x", "source": {"hub": "a/b"}, "sampling": {"temperature": 0.3}}
    )
    advice = {"temperature": 0.6, "top_p": 0.8, "top_k": None}
    filled = complete(profile, {"n_positions": 77}, advice, has_template=True)
    assert (filled.prompt_format, filled.context_length) == ("template", 77)
    assert (filled.sampling.temperature, filled.sampling.top_p) == (0.3, 0.8)
    bare = complete(profile, {}, {"top_p": 9}, has_template=False)
    assert (bare.prompt_format, bare.sampling.top_p) == ("raw", 1.0)


def test_a_wheel_brings_its_profiles(tmp_path: Path) -> None:
    """Built by pip from the checkout, installed into a folder, run from elsewhere."""
    root = Path(__file__).parent.parent
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", tmp_path, root], check=True)
    (wheel,) = tmp_path.glob("aira_chat-*.whl")
    site = tmp_path / "site"
    subprocess.run([*pip, "install", "--no-deps", "--target", site, wheel], check=True)
    ran = subprocess.run(
        [sys.executable, "-m", "aira_cli", "models", "list"],
        env={**os.environ, "PYTHONPATH": str(site), "HOME": str(tmp_path)},
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (site / "aira_cli" / "configs" / "ttl-460m.yaml").exists()
    assert all(name in ran.stdout for name in CARDS)
