"""Samples that are read and encoded one by one, as torch's data sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mase_opt.lib.errors import UserError
from mase_opt.training.data.tokens import Tokenizer

IGNORED = -100
"""The label of tokens that do not count."""


class Photos(Dataset[tuple[Tensor, int]]):
    """Image files and their classes; each is read when it is asked for."""

    def __init__(
        self, photos: Sequence[tuple[Path, int]], transform: Callable[[Any], Tensor]
    ):
        self.photos = photos
        self.transform = transform

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        path, label = self.photos[index]
        try:
            with Image.open(path) as image:
                return self.transform(image.convert("RGB")), label
        except (OSError, SyntaxError) as error:
            raise UserError(f"'{path}' is no whole image: {error}") from error

    def labels(self) -> list[int]:
        """Classes of all samples, without reading any."""
        return [label for _, label in self.photos]


class Classified(Dataset[dict[str, Tensor]]):
    """Texts, or pairs of them, and their classes."""

    def __init__(
        self,
        texts: Sequence[tuple[str, ...]],
        classes: Sequence[int],
        tokenizer: Tokenizer,
    ):
        self.texts = texts
        self.classes = classes
        self.tokenizer = tokenizer

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        tokens = self.tokenizer.encode(*self.texts[index])
        label = torch.tensor(self.classes[index])
        return {**_padded(tokens, self.tokenizer), "labels": label}

    def labels(self) -> Sequence[int]:
        """Classes of all samples."""
        return self.classes


class Blocks(Dataset[dict[str, Tensor]]):
    """A long text cut into parts of `length` tokens; what is left over is left out."""

    def __init__(self, tokens: NDArray[np.int32], length: int):
        self.tokens = tokens
        self.length = length

    def __len__(self) -> int:
        return len(self.tokens) // self.length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = self.tokens[index * self.length :][: self.length]
        tokens = torch.as_tensor(part.astype(np.int64))
        return {"input_ids": tokens, "labels": tokens}


class Translations(Dataset[dict[str, Tensor]]):
    """Sentences and what they are in another language."""

    def __init__(self, pairs: Sequence[tuple[str, str]], tokenizer: Tokenizer):
        self.pairs = pairs
        self.tokenizer = tokenizer

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        source, target = (self.tokenizer.encode(text) for text in self.pairs[index])
        wanted = _padded(target, self.tokenizer)
        tokens, mask = wanted["input_ids"], wanted["attention_mask"]
        # The decoder reads each token's predecessor, padding before the first.
        before = torch.full_like(tokens[:1], self.tokenizer.padding)
        return {
            **_padded(source, self.tokenizer),
            "decoder_input_ids": torch.cat([before, tokens[:-1]]),
            "labels": torch.where(mask.bool(), tokens, IGNORED),
        }


def _padded(tokens: Sequence[int], tokenizer: Tokenizer) -> dict[str, Tensor]:
    length = tokenizer.length
    kept = list(tokens[:length])
    left = length - len(kept)
    return {
        "input_ids": torch.tensor(kept + [tokenizer.padding] * left),
        "attention_mask": torch.tensor([1] * len(kept) + [0] * left),
    }
