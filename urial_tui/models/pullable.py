"""What there is to download: of a model of the catalogue, or of an address, by what fits here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from urial_tui.engine.wire.values import Device, EngineOptions
from urial_tui.memory import memory_now
from urial_tui.models.addresses import HubAddress, parse_address
from urial_tui.models.disk_space import free_space
from urial_tui.models.overview import Listed
from urial_tui.models.quantisations import Quantisation, quantisations
from urial_tui.models.speed import ExpectedSpeed, expected_speed, load_speeds, weights_read
from urial_tui.models.stores import hub
from urial_tui.models.verdict import Fit, fit_of_size

Find = Callable[[threading.Event], Sequence[Quantisation]]
"""Asks for what a repository has, in a thread, until the event is set; raises `UrialError`."""


class Pullable(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to choose from.

    `known`: what is known without asking. `partner`: that of the model, if it has one. `wanted`: a
    quantisation that was asked for by its name, else "". `directory`: where it goes, with `free`
    bytes, None where that is not known. `find` asks for more; `fit` guesses whether one fits;
    `speed` tells how fast one writes, None where that is not known.
    """

    title: str
    known: tuple[Quantisation, ...] = ()
    partner: Listed | None = None
    wanted: str = ""
    licence: str = ""
    directory: Path
    free: int | None = None
    find: Find
    fit: Callable[[Quantisation], Fit]
    speed: Callable[[Quantisation], ExpectedSpeed | None]


def pullable_of_listed(
    listed: Listed,
    partner: Listed | None,
    options: EngineOptions,
    devices: Sequence[Device] | None,
) -> Pullable:
    """Of a model of the catalogue; reads what the machine has.

    Args:
        listed: It, with an entry that has a file.
        partner: What stands beside it.
        options, devices: What it would be loaded with and computed on.
    """
    entry = listed.entry
    assert entry is not None
    own = Quantisation(
        name=entry.name,
        file=entry.file,
        quantisation=listed.quantisation or "its file",
        size=listed.size,
        usual=True,
    )
    return Pullable(
        title=entry.title,
        known=() if listed.is_here else (own,),
        partner=partner,
        licence=f"{entry.licence}, {entry.licence_url}",
        directory=_cache(),
        free=free_space(_cache()),
        find=_finder(entry.repository, entry.file, entry.name),
        fit=_fit(options, devices, entry.parameters),
        speed=_speed(options),
    )


def pullable_of_address(
    address: str, options: EngineOptions, devices: Sequence[Device] | None
) -> Pullable | str:
    """Of a repository; what `pull` takes, where the address names a file.

    Raises:
        ModelError: It is no address.
    """
    found = parse_address(address)
    if not isinstance(found, HubAddress):
        return address
    return Pullable(
        title=found.repository,
        wanted=found.quant,
        directory=_cache(),
        free=free_space(_cache()),
        find=_finder(found.repository),
        fit=_fit(options, devices, ""),
        speed=_speed(options),
    )


def _fit(
    options: EngineOptions, devices: Sequence[Device] | None, parameters: str
) -> Callable[[Quantisation], Fit]:
    memory = memory_now()
    return lambda one: fit_of_size(
        one.size, options, memory, parameters=parameters, devices=devices
    )


def _speed(options: EngineOptions) -> Callable[[Quantisation], ExpectedSpeed | None]:
    speeds = load_speeds(options)
    return lambda one: expected_speed(
        speeds, "", weights_read(one.size, f"{one.name} {one.file}"), 0
    )


def _finder(repository: str, entry_file: str = "", entry_name: str = "") -> Find:
    """What asks the hub for the files of a repository."""

    def find(ended: threading.Event) -> Sequence[Quantisation]:
        # Only this opens a connection, and needs what does.
        from urial_tui.models.attempts import Limits
        from urial_tui.models.connection import Cancelled
        from urial_tui.models.download import Downloader

        # An empty list is looked at meanwhile: it is asked thrice, not as often as for a file.
        with Downloader(limits=Limits(attempts=3)) as downloader:
            done = threading.Event()

            def watch() -> None:
                while not (done.is_set() or ended.wait(0.2)):
                    pass
                downloader.cancel()

            watcher = threading.Thread(target=watch, daemon=True)
            watcher.start()
            try:
                files = downloader.files(repository)
            except Cancelled:
                return ()
            finally:
                done.set()
                watcher.join()
        return quantisations(repository, files, entry_file, entry_name)

    return find


def _cache() -> Path:
    return hub.directories()[0]
