"""A user's own texts and their classes as a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mase_opt.lib.errors import UserError
from mase_opt.training.data.tokens import tokenizer_for
from mase_opt.training.registry import DatasetInfo, Splits

Texts = tuple[Sequence[str | tuple[str, ...]], Sequence[int]]


def corpus(
    train: Texts,
    val: Texts | None = None,
    test: Texts | None = None,
    *,
    classes: int | None = None,
    tokenizer: str | None = None,
    model: str | None = None,
    max_token_len: int = 512,
    lower: bool | None = None,
    add_special_tokens: bool = True,
    limit_vocab: int | None = None,
    collate: Callable[[Sequence[Any]], Any] | None = None,
) -> Splits:
    """
    Texts, or tuples of texts that belong together, and their classes.

    `tokenizer` is `words` (of the training texts, the most frequent `limit_vocab`), a
    folder of `save_pretrained`, or a published model's name; None: that of `model`,
    else words. `lower` makes letters small; None: for words and `uncased` models.
    `classes` are counted if None. Raises `UserError`.
    """
    from mase_opt.training.data.samples import Classified

    known = tokenizer_for(
        tokenizer,
        model,
        (text for entry in train[0] for text in _several(entry)),
        max_token_len,
        lower=lower,
        special=add_special_tokens,
        limit=limit_vocab,
    )
    parts: list[Any] = []
    for part in (train, val, test):
        if part is None:
            parts.append(None)
            continue
        texts, labels = part
        if len(texts) != len(labels):
            raise UserError(f"{len(texts)} texts and {len(labels)} classes of them")
        parts.append(Classified([_several(text) for text in texts], labels, known))
    info = DatasetInfo(
        (known.length,),
        max(train[1]) + 1 if classes is None else classes,
        names=("input_ids", "attention_mask"),
        vocabulary=known.size,
    )
    return Splits(*parts, info=info, collate=collate)


def _several(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text
