"""
When everything happens in a network of processes: max-plus arithmetic on schedules.

An iteration starts one cycle after that before it, once the beats that it needs have
arrived and there is room for what it writes, wherever that goes. Room is reserved when
an iteration starts and becomes free when a buffer drops beats, so that nothing ever
waits within a process: times are the least solution of equations in maximum and plus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mase_opt.lib.streams.layout import Index
from mase_opt.lib.streams.schedule import Schedule

PASSES = 50
"""Rounds after which it is looked whether the network stands still."""
LARGE = 20_000
"""Events of a sample from which on no smaller buffers are tried."""
SEARCHED = 100_000_000
"""Times of events that are looked at to find smaller buffers; some seconds."""
TRIED = SEARCHED // 32
"""Of these as many for one size at first: where processes wait in turns, it can take
all."""
MORE = 4
"""How many times as many for what is left, once all have been tried."""
LOOKED_AT = 2_000
"""As many of them count for a station, however few events it has."""
FRAMES = 6
"""Samples in a row after which the interval between them is steady."""


class DeadlockError(Exception):
    """A network that stands still."""

    def __init__(self, waiting: Sequence[int]):
        super().__init__(f"processes {list(waiting)} wait for each other")
        self.waiting = tuple(waiting)
        """The stations that have not come to their end."""


class UnknownError(Exception):
    """It takes too long to find out."""


@dataclass(frozen=True)
class Buffer:
    """What a process reads: where it comes from, and how many beats can wait."""

    source: int
    """The number of the station that writes it."""
    capacity: int | None
    """None for as many as there are."""


@dataclass(frozen=True)
class Station:
    """A process, an input or an output of the network, reduced to its events."""

    iterations: int
    """Of a sample."""
    latency: int
    at: Index
    """The iterations in which something can happen, from 0."""
    writes: Index
    """Which of these write, in order."""
    needs: tuple[Index, ...] = ()
    """Per buffer: beats of the sample that each of them needs; 0 for none."""
    drops: tuple[tuple[Index, Index], ...] = ()
    """Per buffer: after which events, and how many beats are dropped by then."""
    first_drop: tuple[int, ...] = ()
    """Per buffer: what is dropped at the start; below 0 for places held in vain."""
    beats: tuple[int, ...] = ()
    """Per buffer: beats of a sample."""

    @staticmethod
    def of(schedule: Schedule) -> Station:
        """The events of a process."""
        count = schedule.iterations
        events = np.zeros(count, np.bool_)
        events[[0, -1]] = True
        events |= schedule.writes
        needs: list[Index] = []
        drops: list[Index] = []
        for read in schedule.reads:
            need, drop = schedule.needs(read), schedule.drops(read)
            events |= np.diff(need, prepend=0) > 0
            events[:-1] |= np.diff(drop) > 0
            needs.append(need)
            drops.append(np.append(drop, drop[0] + read.layout.beats))
        at = np.flatnonzero(events)
        after: list[tuple[Index, Index]] = []
        for drop in drops:
            changes = np.flatnonzero(np.diff(drop)[at] > 0)
            after.append((changes, drop[at[changes] + 1]))
        return Station(
            count,
            schedule.latency,
            at,
            np.flatnonzero(schedule.writes[at]),
            tuple(need[at] for need in needs),
            tuple(after),
            tuple(int(drop[0]) for drop in drops),
            tuple(read.layout.beats for read in schedule.reads),
        )

    @staticmethod
    def input(beats: int) -> Station:
        """An input of the network, which has a beat in every cycle."""
        every = np.arange(beats)
        return Station(beats, 0, every, every)

    @staticmethod
    def output(beats: int) -> Station:
        """An output of the network, from which a beat is taken in every cycle."""
        every = np.arange(beats)
        return Station(
            beats,
            0,
            every,
            every[:0],
            (every + 1,),
            ((every, every + 1),),
            (0,),
            (beats,),
        )


@dataclass(frozen=True)
class Times:
    """When the events of a network happen, in cycles from the first one on."""

    network: Network
    frames: int
    at: tuple[Index, ...]
    """Per station and event of all samples."""
    waits: _Waits
    """Which events waited for which."""

    def written(self, station: int) -> Index:
        """When the station has its writing iterations."""
        return self.at[station][_framed(self.network.stations[station], self.frames)]

    def ends(self, station: int) -> Index:
        """When the station is done with each sample."""
        return self.at[station].reshape(self.frames, -1)[:, -1]

    @property
    def interval(self) -> int:
        """
        Cycles from one sample to the next in the end, on the average, rounded up.

        At the outputs: what is before them may be some samples ahead at first.
        """
        first = min(2, self.frames - 1)
        spans = [
            -(-int(ends[-1] - ends[first - 1]) // (self.frames - first))
            for ends in map(self.ends, self.network.outputs)
        ]
        return max(spans)

    @property
    def latency(self) -> int:
        """Cycles from the offer of the first beat to the last output of one sample."""
        return max(int(self.ends(s)[0]) for s in self.network.outputs) + 1

    def occupancy(self, station: int, port: int) -> int:
        """The most beats for which a buffer has had room reserved."""
        network = self.network
        buffer = network.buffers[station][port]
        written = self.written(buffer.source)
        places, dropped = network.dropped(station, port, self.frames)
        times = self.at[station][places]
        before = np.searchsorted(times + 1, written, side="right")
        levels = np.concatenate([[network.stations[station].first_drop[port]], dropped])
        return int((np.arange(len(written)) + 1 - levels[before]).max(initial=1))


def _framed(station: Station, frames: int) -> Index:
    """The writing events of several samples."""
    count = len(station.at)
    return (np.arange(frames)[:, None] * count + station.writes).ravel()


@dataclass(frozen=True)
class Network:
    """Stations, those that write before those that read."""

    stations: tuple[Station, ...]
    buffers: tuple[tuple[Buffer, ...], ...]
    """What each of them reads."""
    pace: int = 0
    """If not 0: cycles over which inputs spread the beats of each sample."""

    @cached_property
    def readers(self) -> list[list[tuple[int, int]]]:
        """The station and the buffer of everything that reads a station."""
        found: list[list[tuple[int, int]]] = [[] for _ in self.stations]
        for station, buffers in enumerate(self.buffers):
            for port, buffer in enumerate(buffers):
                found[buffer.source].append((station, port))
        return found

    @cached_property
    def outputs(self) -> list[int]:
        """The stations that nothing reads."""
        return [s for s, readers in enumerate(self.readers) if not readers]

    @property
    def bound(self) -> int:
        """The cycles between samples that cannot be undercut."""
        return max(station.iterations for station in self.stations)

    def with_capacity(self, station: int, port: int, capacity: int) -> Network:
        """The same with a buffer of another size."""
        buffers = [list(of) for of in self.buffers]
        buffers[station][port] = replace(buffers[station][port], capacity=capacity)
        return replace(self, buffers=tuple(tuple(of) for of in buffers))

    def dropped(self, station: int, port: int, frames: int) -> tuple[Index, Index]:
        """After which events how many beats of a buffer have been dropped."""
        that = self.stations[station]
        events, counts = that.drops[port]
        frame = np.arange(frames)[:, None]
        places = (frame * len(that.at) + events).ravel()
        totals = (frame * that.beats[port] + counts).ravel()
        return places, totals

    def run(
        self, frames: int = FRAMES, before: Times | None = None, tried: int = TRIED
    ) -> Times:
        """
        The times of `frames` samples that come as fast as they are taken.

        `before` are those of the same network with buffers that are not smaller, from
        which it does not take long: raises `UnknownError` if this looks at more than
        `tried`. Raises `DeadlockError` if samples never come to an end.
        """
        solver = _Solver(self, frames, before)
        passes, start = 0, solver.waits.work
        while solver.sweep():
            passes += 1
            if before is not None and solver.waits.work > start + tried:
                raise UnknownError
            if passes == PASSES:
                self._check_progress(frames)
        return Times(self, frames, tuple(solver.times), solver.waits)

    def _check_progress(self, frames: int) -> None:
        """Raises `DeadlockError` if the samples never come to an end."""
        progress = _Progress(self, frames)
        while progress.step():
            pass
        if waiting := progress.waiting:
            raise DeadlockError(waiting)


class _Waits:
    """Which events of all samples wait for which, found when it is first asked for."""

    def __init__(self, network: Network, frames: int):
        self.network, self.frames = network, frames
        self.work = 0
        """Times of events that have been looked at."""
        self._arrivals: dict[tuple[int, int], tuple[Index, Index]] = {}
        self._rooms: dict[tuple[int, int, int], tuple[Index, Index]] = {}

    def arrivals(self, station: int, port: int) -> tuple[Index, Index]:
        """Events that need beats of a buffer, and those that write the last of them."""
        if (station, port) not in self._arrivals:
            that = self.network.stations[station]
            source = self.network.stations[self.network.buffers[station][port].source]
            frame = np.arange(self.frames)[:, None]
            needs = np.broadcast_to(that.needs[port], (self.frames, len(that.at)))
            which = np.flatnonzero(needs)
            beats = (frame * that.beats[port] + needs).ravel()[which] - 1
            written = _framed(source, self.frames)[beats]
            self._arrivals[station, port] = which, written
        return self._arrivals[station, port]

    def rooms(self, reader: int, port: int, capacity: int) -> tuple[Index, Index]:
        """
        Events that write into a buffer, and those that make room for each of them.

        Without those for which there is room at the start. Raises `DeadlockError` if
        there is never room.
        """
        key = reader, port, capacity
        if key not in self._rooms:
            writer = self.network.buffers[reader][port].source
            writes = _framed(self.network.stations[writer], self.frames)
            places, dropped = self.network.dropped(reader, port, self.frames)
            least = np.arange(len(writes)) - capacity + 1
            waits = least > self.network.stations[reader].first_drop[port]
            where = np.searchsorted(dropped, least[waits])
            if (where >= len(places)).any():
                raise DeadlockError([writer, reader])
            self._rooms[key] = writes[waits], places[where]
        return self._rooms[key]


class _Solver:
    """Raises all times until they fulfil every equation."""

    def __init__(self, network: Network, frames: int, before: Times | None):
        self.network, self.frames = network, frames
        self.waits = _Waits(network, frames) if before is None else before.waits
        self.forward = True
        self.slack: list[Index] = []
        self.times: list[Index] = []
        self.waiting: set[int] = set()
        """Stations of which a neighbour has changed."""
        for station, buffers in zip(
            self.network.stations, self.network.buffers, strict=True
        ):
            frame = np.arange(self.frames)[:, None]
            start = (frame * station.iterations + station.at).ravel()
            self.slack.append(start)
            times = start
            if self.network.pace and not buffers:
                beats = station.at * self.network.pace // station.iterations
                times = (frame * self.network.pace + beats).ravel()
            self.times.append(times.copy())
        self.waiting.update(range(len(self.times)))
        if before is not None:
            self.times = [times.copy() for times in before.at]
            self.waiting = {
                buffer.source
                for old, new in zip(
                    before.network.buffers, self.network.buffers, strict=True
                )
                for was, buffer in zip(old, new, strict=True)
                if was != buffer
            }

    def sweep(self) -> bool:
        """One round over all stations that may change; whether any has."""
        order = range(len(self.times))
        changed = False
        for station in order if self.forward else reversed(order):
            if station in self.waiting and self._update(station):
                changed = True
                self.waiting.update(b.source for b in self.network.buffers[station])
                self.waiting.update(r for r, _ in self.network.readers[station])
            self.waiting.discard(station)
        self.forward = not self.forward
        return changed

    def _update(self, station: int) -> bool:
        network, found = self.network, self.times[station]
        self.waits.work += len(found) + LOOKED_AT
        wanted = found.copy()
        for port, buffer in enumerate(network.buffers[station]):
            delay = network.stations[buffer.source].latency + 1
            which, written = self.waits.arrivals(station, port)
            arrivals = self.times[buffer.source][written] + delay
            wanted[which] = np.maximum(wanted[which], arrivals)
        for reader, port in network.readers[station]:
            capacity = network.buffers[reader][port].capacity
            if capacity is None:
                continue
            which, dropped = self.waits.rooms(reader, port, capacity)
            rooms = self.times[reader][dropped] + 1
            wanted[which] = np.maximum(wanted[which], rooms)
        slack = self.slack[station]
        wanted = slack + np.maximum.accumulate(wanted - slack)
        changed = bool((wanted != found).any())
        self.times[station] = wanted
        return changed


class _Progress:
    """How far stations come, whatever the time."""

    def __init__(self, network: Network, frames: int):
        self.network = network
        self.ends = [len(s.at) * frames for s in network.stations]
        self.done = [0] * len(self.ends)
        frame = np.arange(frames)[:, None]
        self.writes = [_framed(s, frames) for s in network.stations]
        self.needs = [
            [
                np.maximum.accumulate(
                    np.where(needs > 0, frame * beats + needs, 0).ravel()
                )
                for needs, beats in zip(s.needs, s.beats, strict=True)
            ]
            for s in network.stations
        ]
        self.drops = [
            [
                (
                    (frame * len(s.at) + events).ravel(),
                    (frame * beats + counts).ravel(),
                )
                for (events, counts), beats in zip(s.drops, s.beats, strict=True)
            ]
            for s in network.stations
        ]

    @property
    def waiting(self) -> list[int]:
        """The stations that are not at their end."""
        pairs = enumerate(zip(self.done, self.ends, strict=True))
        return [s for s, (done, end) in pairs if done < end]

    def step(self) -> bool:
        """Let every station go on as far as it can; whether one has."""
        before = list(self.done)
        for station in range(len(self.done)):
            self.done[station] = self._limit(station)
        return self.done != before

    def _limit(self, station: int) -> int:
        limit = self.ends[station]
        for port, buffer in enumerate(self.network.buffers[station]):
            arrived = int(
                np.searchsorted(self.writes[buffer.source], self.done[buffer.source])
            )
            needs = self.needs[station][port]
            limit = min(limit, int(np.searchsorted(needs, arrived, side="right")))
        for reader, port in self.network.readers[station]:
            capacity = self.network.buffers[reader][port].capacity
            if capacity is None:
                continue
            events, totals = self.drops[reader][port]
            past = int(np.searchsorted(events, self.done[reader]))
            first = self.network.stations[reader].first_drop[port]
            room = capacity + (int(totals[past - 1]) if past else first)
            if room < len(self.writes[station]):
                limit = min(limit, int(self.writes[station][max(room, 0)]))
        return limit


def minimal_capacities(network: Network, least: Sequence[Sequence[int]]) -> Network:
    """
    The same network with buffers as small as its interval allows.

    They hold what lies in them if samples come at the interval of the slowest station,
    and everything is written as late as its readers allow. If the network is not
    `LARGE`, smaller ones are then tried, until `SEARCHED`: if that suffices, one place
    less in any of them, and the interval would exceed the bound, or all would stand
    still. `least` are the sizes below which a buffer cannot be, by station.
    """
    paced = replace(
        network,
        pace=network.bound,
        buffers=tuple(
            tuple(replace(b, capacity=None) for b in of) for of in network.buffers
        ),
    )
    times = latest(paced.run())
    result = network
    for station, buffers in enumerate(network.buffers):
        for port in range(len(buffers)):
            size = max(times.occupancy(station, port), least[station][port])
            result = result.with_capacity(station, port, size)
    if sum(len(station.at) for station in network.stations) > LARGE:
        return result
    search = _Search(result.run(), TRIED)
    undecided = [(s, p) for s, of in enumerate(least) for p in range(len(of))]
    while undecided and not search.is_over:
        undecided = [
            (station, port)
            for station, port in undecided
            if not search.shrink(station, port, least[station][port])
        ]
        search.tried *= MORE
    return search.times.network


@dataclass
class _Search:
    """A search for smaller buffers."""

    times: Times
    """Those with the smallest that have been found."""
    tried: int

    @property
    def is_over(self) -> bool:
        """Whether enough has been looked at."""
        return self.times.waits.work >= SEARCHED

    def shrink(self, station: int, port: int, low: int) -> bool:
        """Make a buffer as small as possible; whether that has been decided."""
        high = self.times.network.buffers[station][port].capacity
        assert high is not None
        is_known = True
        # Mostly there is none that is smaller.
        middle = high - 1
        while low < high and not self.is_over:
            smaller = self.times.network.with_capacity(station, port, middle)
            low, previous = middle + 1, low
            try:
                times = smaller.run(before=self.times, tried=self.tried)
                if times.interval <= smaller.bound:
                    low, high, self.times = previous, middle, times
            except DeadlockError:
                pass
            except UnknownError:
                is_known = False
            middle = (low + high) // 2
        return is_known and not self.is_over


def latest(times: Times) -> Times:
    """The same samples, everything as late as the outputs of the network allow."""
    network, frames = times.network, times.frames
    found = list(times.at)
    frame = np.arange(frames)[:, None]
    for index in range(len(found) - 1, -1, -1):
        station, readers = network.stations[index], network.readers[index]
        if not readers:
            continue
        writes = _framed(station, frames)
        limits = np.full(len(found[index]), np.iinfo(np.int64).max // 2)
        # What is never read is written as before, and so is what follows it.
        limits[-1] = found[index][-1]
        for reader, port in readers:
            that = network.stations[reader]
            needs = that.needs[port]
            totals = np.where(needs > 0, frame * that.beats[port] + needs, 0).ravel()
            totals = np.maximum.accumulate(totals)
            first = np.searchsorted(totals, np.arange(len(writes)) + 1)
            read = first < len(totals)
            latest = found[reader][first[read]] - station.latency - 1
            limits[writes[read]] = np.minimum(limits[writes[read]], latest)
        start = (frame * station.iterations + station.at).ravel()
        slack = np.minimum.accumulate((limits - start)[::-1])[::-1]
        found[index] = np.maximum(start + slack, times.at[index])
    return replace(times, at=tuple(found))


def keeps_up(network: Network) -> bool:
    """Whether samples come at the interval that cannot be undercut."""
    try:
        return network.run().interval <= network.bound
    except DeadlockError:
        return False
