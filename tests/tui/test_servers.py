"""RPC servers in the application: where layers are, and one that dies while it is needed."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests import rpc_server
from tests.scripted import INFO, ScriptedEngine
from tests.test_rpc import with_rpc
from tests.tui.conftest import Chatting, Found
from urial_tui.chat.store import Store
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.values import DeviceLayers
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.settings import ChatSettings, EngineSettings, Settings


async def test_the_status_says_where_the_layers_are(
    chatting: Chatting, engine: ScriptedEngine
) -> None:
    placement = (
        DeviceLayers(device="RPC0", layers=2, server="box:1"),
        DeviceLayers(device="CPU", layers=1),
    )
    engine.loadable = msgspec.structs.replace(INFO, placement=placement)
    async with chatting(size=(120, 24)) as chat:
        assert "layers: 2 on box:1, 1 here" in chat.status


async def test_at_80_columns_the_status_says_at_least_on_how_many_servers(
    chatting: Chatting, engine: ScriptedEngine
) -> None:
    placement = (
        DeviceLayers(device="RPC0", layers=10, server="127.0.0.1:50052"),
        DeviceLayers(device="RPC1", layers=9, server="127.0.0.1:50053"),
    )
    engine.loadable = msgspec.structs.replace(INFO, placement=placement)
    async with chatting() as chat:
        assert "on 2 servers" in chat.status
        assert "layers" not in chat.status


async def test_the_welcome_does_not_call_servers_this_machine(
    chatting: Chatting, engine: ScriptedEngine
) -> None:
    placement = (DeviceLayers(device="RPC0", layers=2, server="box:1"),)
    engine.loadable = msgspec.structs.replace(INFO, placement=placement)
    async with chatting() as chat:
        assert chat.shows("box:1, unencrypted")
        assert not chat.shows("Everything runs on this machine")


async def test_nothing_is_said_of_layers_that_are_all_here(chatting: Chatting) -> None:
    async with chatting(size=(120, 24)) as chat:
        assert "layers" not in chat.status


@with_rpc
async def test_a_server_that_dies_is_told_and_the_conversation_stays(
    chatting: Chatting, llama_gguf: Path, store: Store
) -> None:
    with rpc_server.serving(2) as servers:
        addresses = tuple(server.address for server in servers)
        real = {
            "engine_factory": Engine,
            "find_model": lambda name, progress: Found(path=llama_gguf),
            "preamble": find_preamble("zero-shot"),
            "settings": Settings(
                chat=ChatSettings(max_tokens=2000),
                engine=EngineSettings(context=4096, rpc=addresses),
            ),
        }
        async with chatting(size=(120, 24), **real) as chat:
            assert addresses[1] in chat.status
            # An answer that it hangs in can't end before.
            servers[1].pause()
            await chat.asks("kept")
            await chat.until(
                lambda: any(
                    turn.text == "kept"
                    for record in store.conversations()
                    for turn in store.turns(record.id)
                ),
            )
            servers[1].kill()
            await chat.status_reads("no model")
            assert chat.shows(addresses[1])
            assert chat.shows("kept")
            (record,) = store.conversations()
            assert next(turn.text for turn in store.turns(record.id)) == "kept"
