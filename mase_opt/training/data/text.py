"""Texts from files: GLUE, WikiText, IWSLT, WMT."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mase_opt.lib.errors import UserError
from mase_opt.training.data.corpus import corpus
from mase_opt.training.data.expected import cut, folder_of, found, read_lines
from mase_opt.training.data.tokens import tokenizer_for
from mase_opt.training.registry import DataRequest, DatasetInfo, Splits, dataset

Texts = tuple[list[tuple[str, ...]], list[int]]


# GLUE, and BoolQ.


@dataclass(frozen=True)
class _Task:
    """A task of GLUE: its folder, files, columns, classes."""

    folder: str
    columns: tuple[str, ...]
    label: str
    classes: tuple[str, ...]
    summary: str
    files: tuple[str, str] = ("train.tsv", "dev.tsv")
    origin: str = "https://gluebenchmark.com"


_ENTAILMENT = ("entailment", "not_entailment")
_NO_YES = ("0", "1")
_SENTENCES = ("sentence1", "sentence2")
GLUE: Mapping[str, _Task] = {
    "sst2": _Task(
        "SST-2", ("sentence",), "label", _NO_YES, "Whether a review is positive"
    ),
    "mnli": _Task(
        "MNLI",
        _SENTENCES,
        "gold_label",
        ("entailment", "neutral", "contradiction"),
        "Whether a sentence follows from another",
        ("train.tsv", "dev_matched.tsv"),
    ),
    "qnli": _Task(
        "QNLI",
        ("question", "sentence"),
        "label",
        _ENTAILMENT,
        "Whether a sentence answers a question",
    ),
    "rte": _Task(
        "RTE", _SENTENCES, "label", _ENTAILMENT, "Whether a sentence follows, smaller"
    ),
    "qqp": _Task(
        "QQP",
        ("question1", "question2"),
        "is_duplicate",
        _NO_YES,
        "Whether two questions are the same",
    ),
    "mrpc": _Task(
        "MRPC",
        ("#1 String", "#2 String"),
        "Quality",
        _NO_YES,
        "Whether two sentences say the same",
    ),
    "boolq": _Task(
        "BoolQ",
        ("question", "passage"),
        "label",
        ("False", "True"),
        "Whether a question's answer is yes",
        ("train.jsonl", "val.jsonl"),
        "https://super.gluebenchmark.com",
    ),
}


def _of_glue(name: str, task: _Task) -> None:
    def load(
        request: DataRequest,
        tokenizer: str | None = None,
        lower: bool | None = None,
        special: bool = True,
    ) -> Splits:
        folder = folder_of(request.folder, task.folder, *task.files, origin=task.origin)
        train, test = (_classified(found(folder, file), task) for file in task.files)
        return corpus(
            train,
            test=test,
            classes=len(task.classes),
            tokenizer=tokenizer,
            model=request.model,
            max_token_len=request.max_token_len,
            lower=lower,
            add_special_tokens=special,
        )

    load.__doc__ = f"{task.summary}."
    info = DatasetInfo((512,), len(task.classes), names=("input_ids", "attention_mask"))
    dataset(name, info=info)(load)


for _row in GLUE.items():
    _of_glue(*_row)


def _classified(path: Path, task: _Task) -> Texts:
    """Texts and classes of a file of a task; raises `UserError`."""
    texts: list[tuple[str, ...]] = []
    labels: list[int] = []
    rows = _of_json(path) if path.suffix == ".jsonl" else _of_table(path)
    for number, row in rows:
        for column in (*task.columns, task.label):
            if column not in row:
                raise UserError(
                    f"'{path}', line {number}: no column '{column}', only "
                    f"{', '.join(row)}"
                )
        label = row[task.label]
        if label not in task.classes:
            raise UserError(
                f"'{path}', line {number}: label '{label}' is none of "
                f"{', '.join(task.classes)}"
            )
        texts.append(tuple(row[column] for column in task.columns))
        labels.append(task.classes.index(label))
    return texts, labels


def _of_json(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(read_lines(path), 1):
        try:
            row: dict[str, Any] = json.loads(line)
            yield number, {key: str(value) for key, value in row.items()}
        except (ValueError, AttributeError) as error:
            raise cut(path, f"line {number} is no JSON object: {error}") from error


def _of_table(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of tab-separated text by the names in its first line."""
    lines = list(csv.reader(read_lines(path), delimiter="\t", quoting=csv.QUOTE_NONE))
    names = lines[0]
    damaged: list[int] = []
    for number, row in enumerate(lines[1:], 2):
        if len(row) == len(names):
            yield number, dict(zip(names, row, strict=True))
        elif number == len(lines):
            raise cut(path, f"line {number} has {len(row)} of {len(names)} columns")
        else:
            damaged.append(number)
    if damaged:
        # The published files have some.
        from loguru import logger

        logger.warning(
            f"'{path}': {len(damaged)} lines do not have {len(names)} columns and are "
            f"left out, the first is {damaged[0]}"
        )


# Language modelling.


def _of_text(name: str, stem: str, endings: Sequence[str], about: str, origin: str):
    def load(request: DataRequest, tokenizer: str | None = None) -> Splits:
        parts = [
            [f"{stem}.{part}.{ending}" for ending in endings]
            for part in ("train", "valid", "test")
        ]
        expected = [f"{stem}.{part}.*" for part in ("train", "valid", "test")]
        folder = folder_of(request.folder, name, *expected, origin=origin)
        texts = [read_lines(found(folder, *names)) for names in parts]
        return _blocks(request, tokenizer, texts)

    load.__doc__ = f"{about}."
    info = DatasetInfo((512,), None, "language_modeling", ("input_ids",))
    dataset(name, info=info)(load)


for _name, _about in (("wikitext2", "2 million"), ("wikitext103", "103 million")):
    _of_text(
        _name,
        "wiki",
        ("tokens", "raw"),
        f"WikiText, {_about} words of Wikipedia",
        "the WikiText data set (wiki.train.tokens or wiki.train.raw, and so on)",
    )
_of_text("ptb", "ptb", ("txt",), "Penn Treebank", "Mikolov's ptb.train.txt and so on")


def _blocks(
    request: DataRequest, choice: str | None, texts: Sequence[Sequence[str]]
) -> Splits:
    from mase_opt.training.data.samples import Blocks

    tokenizer = tokenizer_for(choice, request.model, texts[0], request.max_token_len)
    length = tokenizer.length
    parts: list[Any] = []
    for part, lines in zip(("training", "validation", "test"), texts, strict=True):
        encoded = [tokenizer.encode_whole(f"{line}\n") for line in lines]
        tokens = np.concatenate([np.asarray(line, np.int32) for line in encoded])
        if len(tokens) < length:
            raise UserError(
                f"the {part} text has {len(tokens)} tokens, fewer than the {length} of "
                "a sample: --max-token-len"
            )
        parts.append(Blocks(tokens, length))
    info = DatasetInfo(
        (length,),
        task="language_modeling",
        names=("input_ids",),
        vocabulary=tokenizer.size,
    )
    return Splits(*parts, info=info)


# Translation.

LANGUAGES = {
    "de": "German",
    "en": "English",
    "fr": "French",
    "ro": "Romanian",
    "zh": "Chinese",
}
Pairs = list[tuple[str, str]]


def _register_translation(name: str, load: Any, source: str, target: str) -> None:
    load.__doc__ = f"{LANGUAGES[source]} to {LANGUAGES[target]}."
    names = ("input_ids", "attention_mask", "decoder_input_ids")
    dataset(name, info=DatasetInfo((512,), None, "translation", names))(load)


def _translations(
    request: DataRequest,
    choice: str | None,
    languages: tuple[str, str],
    parts: Sequence[Pairs],
) -> Splits:
    from mase_opt.training.data.samples import Translations

    if request.model is not None and Path(request.model).name.startswith("t5"):
        # What T5 was trained to be told.
        source, target = (LANGUAGES[language] for language in languages)
        told = f"translate {source} to {target}: "
        parts = [[(told + a, b) for a, b in pairs] for pairs in parts]
    texts = (text for pair in parts[0] for text in pair)
    tokenizer = tokenizer_for(choice, request.model, texts, request.max_token_len)
    info = DatasetInfo(
        (tokenizer.length,),
        task="translation",
        names=("input_ids", "attention_mask", "decoder_input_ids"),
        vocabulary=tokenizer.size,
    )
    return Splits(*(Translations(pairs, tokenizer) for pairs in parts), info=info)


def _pairs(sources: Path, targets: Path, one: list[str], other: list[str]) -> Pairs:
    if len(one) != len(other):
        raise UserError(
            f"'{sources}' has {len(one)} sentences and '{targets}' has {len(other)}: "
            "one of them is cut off"
        )
    return [(a, b) for a, b in zip(one, other, strict=True) if a and b]


def _of_iwslt(source: str, target: str) -> None:
    pair = f"{source}-{target}"

    def load(request: DataRequest, tokenizer: str | None = None) -> Splits:
        train = [f"train.tags.{pair}.{language}" for language in (source, target)]
        tests = f"IWSLT17.TED.tst20*.{pair}.{source}.xml"
        dev = f"IWSLT17.TED.dev2010.{pair}.{source}.xml"
        folder = folder_of(
            request.folder / "iwslt2017",
            pair,
            *train,
            dev,
            tests,
            origin="the IWSLT 2017 evaluation campaign, TED talks",
        )
        a, b = (found(folder, name) for name in train)
        parts = [
            _pairs(a, b, _talks(a), _talks(b)),
            _segments(found(folder, dev), source, target),
            [
                pair
                for path in sorted(folder.glob(tests))
                for pair in _segments(path, source, target)
            ],
        ]
        return _translations(request, tokenizer, (source, target), parts)

    _register_translation(f"iwslt2017_{source}_{target}", load, source, target)


for _pair in (("en", "de"), ("de", "en"), ("en", "fr"), ("en", "zh")):
    _of_iwslt(*_pair)


def _talks(path: Path) -> list[str]:
    """Sentences of a text in which lines with tags stand between talks."""
    return [line.strip() for line in read_lines(path) if not line.startswith("<")]


def _segments(path: Path, source: str, target: str) -> Pairs:
    """Sentences of a file of `<seg>` elements, and of that in the other language."""
    other = path.with_name(path.name.replace(f".{source}.xml", f".{target}.xml"))
    if not other.is_file():
        raise UserError(f"'{path.parent}' has no file {other.name}")
    return _pairs(path, other, _tagged(path), _tagged(other))


def _tagged(path: Path) -> list[str]:
    text = "\n".join(read_lines(path))
    found_here = re.findall(r"<seg[^>]*>(.*?)</seg>", text, re.S | re.I)
    if len(found_here) != len(re.findall(r"<seg\b", text, re.I)) or not found_here:
        raise cut(path, "not every <seg> has its end")
    return [" ".join(sentence.split()) for sentence in found_here]


def _of_wmt(year: int, source: str, target: str, dev: str, test: str) -> None:
    pair = f"{source}-{target}"

    def load(request: DataRequest, tokenizer: str | None = None) -> Splits:
        folder = folder_of(
            request.folder / f"wmt{year}",
            pair,
            f"*.{pair}.*",
            f"{dev}-{source}{target}-src.{source}.sgm",
            f"{test}-{source}{target}-ref.{target}.sgm",
            origin=f"https://statmt.org/wmt{year}, training and development sets",
        )
        held = [_held_out(folder, name, source, target) for name in (dev, test)]
        parts = [_parallel(folder, source, target), *held]
        return _translations(request, tokenizer, (source, target), parts)

    _register_translation(f"wmt{year}_{source}_{target}", load, source, target)


for _wmt in (
    (19, "de", "en", "newstest2018", "newstest2019"),
    (19, "zh", "en", "newstest2018", "newstest2019"),
    (16, "ro", "en", "newsdev2016", "newstest2016"),
):
    _of_wmt(*_wmt)


def _held_out(folder: Path, name: str, source: str, target: str) -> Pairs:
    stem = f"{name}-{source}{target}"
    a = found(folder, f"{stem}-src.{source}.sgm")
    b = found(folder, f"{stem}-ref.{target}.sgm")
    return _pairs(a, b, _tagged(a), _tagged(b))


def _parallel(folder: Path, source: str, target: str) -> Pairs:
    """All training sentences: a file per language, or tables of two columns."""
    pair = f"{source}-{target}"
    pairs: Pairs = []
    for path in sorted(folder.glob(f"*.{pair}.{source}")):
        other = found(folder, f"{path.stem}.{target}")
        pairs += _pairs(path, other, read_lines(path), read_lines(other))
    for path in sorted(
        [*folder.glob(f"*.{pair}.tsv"), *folder.glob(f"*.{pair}.tsv.gz")]
    ):
        rows = [line.split("\t") for line in read_lines(path)]
        if len(rows[-1]) < 2:
            raise cut(path, f"line {len(rows)} has no second column")
        pairs += [(row[0], row[1]) for row in rows if len(row) > 1 and all(row[:2])]
    if not pairs:
        raise UserError(
            f"'{folder}' has no training sentences: NAME.{pair}.{source} beside "
            f"NAME.{pair}.{target}, or NAME.{pair}.tsv(.gz)"
        )
    return pairs
