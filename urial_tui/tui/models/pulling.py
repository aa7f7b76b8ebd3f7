"""Makes the dialog of what is downloaded: of a model of the catalogue, or of an address."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

from urial_tui import paths
from urial_tui.engine.wire.protocol import Device, EngineOptions
from urial_tui.memory import memory_now
from urial_tui.models.addresses import HubAddress, parse_address
from urial_tui.models.overview import Listed
from urial_tui.models.quantisations import Quantisation, quantisations
from urial_tui.models.speed import expected_speed, load_speeds
from urial_tui.models.stores import hub
from urial_tui.models.verdict import fit_of_size
from urial_tui.tui.models.pull_screen import Find, Pullable, PullScreen


def pull_of_listed(
    listed: Listed,
    partner: Listed | None,
    options: EngineOptions,
    devices: Sequence[Device] | None,
) -> PullScreen:
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
    pullable = Pullable(
        title=entry.title,
        known=() if listed.is_here else (own,),
        partner=partner,
        licence=f"{entry.licence}, {entry.licence_url}",
        directory=_cache(),
        free=_free(_cache()),
    )
    find = _finder(entry.repository, entry.file, entry.name)
    return _screen(pullable, find, options, devices, entry.parameters)


def pull_of_address(
    address: str, options: EngineOptions, devices: Sequence[Device] | None
) -> PullScreen | str:
    """Of a repository; what `pull` takes, where the address names a file.

    Raises:
        ModelError: It is no address.
    """
    repository, _, file = address.removeprefix("hf.co/").partition(".gguf")
    if address.startswith("hf.co/") and repository.count("/") > 1 and not file:
        return address
    found = parse_address(address)
    if not isinstance(found, HubAddress):
        return address
    pullable = Pullable(
        title=found.repository,
        wanted=found.quant,
        directory=_cache(),
        free=_free(_cache()),
    )
    return _screen(pullable, _finder(found.repository), options, devices, "")


def _screen(
    pullable: Pullable,
    find: Find,
    options: EngineOptions,
    devices: Sequence[Device] | None,
    parameters: str,
) -> PullScreen:
    memory, speeds = memory_now(), load_speeds()
    return PullScreen(
        pullable,
        find,
        lambda one: fit_of_size(one.size, options, memory, parameters=parameters, devices=devices),
        lambda one: expected_speed(speeds, "", one.size, 0),
    )


def _finder(repository: str, entry_file: str = "", entry_name: str = "") -> Find:
    """What asks the hub for the files of a repository."""

    def find(ended: threading.Event) -> Sequence[Quantisation]:
        # Only this opens a connection, and needs what does.
        from urial_tui.models.connection import Cancelled
        from urial_tui.models.download import Downloader

        with Downloader() as downloader:
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


def _free(directory: Path) -> int | None:
    """Bytes that are free where a directory is or will be."""
    for path in (directory, *directory.parents, paths.home()):
        try:
            return shutil.disk_usage(path).free
        except OSError:
            continue
    return None
