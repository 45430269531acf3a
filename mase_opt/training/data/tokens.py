"""Texts to tokens: by the words of the training data, or by a tokenizer of a model."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mase_opt.lib.errors import UserError
from mase_opt.training.hub import from_hub
from mase_opt.training.models.text import PUBLISHED

WORDS = "words"
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")
DEFAULT_LENGTH = 512


class Tokenizer(ABC):
    """Texts to whole numbers."""

    size: int
    """How many tokens there are."""
    padding: int
    """The token behind short texts."""
    length: int
    """Tokens of a sample."""

    @abstractmethod
    def encode(self, *texts: str) -> Sequence[int]:
        """The tokens of a text, or of several that belong together."""

    @abstractmethod
    def encode_whole(self, text: str) -> Sequence[int]:
        """The tokens of a part of a longer text, and no others, however many."""


class Words(Tokenizer):
    """Each word of the training texts is a token, as is each mark."""

    def __init__(
        self,
        texts: Iterable[str],
        length: int,
        *,
        lower: bool = True,
        special: bool = True,
        limit: int | None = None,
    ):
        self.length = length if length > 0 else DEFAULT_LENGTH
        self._lower = lower
        self._special = special
        counts = Counter(word for text in texts for word in self._words(text))
        for word in SPECIAL:
            del counts[word]
        kept = [word for word, _ in counts.most_common(limit)]
        self._tokens = {word: index for index, word in enumerate([*SPECIAL, *kept])}
        self.size, self.padding = len(self._tokens), 0

    def _words(self, text: str) -> list[str]:
        return re.findall(r"<\w+>|\w+|[^\w\s]", text.lower() if self._lower else text)

    def encode(self, *texts: str) -> Sequence[int]:
        """With a token before the texts and one behind each."""
        tokens: list[int] = [2] if self._special else []
        for text in texts:
            tokens += [self._tokens.get(word, 1) for word in self._words(text)]
            tokens += [3] if self._special else []
        return tokens

    def encode_whole(self, text: str) -> Sequence[int]:
        """A token for each word."""
        return [self._tokens.get(word, 1) for word in self._words(text)]


class Published(Tokenizer):
    """The tokenizer of a folder of `save_pretrained`, or of a model on the hub."""

    def __init__(
        self, name: str, length: int, *, lower: bool = False, special: bool = True
    ):
        try:
            from transformers import AutoTokenizer
        except ImportError as error:
            raise UserError(
                f"the tokenizer of '{name}' needs transformers: "
                "pip install 'mase-opt[models]'"
            ) from error
        made: Any = AutoTokenizer
        with from_hub(f"the tokenizer of '{name}'"):
            self._held = made.from_pretrained(name.removesuffix("@patched"))
        most = int(self._held.model_max_length)
        self.length = min(length, most) if length > 0 else min(most, 1 << 16)
        self._lower = lower
        self._special = special
        self.size = len(self._held)
        padding = self._held.pad_token_id
        self.padding = self._held.eos_token_id if padding is None else padding

    def encode(self, *texts: str) -> Sequence[int]:
        """At most `length` tokens."""
        given = [text.lower() if self._lower else text for text in texts]
        return self._held(
            *given,
            add_special_tokens=self._special,
            truncation=True,
            max_length=self.length,
        )["input_ids"]

    def encode_whole(self, text: str) -> Sequence[int]:
        """Without special tokens."""
        return self._held(text, add_special_tokens=False, verbose=False)["input_ids"]


def tokenizer_for(
    choice: str | None,
    model: str | None,
    texts: Iterable[str],
    length: int,
    *,
    lower: bool | None = None,
    special: bool = True,
    limit: int | None = None,
) -> Tokenizer:
    """
    What `choice` names: `words`, a folder of `save_pretrained`, or a model.

    None: that of `model` if it is published or a folder, else words. `limit` is how
    many words are known at most. Raises `UserError`.
    """
    published = {row[0] for row in PUBLISHED}
    if choice is None and model is not None:
        is_known = model.lower() in {name.lower() for name in published}
        choice = model if is_known or Path(model).is_dir() else WORDS
    if choice in (None, WORDS):
        usual = True if lower is None else lower
        return Words(texts, length, lower=usual, special=special, limit=limit)
    assert choice is not None
    is_lower = "uncased" in choice if lower is None else lower
    return Published(choice, length, lower=is_lower, special=special)
