"""Spoken words as the coefficients that small recognizers take."""

from __future__ import annotations

import math
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.errors import UserError
from mase_opt.training.data.expected import cut, folder_of, found, read_lines
from mase_opt.training.registry import DataRequest, DatasetInfo, Splits, dataset

Array = NDArray[Any]
WORDS = ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes")
SILENCE = "_background_noise_"
RATE = 16_000
FRAME, STEP = 480, 320
"""Samples of a frame, 30 ms, and from one to the next."""
BANDS, COEFFICIENTS = 40, 10
LOWEST, HIGHEST = 20.0, 4000.0
"""Of the bands, in Hz."""
FRAMES = (RATE - FRAME) // STEP + 1
KEPT_OF_OTHERS = 10
"""One in so many of the words that are not to be told apart is kept."""


@dataset("speech-commands", info=DatasetInfo((1, FRAMES, COEFFICIENTS), 12))
def speech_commands(request: DataRequest) -> Splits:
    """Ten words, others and noise: 49 frames of ten mel coefficients each."""
    folder = folder_of(
        request.folder,
        "speech_commands",
        "yes/*.wav",
        "validation_list.txt",
        "testing_list.txt",
        f"{SILENCE}/*.wav",
        origin="Google's Speech Commands, version 2",
    )
    lists = {
        part: set(read_lines(found(folder, f"{name}_list.txt")))
        for part, name in (("val", "validation"), ("test", "testing"))
    }
    held: dict[str, list[tuple[Array, int]]] = {"train": [], "val": [], "test": []}
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        if place.name == SILENCE:
            continue
        label = WORDS.index(place.name) if place.name in WORDS else len(WORDS)
        paths = sorted(place.glob("*.wav"))
        for path in paths if label < len(WORDS) else paths[::KEPT_OF_OTHERS]:
            name = f"{place.name}/{path.name}"
            listed = [part for part, names in lists.items() if name in names]
            held[(*listed, "train")[0]].append((coefficients(_sound(path)), label))
    _add_noise(folder / SILENCE, held, np.random.default_rng(request.seed))
    train, val, test = (_arrays(held[part]) for part in ("train", "val", "test"))
    return Splits(train, val, test)


def _add_noise(
    folder: Path, held: dict[str, list[tuple[Array, int]]], rng: np.random.Generator
) -> None:
    """As many seconds of noise in each part as it has samples of a word."""
    noises = [_sound(path, whole=True) for path in sorted(folder.glob("*.wav"))]
    if not noises:
        raise UserError(f"'{folder}' has no .wav files")
    for samples in held.values():
        for _ in range(len(samples) // (len(WORDS) + 1)):
            noise = noises[rng.integers(len(noises))]
            start = rng.integers(max(len(noise) - RATE, 0) + 1)
            loudness = rng.uniform(0, 1)
            sound = _of_one_second(noise[start : start + RATE] * loudness)
            samples.append((coefficients(sound), len(WORDS) + 1))


def _arrays(samples: Sequence[tuple[Array, int]]) -> tuple[Array, Array] | None:
    if not samples:
        return None
    x, y = zip(*samples, strict=True)
    return np.stack(x)[:, None].astype(np.float32), np.asarray(y)


def _sound(path: Path, *, whole: bool = False) -> Array:
    """Samples of a mono file of 16 bits and 16 kHz, -1 to 1; raises `UserError`."""
    try:
        with wave.open(str(path), "rb") as file:
            kind = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            count = file.getnframes()
            data = file.readframes(count)
    except (wave.Error, EOFError) as error:
        raise cut(path, str(error)) from error
    if kind != (1, 2, RATE):
        raise UserError(
            f"'{path}' has {kind[0]} channels, {8 * kind[1]} bits and {kind[2]} Hz, "
            f"expected 1, 16 and {RATE}"
        )
    if len(data) != 2 * count:
        raise cut(path, f"{len(data)} bytes of {2 * count}")
    sound = np.frombuffer(data, "<i2") / 32768
    return sound if whole else _of_one_second(sound)


def _of_one_second(sound: Array) -> Array:
    return np.pad(sound[:RATE], (0, max(RATE - len(sound), 0)))


def coefficients(sound: Array) -> Array:
    """Mel-frequency cepstral coefficients `[49, 10]` of a second."""
    starts = STEP * np.arange(FRAMES)[:, None]
    frames = sound[starts + np.arange(FRAME)] * np.hanning(FRAME + 1)[:-1]
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    bands = np.log(power @ _mel_bands().T + 1e-6)
    order = np.arange(COEFFICIENTS)[:, None] * (np.arange(BANDS) + 0.5) * np.pi / BANDS
    return bands @ np.cos(order).T * np.sqrt(2 / BANDS)


def _mel_bands() -> Array:
    """Triangles `[40, 257]` at equal distances on the mel scale."""
    low, high = (1127 * math.log1p(edge / 700) for edge in (LOWEST, HIGHEST))
    edges = 700 * np.expm1(np.linspace(low, high, BANDS + 2) / 1127)
    bins = np.fft.rfftfreq(512, 1 / RATE)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.clip(np.minimum(rising, falling), 0, None)
