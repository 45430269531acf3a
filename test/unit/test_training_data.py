"""Data sets from files in their published formats, small ones that the tests write."""

from __future__ import annotations

import gzip
import json
import pickle
import wave
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_runs import mistake

from mase_opt.lib.errors import UserError
from mase_opt.training import MaseDataModule
from mase_opt.training.data.jets import FEATURES, KINDS
from mase_opt.training.data.text import GLUE
from mase_opt.training.registry import DATASETS

RNG = np.random.default_rng(0)
MODELS = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("timm", "torchvision", "transformers")),
    reason="needs the extra 'models'",
)


def module(name: str, folder: Path, **options: Any) -> MaseDataModule:
    data = MaseDataModule(name, 4, folder=folder, num_workers=0, **options)
    data.setup()
    return data


# Writers of the published formats.


def cifar(folder: Path, *, fine: bool = False, label: int = 1) -> dict[str, Any]:
    """Pickles of protocol 2 with keys of bytes, as those of Python 2 read."""
    place = folder / ("cifar-100-python" if fine else "cifar-10-batches-py")
    place.mkdir(parents=True)
    key = b"fine_labels" if fine else b"labels"
    held: dict[str, Any] = {}
    names = ["train", "test"] if fine else [f"data_batch_{i}" for i in range(1, 6)]
    for name in names if fine else [*names, "test_batch"]:
        pixels = RNG.integers(0, 256, (4, 3072), np.uint8)
        held[name] = {b"data": pixels, key: [0, label, 2, 3]}
        (place / name).write_bytes(pickle.dumps(held[name], protocol=2))
    return held


def idx(array: np.ndarray[Any, Any]) -> bytes:
    head = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
    return head + array.astype(np.uint8).tobytes()


def mnist(folder: Path, *, packed: bool = False, label: int = 9) -> Any:
    place = folder / "mnist"
    place.mkdir(parents=True)
    held: list[Any] = []
    for part, count in (("train", 10), ("t10k", 4)):
        x = RNG.integers(0, 256, (count, 28, 28), np.uint8)
        y = np.arange(count) % 10
        y[-1] = label if part == "train" else y[-1]
        held.append((x, y))
        for kind, array in (("images-idx3", x), ("labels-idx1", y)):
            name = f"{part}-{kind}-ubyte" + (".gz" if packed else "")
            data = idx(array)
            (place / name).write_bytes(gzip.compress(data) if packed else data)
    return held


def imagenet(folder: Path) -> None:
    from PIL import Image

    for part, count in (("train", 3), ("val", 2)):
        for name, grey in (("n01440764", 10), ("n01443537", 200)):
            place = folder / "imagenet" / part / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = np.full((40, 60, 3), grey, np.uint8)
                Image.fromarray(pixels).save(place / f"{name}_{number}.JPEG")


def jsc(folder: Path) -> np.ndarray[Any, Any]:
    place = folder / "jsc"
    place.mkdir(parents=True)
    x = RNG.normal(5, 3, (20, FEATURES))
    lines = ["@RELATION jets", ""]
    lines += [f"@ATTRIBUTE f{i} REAL" for i in range(FEATURES)]
    lines += ["@ATTRIBUTE class {g, q, w, z, t}", "", "@DATA"]
    rows = [
        ",".join([*map(repr, row.tolist()), KINDS[index % 5]])
        for index, row in enumerate(x)
    ]
    # One of them twice.
    text = "\n".join([*lines, *rows, rows[0]]) + "\n"
    (place / "hls4ml_lhc_jets_hlf.arff").write_text(text)
    return x


def sound(path: Path, hertz: float, seconds: float = 1.0, rate: int = 16_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(int(rate * seconds)) / rate
    samples = (12_000 * np.sin(2 * np.pi * hertz * times)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


def speech(folder: Path) -> None:
    place = folder / "speech_commands"
    for word, hertz in (("yes", 300), ("no", 1200), ("bed", 2500)):
        for number in range(4):
            sound(place / word / f"{number}_nohash_0.wav", hertz, 0.9)
    sound(place / "_background_noise_" / "hum.wav", 50, 2)
    (place / "validation_list.txt").write_text("yes/1_nohash_0.wav\n")
    (place / "testing_list.txt").write_text("yes/2_nohash_0.wav\nno/0_nohash_0.wav\n")


def glue(folder: Path, name: str, count: int = 5, label: str | None = None) -> None:
    task = GLUE[name]
    place = folder / task.folder
    place.mkdir(parents=True)
    for file in task.files:
        rows: list[dict[str, Any]] = []
        for number in range(count):
            known = task.classes[number % len(task.classes)]
            row: dict[str, Any] = {
                column: f'Good "number {number}' for column in task.columns
            }
            row[task.label] = known if label is None else label
            rows.append({"index": number, **row})
        if file.endswith(".jsonl"):
            lines = [
                json.dumps({**row, "label": row["label"] == "True"}) for row in rows
            ]
        else:
            lines = ["\t".join(rows[0])]
            lines += ["\t".join(map(str, row.values())) for row in rows]
        (place / file).write_text("\n".join(lines) + "\n")


def text(folder: Path, name: str) -> None:
    place = folder / name
    place.mkdir(parents=True)
    stem, ending = ("ptb", "txt") if name == "ptb" else ("wiki", "tokens")
    for part in ("train", "valid", "test"):
        lines = [
            " = Title = ",
            "",
            *(f" the cat saw <unk> {i % 3} ." for i in range(9)),
        ]
        (place / f"{stem}.{part}.{ending}").write_text("\n".join(lines) + "\n")


def iwslt(folder: Path, source: str, target: str) -> None:
    pair = f"{source}-{target}"
    place = folder / "iwslt2017" / pair
    place.mkdir(parents=True)
    for language in (source, target):
        told = [
            f"<url>http://x</url>\n<title>T</title>\n {language} {i} \n" for i in "ab"
        ]
        (place / f"train.tags.{pair}.{language}").write_text("".join(told))
        for name in ("dev2010", "tst2010", "tst2011"):
            body = "".join(
                f'<seg id="{i}"> {name} {language} {i} </seg>\n' for i in (1, 2)
            )
            page = f"<?xml version='1.0'?>\n<mteval><doc>\n{body}</doc></mteval>\n"
            (place / f"IWSLT17.TED.{name}.{pair}.{language}.xml").write_text(page)


WMT = {
    "wmt19_de_en": ("newstest2018", "newstest2019"),
    "wmt19_zh_en": ("newstest2018", "newstest2019"),
    "wmt16_ro_en": ("newsdev2016", "newstest2016"),
}


def wmt(folder: Path, name: str) -> None:
    year, source, target = name.removeprefix("wmt").split("_")
    pair = f"{source}-{target}"
    place = folder / f"wmt{year}" / pair
    place.mkdir(parents=True)
    for language in (source, target):
        lines = [f"{language} {i}" for i in range(3)]
        (place / f"europarl-v8.{pair}.{language}").write_text("\n".join(lines) + "\n")
        for stem in WMT[name]:
            kind = "src" if language == source else "ref"
            body = "".join(f'<seg id="{i}">{stem} {i}</seg>\n' for i in (1, 2))
            path = place / f"{stem}-{source}{target}-{kind}.{language}.sgm"
            path.write_text(f"<srcset><doc>\n{body}</doc></srcset>\n")
    table = gzip.compress(b"eins\tone\nzwei\ttwo\n\tnone\n")
    (place / f"news-commentary-v14.{pair}.tsv.gz").write_bytes(table)


LENGTH = {"max_token_len": 8}
WRITERS: dict[str, tuple[Callable[[Path], Any], tuple[int, int, int], dict[str, Any]]]
WRITERS = {
    "cifar10": (cifar, (16, 4, 4), {}),
    "cifar100": (lambda folder: cifar(folder, fine=True), (3, 1, 4), {}),
    "mnist": (mnist, (8, 2, 4), {}),
    "jsc": (jsc, (13, 3, 4), {}),
    "speech-commands": (speech, (6, 1, 2), {}),
    **{
        name: ((lambda folder, n=name: glue(folder, n)), (4, 1, 5), LENGTH)
        for name in GLUE
    },
    **{
        name: ((lambda folder, n=name: text(folder, n)), (7, 7, 7), LENGTH)
        for name in ("wikitext2", "wikitext103", "ptb")
    },
    **{
        f"iwslt2017_{a}_{b}": (
            (lambda folder, a=a, b=b: iwslt(folder, a, b)),
            (2, 2, 4),
            LENGTH,
        )
        for a, b in (("en", "de"), ("de", "en"), ("en", "fr"), ("en", "zh"))
    },
    **{
        name: ((lambda folder, n=name: wmt(folder, n)), (5, 2, 2), LENGTH)
        for name in WMT
    },
}
"""Who writes a small one, the sizes of its splits, and options."""
WITH_PACKAGES = ("digits", "iris", "wine", "breast_cancer", "mnist-5k", "toy-tiny")


def test_d9_all_data_sets_are_here() -> None:
    own = {
        entry.name
        for entry in DATASETS.entries.values()
        if entry.load.__module__.startswith("mase_opt.")
    }
    # What a model of streams reads is made of files that its configuration names.
    assert own == {*WRITERS, *WITH_PACKAGES, "imagenet", "streams"}


@pytest.mark.parametrize("name", WRITERS)
def test_d8_d9_loads(name: str, tmp_path: Path) -> None:
    """Splits have their sizes, batches the shapes and labels that the info says."""
    write, sizes, options = WRITERS[name]
    with pytest.raises(UserError, match=r"is not in '.*': put .* there, from "):
        module(name.upper(), tmp_path, **options)
    write(tmp_path)
    data = module(name.upper(), tmp_path, **options)
    parts = (data.splits.train, data.splits.val, data.splits.test)
    assert tuple(len(part) for part in parts) == sizes
    info = data.dataset_info
    batch: Any = next(iter(data.val_dataloader()))
    inputs = [batch[key] for key in info.names] if info.names else [batch[0]]
    assert all(tuple(x.shape[1:]) == info.shape for x in inputs)
    labels = batch["labels"] if info.names else batch[1]
    assert labels.dtype == torch.int64
    if info.names:
        assert info.shape == (8,)
        assert int(inputs[0].max()) < (info.vocabulary or 0)


def test_cifar_pixels(tmp_path: Path) -> None:
    held = cifar(tmp_path)
    data = module("cifar10", tmp_path)
    x, y = next(iter(data.test_dataloader()))
    pixels = held["test_batch"][b"data"].reshape(4, 3, 32, 32) / 255
    mean = np.array([0.4914, 0.4822, 0.4465]).reshape(1, 3, 1, 1)
    deviation = np.array([0.247, 0.2435, 0.2616]).reshape(1, 3, 1, 1)
    np.testing.assert_allclose(x, (pixels - mean) / deviation, atol=1e-5)
    assert y.tolist() == [0, 1, 2, 3]


def test_cifar_augmentation_moves_and_mirrors() -> None:
    """Each image is a part of itself in a black frame, mirrored or not."""
    from torch.nn.functional import pad

    from mase_opt.training.data.images import CifarPixels

    x = torch.randint(1, 256, (16, 3, 32, 32), dtype=torch.uint8)
    torch.manual_seed(0)
    prepared = CifarPixels(True)
    found = prepared(x, True)
    frames = pad(x, (4, 4, 4, 4))
    kinds: set[tuple[int, int, bool]] = set()
    for image, frame in zip(found, frames, strict=True):
        fits = [
            (down, across, mirrored)
            for down in range(9)
            for across in range(9)
            for mirrored in (False, True)
            if torch.equal(
                prepared(
                    (part := frame[None, :, down : down + 32, across : across + 32])
                    if not mirrored
                    else part.flip(3),
                    False,
                )[0],
                image,
            )
        ]
        assert len(fits) == 1
        kinds.update(fits)
    assert {mirrored for _, _, mirrored in kinds} == {False, True}
    assert len(kinds) > 10
    assert torch.equal(prepared(x, False), CifarPixels(False)(x, True))


@pytest.mark.parametrize("packed", [False, True])
def test_mnist_pixels(packed: bool, tmp_path: Path) -> None:
    held = mnist(tmp_path, packed=packed)
    x, y = next(iter(module("mnist", tmp_path).test_dataloader()))
    assert torch.equal(x[:, 0], torch.as_tensor(held[1][0]) / 255)
    assert y.tolist() == held[1][1].tolist()


def test_jsc_is_scaled_and_has_no_jet_twice(tmp_path: Path) -> None:
    written = jsc(tmp_path)
    data = module("jsc", tmp_path, arguments=None)
    parts = [data.splits.train, data.splits.val, data.splits.test]
    x = torch.cat([part.tensors[0] for part in parts]).double()
    assert len(x) == len(written)
    own = torch.cat([part.tensors[0] for part in parts[:2]])
    torch.testing.assert_close(own.mean(0), torch.zeros(FEATURES), atol=1e-5, rtol=0)
    torch.testing.assert_close(own.std(0, correction=0), torch.ones(FEATURES))
    # What was equally far apart still is.
    order = np.argsort(written[:, 0])
    scale = np.ptp(written[:, 0]) / np.ptp(x[:, 0].numpy())
    np.testing.assert_allclose(
        np.diff(np.sort(x[:, 0].numpy())) * scale,
        np.diff(written[order, 0]),
        atol=1e-4,
    )


def test_speech_coefficients_tell_tones_apart(tmp_path: Path) -> None:
    speech(tmp_path)
    data = module("speech-commands", tmp_path)
    x, y = data.splits.train.tensors
    yes, others = x[y == 9], x[y == 10]
    assert x.shape[1:] == (1, 49, 10)
    assert len(yes) == 2
    assert len(others) == 1
    assert torch.equal(yes[0], yes[1])
    assert float((yes[0] - others[0]).abs().max()) > 1
    from mase_opt.training.data.speech import coefficients

    # The cosine transform of a flat spectrum has a first coefficient alone.
    impulse = np.zeros(16_000)
    impulse[240 + 320 * np.arange(49)] = 1
    flat = coefficients(impulse)
    assert np.allclose(flat[0], flat[7])


@MODELS
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_imagenet_folders_and_subset(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'imagenet' is not in"):
        module("imagenet", tmp_path)
    imagenet(tmp_path)
    data = module("imagenet", tmp_path, arguments={"size": 32, "subset": 2})
    splits = data.splits
    assert [len(p) for p in (splits.train, splits.val, splits.test)] == [4, 4, 4]
    assert data.dataset_info.num_classes == 2
    x, y = next(iter(data.test_dataloader()))
    assert x.shape == (4, 3, 32, 32)
    assert y.tolist() == [0, 0, 1, 1]
    # Mean of ImageNet's red is 0.485, its deviation 0.229.
    wanted = [(grey / 255 - 0.485) / 0.229 for grey in (10, 200)]
    assert x[[0, 3], 0].mean((1, 2)).tolist() == pytest.approx(wanted, abs=0.03)
    path = tmp_path / "imagenet/val/n01443537/n01443537_1.JPEG"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match=r"n01443537_1\.JPEG' is no whole image"):
        list(data.test_dataloader())


@MODELS
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_bad_file_in_a_worker_is_one_line(tmp_path: Path, capsys: Any) -> None:
    imagenet(tmp_path)
    for path in (tmp_path / "imagenet/train").rglob("*.JPEG"):
        path.write_bytes(path.read_bytes()[:200])
    config = tmp_path / "c.toml"
    config.write_text('[dataset]\nname = "imagenet"\nsize = 32\n')
    line = ("train", "toy", "--config", config, "--data-dir", tmp_path, "--cpu", "1")
    said = mistake(capsys, tmp_path / "out", *line)
    assert "is no whole image" in said


def test_words_and_blocks(tmp_path: Path) -> None:
    """Blocks follow each other without gap, and unknown words are the second token."""
    text(tmp_path, "wikitext2")
    (tmp_path / "wikitext2/wiki.test.tokens").write_text("the dog saw a cat . " * 4)
    data = module("wikitext2", tmp_path, max_token_len=4)
    tokens = torch.cat([sample["input_ids"] for sample in data.splits.test])
    the, dog, saw, a, cat, stop = tokens[:6].tolist()
    assert dog == a == 1
    assert len({the, saw, cat, stop, 1}) == 5
    assert tokens.tolist() == [the, dog, saw, a, cat, stop] * 4


def test_translations_shift_what_the_decoder_reads(tmp_path: Path) -> None:
    iwslt(tmp_path, "en", "de")
    data = module("iwslt2017_en_de", tmp_path, max_token_len=8, model_name="t5-own")
    assert data.splits.train.pairs == [
        ("translate English to German: en a", "de a"),
        ("translate English to German: en b", "de b"),
    ]
    sample = data.splits.train[0]
    labels = sample["labels"]
    kept = labels != -100
    assert int(kept.sum()) == 4  # <s> de a </s>
    before = sample["decoder_input_ids"]
    assert before.tolist() == [0, *labels[kept].tolist(), 0, 0, 0][:8]
    assert sample["input_ids"].tolist()[-1] != 0


def test_wmt_takes_both_forms(tmp_path: Path) -> None:
    wmt(tmp_path, "wmt19_de_en")
    pairs = module("wmt19_de_en", tmp_path, **LENGTH).splits.train.pairs
    assert pairs[-2:] == [("eins", "one"), ("zwei", "two")]
    assert pairs[0] == ("de 0", "en 0")


# Mistakes.


def shortened(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 7 // 10])


def test_files_cut_off(tmp_path: Path) -> None:
    for name, file, message in (
        ("cifar10", "cifar-10-batches-py/data_batch_3", "data_batch_3' is damaged"),
        ("mnist", "mnist/train-images-idx3-ubyte", r"\d+ bytes for shape 10x28x28"),
        ("jsc", "jsc/hls4ml_lhc_jets_hlf.arff", r"line \d+: "),
        ("speech-commands", "speech_commands/yes/0_nohash_0.wav", "bytes of"),
        ("sst2", "SST-2/train.tsv", r"line \d has"),
        ("boolq", "BoolQ/train.jsonl", r"line \d is no JSON"),
        ("iwslt2017_en_de", "iwslt2017/en-de/train.tags.en-de.en", "and '.*' has 2: "),
        (
            "iwslt2017_en_de",
            "iwslt2017/en-de/IWSLT17.TED.tst2010.en-de.en.xml",
            "not every <seg> has its end",
        ),
    ):
        folder = tmp_path / f"{name}-{len(file)}"
        write, _, options = WRITERS[name]
        write(folder)
        shortened(folder / file)
        with pytest.raises(UserError, match=message):
            module(name, folder, **options)
    mnist(tmp_path, packed=True)
    shortened(tmp_path / "mnist/t10k-images-idx3-ubyte.gz")
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte\.gz' is damaged"):
        module("mnist", tmp_path)


def test_labels_outside_the_classes(tmp_path: Path) -> None:
    cifar(tmp_path / "a", label=10)
    with pytest.raises(UserError, match=r"of \d+ labels are outside 0 to 9"):
        module("cifar10", tmp_path / "a")
    mnist(tmp_path / "b", label=12)
    with pytest.raises(UserError, match=r"1 of . labels are outside 0 to 9, the .* 12"):
        module("mnist", tmp_path / "b")
    glue(tmp_path / "c", "mnli", label="-")
    with pytest.raises(UserError, match=r"line 2: label '-' is none of entailment, "):
        module("mnli", tmp_path / "c")
    jsc(tmp_path / "d")
    path = tmp_path / "d/jsc/hls4ml_lhc_jets_hlf.arff"
    path.write_text(path.read_text().replace(",t\n", ",b\n"))
    with pytest.raises(UserError, match="class 'b' is none of g, q, w, z, t"):
        module("jsc", tmp_path / "d")


def test_pickles_of_cifar_run_nothing(tmp_path: Path) -> None:
    cifar(tmp_path)

    class Evil:
        def __reduce__(self) -> Any:
            return print, ("run",)

    path = tmp_path / "cifar-10-batches-py/test_batch"
    path.write_bytes(pickle.dumps({b"data": Evil(), b"labels": []}, protocol=2))
    with pytest.raises(UserError, match=r"it holds (builtins|__builtin__)\.print"):
        module("cifar10", tmp_path)


def test_lines_that_published_tables_have_wrong_are_left_out(tmp_path: Path) -> None:
    from loguru import logger

    told: list[str] = []
    sink = logger.add(told.append)
    glue(tmp_path, "qqp")
    path = tmp_path / "QQP/train.tsv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "7\tonly a question", *lines[1:]]) + "\n")
    assert len(module("qqp", tmp_path, **LENGTH).splits.test) == 5
    logger.remove(sink)
    assert "1 lines do not have 4 columns and are left out, the first is 2" in told[0]


def test_the_task_must_be_that_of_the_data(tmp_path: Path, capsys: Any) -> None:
    text(tmp_path, "wikitext2")
    line = ("train", "toy", "wikitext2", "--data-dir", tmp_path, "--max-token-len", "8")
    said = mistake(capsys, tmp_path / "out", *line)
    assert "is for language_modeling, not classification: --task language" in said
