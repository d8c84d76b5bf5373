"""The hub source, with huggingface_hub as the real client against a small hub on loopback."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_server import HubServer
from tests.source_caller import Caller

MODEL, SHARDED, GGUFS, PICKLED = "org/model", "org/sharded", "org/ggufs", "org/pickled"

SMALL = {
    "config.json": b'{"a": 1}',
    "tokenizer.json": b'{"b": 2}',
    "chat_template.jinja": b"{{ x }}",
}
INDEX = {"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}


def repositories() -> dict[str, dict[str, bytes]]:
    weights = bytes(range(256)) * 4096  # 1 MiB
    unwanted = {"pytorch_model.bin": b"pickle", "consolidated.safetensors": weights, "a.onnx": b"o"}
    return {
        MODEL: {**SMALL, **unwanted, "README.md": b"#", "model.safetensors": weights},
        SHARDED: {
            **SMALL,
            "model.safetensors.index.json": json.dumps(INDEX).encode(),
            "model-1-of-2.safetensors": weights + b"1",
            "model-2-of-2.safetensors": weights + b"2",
            "model-1-of-3.safetensors": weights + b"3",
        },
        GGUFS: {"m.Q4_0.gguf": weights + b"4", "m.Q8_0.gguf": weights + b"8"},
        "org/one-gguf": {"README.md": b"#", "m.gguf": weights + b"g"},
        PICKLED: {**SMALL, "pytorch_model.bin": b"p", "tf_model.h5": b"h"},
        "org/no-tokenizer": {"config.json": SMALL["config.json"], "model.safetensors": weights},
        "org/adapter": {"adapter_config.json": b"{}", "adapter_model.safetensors": weights},
        "org/weightless": SMALL,
        "org/configless": {"model.safetensors": weights},
        "org/loose": {**SMALL, "a.safetensors": weights, "b.safetensors": weights},
        "org/bad-index": {**SMALL, "model.safetensors.index.json": b'{"weight_map": 3}'},
    }


@pytest.fixture(scope="module")
def server() -> Iterator[HubServer]:
    with HubServer({}) as server:
        yield server


@pytest.fixture(scope="module")
def caller(server: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    caller = Caller(server.endpoint, tmp_path_factory.mktemp("person"))
    yield caller
    caller.close()


@pytest.fixture
def hub(server: HubServer) -> HubServer:
    server.repos = repositories()
    server.faults.clear()
    server.requests.clear()
    server.stalled.clear()
    return server


@pytest.fixture
def call(caller: Caller, hub: HubServer) -> Caller:
    shutil.rmtree(caller.home / "hf", ignore_errors=True)
    return caller


def contents(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_only_the_needed_files_come_and_the_weights_come_last(call: Caller, hub: HubServer) -> None:
    answer = call("resolve", {"hub": MODEL})
    wanted = {**SMALL, "model.safetensors": hub.repos[MODEL]["model.safetensors"]}
    assert contents(answer["result"]) == wanted
    assert hub.downloads()[-1] == "model.safetensors"
    assert sorted(hub.downloads()) == sorted(wanted)


def test_progress_grows_to_the_total(call: Caller, hub: HubServer) -> None:
    seen = call("resolve", {"hub": MODEL})["progress"]
    total = sum(map(len, SMALL.values())) + len(hub.repos[MODEL]["model.safetensors"])
    counts = [done for _, done, _ in seen]
    assert {label for label, _, _ in seen} == {MODEL}
    assert {whole for _, _, whole in seen} == {total}
    assert counts == sorted(set(counts))
    assert counts[-1] == total


def test_a_cached_model_makes_no_request(call: Caller, hub: HubServer) -> None:
    first = call("resolve", {"hub": MODEL})["result"]
    hub.requests.clear()
    hub.faults["api"] = "hang"
    assert call("resolve", {"hub": MODEL})["result"] == first
    assert call("find", {"hub": MODEL})["result"] == first
    assert call("resolve", {"hub": MODEL}, offline=True)["result"] == first
    assert hub.requests == []


def test_a_model_without_a_tokenizer_is_not_asked_for_again(call: Caller, hub: HubServer) -> None:
    """Its profile names another source for it, as the AWQ card does."""
    first = call("resolve", {"hub": "org/no-tokenizer"})["result"]
    hub.requests.clear()
    assert call("resolve", {"hub": "org/no-tokenizer"})["result"] == first
    assert call("resolve", {"hub": "org/no-tokenizer"}, weights=False)["result"] == first
    assert hub.requests == []


def test_shards_are_those_of_the_index(call: Caller, hub: HubServer) -> None:
    folder = contents(call("resolve", {"hub": SHARDED})["result"])
    assert set(folder) == {*SMALL, "model.safetensors.index.json", *INDEX["weight_map"].values()}


def test_small_files_alone_then_the_weights(call: Caller, hub: HubServer) -> None:
    small = call("resolve", {"hub": SHARDED}, weights=False)["result"]
    assert contents(small) == SMALL
    assert call("find", {"hub": SHARDED}, weights=False)["result"] == small
    assert call("find", {"hub": SHARDED})["result"] is None
    hub.requests.clear()
    assert call("resolve", {"hub": SHARDED})["result"] == small
    assert hub.downloads() == ["model.safetensors.index.json", *INDEX["weight_map"].values()]


def test_a_named_gguf_comes_alone(call: Caller, hub: HubServer) -> None:
    source = {"hub": GGUFS, "file": "m.Q4_0.gguf"}
    path = Path(call("resolve", source)["result"])
    assert path.name == "m.Q4_0.gguf"
    assert path.read_bytes() == hub.repos[GGUFS]["m.Q4_0.gguf"]
    assert set(hub.downloads()) == {"m.Q4_0.gguf"}
    assert call("find", {**source, "file": "m.Q8_0.gguf"})["result"] is None


def test_the_only_gguf_is_the_model(call: Caller) -> None:
    path = call("resolve", {"hub": "org/one-gguf"})["result"]
    assert Path(path).name == "m.gguf"
    assert call("find", {"hub": "org/one-gguf"})["result"] == path


@pytest.mark.parametrize(
    ("source", "key", "exit_code"),
    [
        ({"hub": GGUFS}, "hub_several_gguf", 2),
        ({"hub": GGUFS, "file": "m.Q5_0.gguf"}, "hub_file_missing", 3),
        ({"hub": PICKLED}, "hub_pickled", 1),
        ({"hub": "org/adapter"}, "hub_adapter", 1),
        ({"hub": "org/weightless"}, "hub_no_weights", 1),
        ({"hub": "org/configless"}, "hub_no_config", 1),
        ({"hub": "org/loose"}, "hub_unclear_weights", 1),
        ({"hub": "org/bad-index"}, "hub_bad_index", 1),
        ({"hub": "org/none"}, "hub_not_found", 3),
        ({"hub": MODEL, "revision": "v9"}, "hub_no_revision", 3),
    ],
)
def test_repositories_that_cannot_be_used(
    call: Caller, hub: HubServer, source: dict[str, str], key: str, exit_code: int
) -> None:
    answer = call("resolve", source)
    assert (answer.get("error"), answer.get("exit_code")) == (key, exit_code)
    assert source["hub"] in answer["fields"]["repo"]
    assert [name for name in hub.downloads() if name.endswith((".bin", ".h5"))] == []


def test_several_ggufs_are_named_with_the_form_to_write(call: Caller) -> None:
    fields = call("resolve", {"hub": GGUFS})["fields"]
    assert fields["files"] == "m.Q4_0.gguf, m.Q8_0.gguf"
    assert fields["example"] == "org/ggufs:m.Q4_0.gguf"


@pytest.mark.parametrize(
    ("place", "fault", "key", "exit_code"),
    [
        ("api", "503", "hub_server", 3),
        ("api", "401", "hub_not_found", 3),
        ("api", "gated", "hub_gated", 3),
        ("api", "html", "hub_not_a_hub", 3),
        ("model.safetensors", "503", "hub_server", 3),
        ("model.safetensors", "gated", "hub_gated", 3),
        ("model.safetensors", "missing", "hub_file_missing", 3),
        ("model.safetensors", "corrupt", "hub_damaged", 3),
        ("model.safetensors", "cut", "hub_interrupted", 3),
        ("tokenizer.json", "missing", "hub_file_missing", 3),
    ],
)
def test_a_faulty_hub_leaves_nothing_trusted_and_the_next_run_completes(
    call: Caller, hub: HubServer, place: str, fault: str, key: str, exit_code: int
) -> None:
    hub.faults[place] = fault
    answer = call("resolve", {"hub": MODEL})
    assert (answer.get("error"), answer.get("exit_code")) == (key, exit_code)
    assert hub.endpoint in answer["fields"].values() or fault == "corrupt"
    assert call("find", {"hub": MODEL})["result"] is None
    hub.faults.clear()
    folder = call("resolve", {"hub": MODEL})["result"]
    weights = hub.repos[MODEL]["model.safetensors"]
    assert Path(folder, "model.safetensors").read_bytes() == weights


def test_corrupt_weights_are_deleted_from_the_cache(call: Caller, hub: HubServer) -> None:
    hub.faults["model.safetensors"] = "corrupt"
    assert call("resolve", {"hub": MODEL})["error"] == "hub_damaged"
    assert all(blob.stat().st_size < 1000 for blob in call.blobs())


def test_one_cut_connection_is_resumed(call: Caller, hub: HubServer) -> None:
    hub.faults["model.safetensors"] = "cut_once"
    answer = call("resolve", {"hub": MODEL})
    weights = hub.repos[MODEL]["model.safetensors"]
    assert Path(answer["result"], "model.safetensors").read_bytes() == weights


def test_a_killed_download_is_not_trusted(call: Caller, hub: HubServer) -> None:
    hub.faults["model-2-of-2.safetensors"] = "stall"
    with call.start() as child:
        assert child.stdin is not None
        child.stdin.write(call.line("resolve", {"hub": SHARDED}))
        child.stdin.flush()
        assert hub.stalled.wait(30)
        child.kill()
    assert call("find", {"hub": SHARDED})["result"] is None
    hub.faults.clear()
    hub.requests.clear()
    folder = contents(call("resolve", {"hub": SHARDED})["result"])
    shard = "model-2-of-2.safetensors"
    assert folder[shard] == hub.repos[SHARDED][shard]
    assert hub.downloads() == [shard]


@pytest.mark.parametrize("piece", ["config.json", "tokenizer.json", "model-1-of-2.safetensors"])
def test_a_model_that_lacks_a_piece_is_not_whole(call: Caller, hub: HubServer, piece: str) -> None:
    folder = call("resolve", {"hub": SHARDED})["result"]
    Path(folder, piece).unlink()
    assert call("find", {"hub": SHARDED})["result"] is None
    assert call("resolve", {"hub": SHARDED})["result"] == folder
    assert contents(folder)[piece] == hub.repos[SHARDED][piece]


@pytest.mark.parametrize("by", ["flag", "environment"])
def test_offline_never_connects(call: Caller, hub: HubServer, by: str) -> None:
    if by == "environment":
        answer = call.fresh("resolve", {"hub": MODEL}, HF_HUB_OFFLINE="1")
    else:
        answer = call("resolve", {"hub": MODEL}, offline=True)
    assert (answer["error"], answer["exit_code"]) == ("hub_offline", 3)
    assert hub.requests == []


def test_a_refused_connection_is_named(call: Caller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
    answer = call.fresh("resolve", {"hub": MODEL}, HF_ENDPOINT=endpoint)
    assert (answer["error"], answer["exit_code"]) == ("hub_unreachable", 3)
    assert answer["fields"]["endpoint"] == endpoint
    assert "refused" in answer["fields"]["reason"]
    silence = call.fresh("reachable", {"hub": MODEL}, HF_ENDPOINT=endpoint)
    assert "refused" in silence["result"]


@pytest.mark.parametrize("endpoint", ["ftp://host", "huggingface.co", "http://host:port"])
def test_an_endpoint_that_is_no_address_is_a_usage_error(call: Caller, endpoint: str) -> None:
    answer = call.fresh("resolve", {"hub": MODEL}, HF_ENDPOINT=endpoint)
    assert (answer["error"], answer["exit_code"]) == ("hub_bad_endpoint", 2)


@pytest.mark.parametrize(
    "fields",
    [
        {"hub": "../../etc"},
        {"hub": "a/b/c"},
        {"hub": "a--b/c"},
        {"hub": "/abs"},
        {"hub": ""},
        {"hub": MODEL, "revision": "../main"},
        {"hub": MODEL, "revision": "a/../../b"},
        {"hub": MODEL, "file": "../x.gguf"},
        {"hub": MODEL, "file": "/x.gguf"},
        {"hub": MODEL, "file": "a\\..\\x.gguf"},
        {"hub": MODEL, "file": "model.safetensors"},
    ],
)
@pytest.mark.parametrize("verb", ["find_cached", "resolve", "remove"])
def test_names_cannot_leave_the_cache(fields: dict[str, str], verb: str, tmp_path: Path) -> None:
    from aira_cli.errors import UsageError
    from aira_cli.sources import resolve as sources
    from aira_cli.types import HubSource

    extra = {"offline": True, "progress": lambda *_: None} if verb == "resolve" else {}
    with pytest.raises(UsageError, match="hub_bad_"):
        getattr(sources, verb)(HubSource(**fields), cache_dir=tmp_path, **extra)


def test_a_shard_that_the_repository_lacks_is_named(call: Caller, hub: HubServer) -> None:
    del hub.repos[SHARDED]["model-2-of-2.safetensors"]
    answer = call("resolve", {"hub": SHARDED})
    assert answer["error"] == "hub_file_missing"
    assert answer["fields"]["file"] == "model-2-of-2.safetensors"
    assert "model-1-of-2.safetensors" not in hub.downloads()


def test_an_index_cannot_name_files_outside(call: Caller, hub: HubServer) -> None:
    index = {"weight_map": {"a": "../../../../escaped.safetensors"}}
    hub.repos[SHARDED]["model.safetensors.index.json"] = json.dumps(index).encode()
    assert call("resolve", {"hub": SHARDED})["error"] == "hub_bad_index"


def test_size_and_removal(call: Caller, hub: HubServer) -> None:
    assert call("size", {"hub": MODEL})["result"] == 0
    assert call("remove", {"hub": MODEL})["result"] == 0
    call("resolve", {"hub": MODEL})
    size = call("size", {"hub": MODEL})["result"]
    files = len(hub.repos[MODEL]["model.safetensors"]) + sum(map(len, SMALL.values()))
    assert files <= size <= files + 1000  # the client keeps a few notes of its own
    assert call("remove", {"hub": MODEL})["result"] == size
    assert call("find", {"hub": MODEL})["result"] is None
    assert call("size", {"hub": MODEL})["result"] == 0
    assert call.blobs() == []


def test_removal_takes_an_unfinished_download_along(call: Caller, hub: HubServer) -> None:
    hub.faults["config.json"] = "503"
    call("resolve", {"hub": MODEL})
    (call.home / "hf" / "hub" / "models--org--model" / "blobs").mkdir(parents=True, exist_ok=True)
    (call.home / "hf" / "hub" / "models--org--model" / "blobs" / "x.incomplete").write_bytes(b"12")
    assert call("remove", {"hub": MODEL})["result"] >= 2
    assert not (call.home / "hf" / "hub" / "models--org--model").exists()


def test_an_answering_hub_is_reachable(call: Caller, hub: HubServer) -> None:
    assert call("reachable", {"hub": MODEL})["result"] is None
    assert call("reachable", {"hub": "org/none"})["result"] is None


def test_a_portal_or_a_failing_hub_is_not_reachable(call: Caller, hub: HubServer) -> None:
    hub.faults["api"] = "html"
    assert call("reachable", {"hub": MODEL})["result"] == "HTTP 200 text/html"
    hub.faults["api"] = "503"
    assert call("reachable", {"hub": MODEL})["result"] == "HTTP 503"


def test_silence_is_found_out_within_three_seconds(call: Caller, hub: HubServer) -> None:
    hub.faults["api"] = "hang"
    answer = call("reachable", {"hub": MODEL})
    assert "time" in answer["result"]
    assert 2.5 < answer["seconds"] < 4


def test_a_hanging_name_lookup_is_cut_off() -> None:
    import threading
    import time

    from aira_cli.sources.reach import within

    never = threading.Event()
    started = time.monotonic()
    assert within(0.2, lambda: str(never.wait(5))) == "timeout"
    assert time.monotonic() - started < 1
    never.set()
