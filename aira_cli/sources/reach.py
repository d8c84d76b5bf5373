"""Whether a source answers now, found out before a deadline that nothing can stretch."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from aira_cli.sources import hub_client, pip
from aira_cli.types import HubSource, LocalSource, Source

_REFUSED = (403, 407)


def reachable(source: Source, timeout: float = 3.0) -> str | None:
    """None when the hub or the package index of `source` answers, else a short technical reason.

    The answer comes within `timeout` seconds even when a name look-up hangs or packets are
    dropped. The hub is asked for the repository itself: a portal's or a proxy's page is no hub.
    """
    if isinstance(source, LocalSource):
        return None
    if not isinstance(source, HubSource):
        return pip.index_silence(source, timeout)
    if hub_client.offline_by_environment():
        return "HF_HUB_OFFLINE"
    address = f"{hub_client.endpoint()}/api/models/{source.hub}"
    with hub_client.quiet():
        return within(timeout, lambda: _hub_silence(address, timeout))


def within(timeout: float, ask: Callable[[], str | None]) -> str | None:
    """`ask()` in a thread of its own, left to itself when the time is over."""
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=lambda: answers.put(ask()), daemon=True).start()
    try:
        return answers.get(timeout=timeout)
    except queue.Empty:
        return "timeout"


def _hub_silence(address: str, timeout: float) -> str | None:
    from huggingface_hub import get_session

    try:
        response = get_session().get(address, timeout=timeout)
    except (hub_client.transport_error(), OSError) as error:
        return hub_client.reason_of(error)
    kind = response.headers.get("content-type", "")
    refused = response.status_code >= 500 or response.status_code in _REFUSED
    if refused or (response.status_code == 200 and "json" not in kind):
        return f"HTTP {response.status_code} {kind}".strip()
    return None
