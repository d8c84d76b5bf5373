"""Text ↔ token ids, with the guarantee that text never becomes a control token.

Holds one backend tokenizer in which every control token has a random name (see
`shielded`), so that no text can match, merge or normalize into one; each encoding is
checked again all the same. Where the description comes from is left to `tokenizer_files` and
`gguf_tokenizer`; what a prompt looks like to `formats`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any

from tokenizers import Encoding
from tokenizers import Tokenizer as Backend

from aira_cli.errors import AiraError, CheckpointError, UsageError
from aira_cli.printable import one_line
from aira_cli.prompts.gguf_tokenizer import gguf_blueprint
from aira_cli.prompts.segments import Control, Segment, Text
from aira_cli.prompts.shielded import Shielded, shielded
from aira_cli.prompts.tokenizer_files import read_blueprint, read_state
from aira_cli.prompts.vocabulary import CONTROL_ROLES, Blueprint

# White space as the backend's regular expressions see it; Python's \s has four more.
_SPACE = r"[^\S\x1c-\x1f]+"


def folder_blueprint(folder: Path) -> Blueprint:
    """The blueprint of the tokenizer in `folder`. Raises CheckpointError."""
    state = read_state(folder)
    return read_blueprint(folder, _converted(folder) if state is None else state)


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of the checkpoint in `folder`. Raises CheckpointError."""
    return Tokenizer(shielded(folder_blueprint(folder)), str(folder))


def tokenizer_from_gguf(fields: Mapping[str, Any], origin: str = "GGUF") -> Tokenizer:
    """The tokenizer that a GGUF file's "tokenizer.*" metadata describe. Raises CheckpointError."""
    return Tokenizer(shielded(gguf_blueprint(fields, origin)), origin)


class Tokenizer:
    """Encodes prompts and decodes answers.

    Control tokens are all added tokens but whitespace, and the bos, eos, sep and pad tokens.
    `prefix` is what the tokenizer itself puts before a plain text, usually the bos token.
    """

    def __init__(self, shielded: Shielded, origin: str) -> None:
        """`origin` is named in errors. Raises CheckpointError."""
        self._origin = origin
        self._nonce = shielded.nonce
        self._index(shielded)
        self._backend = self._load(shielded)
        self._decoder = self._backend.decoder
        eos = self._role("eos")
        self.end_ids = shielded.end_ids | (frozenset() if eos is None else {eos.id})
        self.chat_template = shielded.chat_template
        self.prefix = self._prefix(shielded.add_bos)

    def _index(self, shielded: Shielded) -> None:
        """Look-up tables of the control tokens; `_silent` ones are not shown in an answer."""
        tokens = shielded.controls
        self._roles = dict(shielded.roles)
        self._controls = {token.content: Control(token.id, token.content) for token in tokens}
        self._names = {token.id: token.content for token in tokens}
        self._strips = {token.id: (token.lstrip, token.rstrip) for token in tokens}
        self.control_ids = frozenset(self._names)
        named = {control.id for control in map(self._role, CONTROL_ROLES) if control is not None}
        special = {token.id for token in tokens if token.special}
        self._silent = frozenset(special | named | (shielded.hidden - self.control_ids))

    def control(self, piece: str) -> Control:
        """The control token spelled `piece`. Raises CheckpointError where there is none."""
        found = self._controls.get(piece)
        if found is None:
            raise CheckpointError("control_token_missing", path=self._origin, piece=one_line(piece))
        return found

    def encode_text(self, text: str, *, first: bool) -> list[int]:
        """The ids of ordinary text; never a control id.

        `first` is False behind a control token, where some tokenizers write no leading space.
        Raises UsageError for text that is not Unicode (lone surrogates), or that has a
        character which this vocabulary can only write as a control token.
        """
        if not text:
            return []
        anchor = "" if first else self._nonce
        encoding = self._encoding(anchor + text)
        for token_id, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            if token_id in self.control_ids:
                span = text[start - len(anchor) : end - len(anchor)]
                raise UsageError("text_forges_control", text=repr(span), path=self._origin)
        return encoding.ids if first else encoding.ids[1:]

    def encode(self, segments: Iterable[Segment]) -> tuple[int, ...]:
        """The prompt's ids. Texts side by side are one text; the white space beside a control
        token that strips it (Phi-3's `<|end|>`) is dropped. Raises what `encode_text` raises."""
        runs = list(_merged(segments))
        ids: list[int] = []
        for index, run in enumerate(runs):
            if isinstance(run, Control):
                ids.append(run.id)
                continue
            before = runs[index - 1] if index else None
            after = runs[index + 1] if index + 1 < len(runs) else None
            text = self._stripped(run.text, before, after)
            ids += self.encode_text(text, first=before is None or run.at_start)
        return tuple(ids)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids` with its spaces as they are. Special and unknown tokens are skipped;
        added tokens that the vocabulary does not call special are spelled out."""
        pieces = [piece for token_id in ids if (piece := self._piece(token_id)) is not None]
        text = " ".join(pieces) if self._decoder is None else self._decoder.decode(pieces)
        return str(text)

    @property
    def control_pieces(self) -> tuple[str, ...]:
        """How the control tokens are spelled."""
        return tuple(self._controls)

    @property
    def roles(self) -> Mapping[str, str]:
        """Token pieces by role: "bos", "eos", "unk", "sep", "pad", "cls", "mask"."""
        return self._roles

    @property
    def bos(self) -> str | None:
        return self._roles.get("bos")

    @property
    def eos(self) -> str | None:
        return self._roles.get("eos")

    @property
    def sep(self) -> str | None:
        return self._roles.get("sep")

    @property
    def pad(self) -> str | None:
        return self._roles.get("pad")

    @property
    def vocab_size(self) -> int:
        """How many ids there are, added tokens included."""
        return self._anchor

    def _load(self, shielded: Shielded) -> Backend:
        """The backend; checks that every added token got its id."""
        try:
            backend = Backend.from_str(shielded.state)
        except Exception as error:  # the backend raises nothing narrower
            raise self._damaged(str(error)) from error
        for token_id, content in shielded.added:
            if backend.token_to_id(content) != token_id:
                raise self._damaged(f"added_tokens: {token_id}")
        self._anchor = shielded.added[-1][0]
        return backend

    def _encoding(self, text: str) -> Encoding:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise UsageError("text_not_unicode") from error
        try:
            return self._backend.encode(text, add_special_tokens=False)
        except Exception as error:  # the backend raises nothing narrower
            raise self._damaged(str(error)) from error

    def _damaged(self, reason: str) -> AiraError:
        return CheckpointError("tokenizer_damaged", path=self._origin, reason=one_line(reason))

    def _role(self, role: str) -> Control | None:
        return self._controls.get(self._roles.get(role, ""))

    def _prefix(self, add_bos: bool | None) -> tuple[Control, ...]:
        """Declared in the configuration, else what the post-processor puts before a letter."""
        if add_bos is not None:
            bos = self._role("bos")
            return (bos,) if add_bos and bos is not None else ()
        encoding = self._backend.encode("a", add_special_tokens=True)
        marked = zip(encoding.ids, encoding.special_tokens_mask, strict=True)
        leading = [token_id for token_id, _ in takewhile(lambda pair: pair[1], marked)]
        return tuple(Control(i, self._names[i]) for i in leading if i in self._names)

    def _stripped(self, text: str, before: Segment | None, after: Segment | None) -> str:
        if isinstance(before, Control) and self._strips.get(before.id, (False, False))[1]:
            text = re.sub(rf"\A{_SPACE}", "", text)
        if isinstance(after, Control) and self._strips.get(after.id, (False, False))[0]:
            text = re.sub(rf"{_SPACE}\Z", "", text)
        return text

    def _piece(self, token_id: int) -> str | None:
        """How `token_id` is spelled; None for what an answer does not show."""
        if token_id in self._silent or token_id >= self._anchor:
            return None
        return self._names.get(token_id) or self._backend.id_to_token(token_id)


def _merged(segments: Iterable[Segment]) -> Iterator[Segment]:
    """The segments without empty texts, neighbouring texts joined."""
    full = [s for s in segments if isinstance(s, Control) or s.text]
    for is_text, run in groupby(full, key=lambda s: isinstance(s, Text)):
        if not is_text:
            yield from run
            continue
        texts = [s for s in run if isinstance(s, Text)]
        yield Text("".join(s.text for s in texts), at_start=texts[0].at_start)


def _converted(folder: Path) -> dict[str, Any]:
    """The tokenizer.json content that transformers converts a folder's older files to."""
    from transformers import AutoTokenizer  # 2 s, and only old checkpoints need it

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
        state: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    except (OSError, ValueError, ImportError, AttributeError, KeyError, TypeError) as error:
        reason = one_line(str(error))
        raise CheckpointError("tokenizer_missing", path=folder, reason=reason) from error
    return state
