"""RPC servers: addresses, greeting, deaths, placement; with a build that has RPC, real servers."""

from __future__ import annotations

import contextlib
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from tests import rpc_server
from tests.scripted import INFO, ScriptedEngine
from tests.test_preamble_store import _key
from urial_tui.doctor.finding import Fact
from urial_tui.doctor.servers import servers as examined
from urial_tui.engine.client.death import Moment, explained_death
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.loads import Loads
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.commands import Generate, LoadModel, Unload
from urial_tui.engine.wire.events import (
    Event,
    Finished,
    Loaded,
    Notice,
    PreambleReady,
    PrefillProgress,
    Probabilities,
    TextDelta,
    Unloaded,
)
from urial_tui.engine.wire.server_address import mistake_among, mistake_in, whereabouts
from urial_tui.engine.wire.server_probe import server_devices, silent, unreachable
from urial_tui.engine.wire.values import Device, DeviceLayers, EngineOptions, TextSegment
from urial_tui.engine.wire.worker_log import WorkerLog
from urial_tui.errors import EngineDied, EngineError, SettingsError
from urial_tui.settings import described, engine_options, parse_settings

GIB = 1 << 30
LOST = "/src/ggml-rpc/ggml-rpc.cpp:566: Remote RPC server crashed or returned malformed response\n"

# -- addresses and settings --------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["127.0.0.1:50052", "box:1", "box.example.org:65535", "a-b_c.d:9", "10.0.0.2:50052"]
)
def test_a_name_or_number_with_a_port_is_an_address(address: str) -> None:
    assert mistake_in(address) == ""


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "not HOST:PORT"),
        ("box", "not HOST:PORT"),
        (":50052", "not HOST:PORT"),
        ("box:", "not between 1 and 65535"),
        ("box:0", "not between 1 and 65535"),
        ("box:65536", "not between 1 and 65535"),
        ("box:५", "not between 1 and 65535"),
        ("box:-1", "not between 1 and 65535"),
        ("box: 1", "not between 1 and 65535"),
        ("[::1]:50052", "no IPv4 address"),
        ("1.2.3:4", "no IPv4 address"),
        ("999.1.1.1:4", "no IPv4 address"),
        ("-box:1", "no name of a machine"),
        ("a b:1", "no name of a machine"),
        ("box/x:1", "no name of a machine"),
        ("\x1b[31mbox:1", "no name of a machine"),
        ("a" * 64 + ":1", "no name of a machine"),
        ("a." * 200 + "b:1", "no name of a machine"),
        ("user@box:1", "no name of a machine"),
    ],
)
def test_what_is_no_address_is_refused_in_a_clause(address: str, words: str) -> None:
    assert words in mistake_in(address)
    assert "\x1b" not in mistake_in(address)


def test_servers_are_counted_and_named_once() -> None:
    assert mistake_among([f"box:{port}" for port in range(1, 17)]) == ""
    assert "takes 16" in mistake_among([f"box:{port}" for port in range(1, 18)])
    assert "twice" in mistake_among(["box:1", "BOX:1"])


def test_the_setting_is_checked_and_goes_to_the_engine() -> None:
    settings = parse_settings('[engine]\nrpc = ["box:50052", "10.0.0.2:50052"]')
    assert engine_options(settings).servers == ("box:50052", "10.0.0.2:50052")
    assert engine_options(parse_settings("")).servers == ()
    with pytest.raises(SettingsError, match=r"engine\.rpc holds a mistake: .*not HOST:PORT"):
        parse_settings('[engine]\nrpc = ["box"]')


def test_addresses_are_typed_with_commas_for_they_hold_colons() -> None:
    (setting,) = [each for each in described() if each.key == "engine.rpc"]
    assert setting.read(" box:1, 10.0.0.2:2 ,") == ("box:1", "10.0.0.2:2")
    assert setting.read(setting.typed(("box:1", "b:2"))) == ("box:1", "b:2")
    assert "trusted" in setting.about


def test_no_server_is_asked_for_a_model_that_stays_on_the_processor() -> None:
    options = EngineOptions(gpu_layers=0, rpc=("box:1",))
    assert options.servers == ()
    assert EngineOptions(rpc=("box:1",)).layers_on_cards == 0
    assert EngineOptions().layers_on_cards == -1


# -- greeting ------------------------------------------------------------------------------


def framed(data: bytes) -> bytes:
    return struct.pack("<Q", len(data)) + data


GREETING = framed(bytes([7, 0, 0, 0]) + bytes(24))


def answers(*replies: bytes) -> Callable[[socket.socket], None]:
    """What a server does with a client: a reply to each request."""

    def serve(line: socket.socket) -> None:
        for reply in replies:
            head = b""
            while len(head) < 9:
                if not (part := line.recv(9 - len(head))):
                    return
                head += part
            (left,) = struct.unpack("<Q", head[1:])
            while left:
                left -= len(line.recv(left))
            line.sendall(reply)

    return serve


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket], None] | None) -> Iterator[str]:
    """A listener on this machine; one that serves nobody takes connections all the same."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            with contextlib.suppress(OSError):
                line, _ = server.accept()
                with line:
                    assert serve is not None
                    serve(line)

        thread = threading.Thread(target=run, daemon=True)
        if serve is not None:
            thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        if serve is not None:
            thread.join(5)


def test_a_server_tells_its_devices_and_their_memory() -> None:
    serve = answers(
        GREETING,
        framed(struct.pack("<I", 2)),
        framed(struct.pack("<QQ", GIB, 2 * GIB)),
        framed(struct.pack("<QQ", 2**64 - 1, 2**64 - 1)),
    )
    with listening(serve) as address:
        first, second = server_devices([address])
    assert (first.memory_free, first.memory_total) == (GIB, 2 * GIB)
    assert first.server == second.server == address
    assert first.kind == "gpu"
    assert second.memory_total == 1 << 60, "an absurd number is bounded"


@pytest.mark.parametrize(
    ("serve", "words"),
    [
        pytest.param(answers(b"HTTP/1.1 400 Bad"), "no RPC server", id="another protocol"),
        pytest.param(answers(framed(b"abc")), "no RPC server", id="a short greeting"),
        pytest.param(answers(), "no RPC server", id="hangs up"),
        pytest.param(
            answers(framed(bytes([6, 3, 0, 0]) + bytes(24))), "speaks version 6.3", id="older"
        ),
        pytest.param(
            answers(framed(bytes([7, 9, 0, 0]) + bytes(24))), "speaks version 7.9", id="newer"
        ),
        pytest.param(
            answers(GREETING, framed(struct.pack("<I", 2**32 - 1))),
            "says that it has 4294967295 devices",
            id="too many devices",
        ),
        pytest.param(answers(GREETING, framed(struct.pack("<I", 0))), "has 0 devices", id="none"),
    ],
)
def test_what_is_no_server_for_this_engine_is_said(
    serve: Callable[[socket.socket], None], words: str
) -> None:
    with listening(serve) as address, pytest.raises(EngineError, match=words) as caught:
        server_devices([address])
    assert address in caught.value.message
    assert "engine.rpc" in caught.value.hint or "same llama.cpp" in caught.value.hint


def test_a_server_that_serves_another_is_not_waited_for() -> None:
    with listening(None) as address, pytest.raises(EngineError, match="one at a time"):
        server_devices([address], limit_s=0.05)


def test_of_several_servers_the_silent_one_is_found() -> None:
    serve = answers(GREETING, framed(struct.pack("<I", 1)), framed(struct.pack("<QQ", GIB, GIB)))
    with listening(serve) as working, listening(None) as hanging:
        assert silent([hanging, working], limit_s=0.3) == (hanging,)


def test_one_who_was_given_up_does_not_hang_up_on_a_server() -> None:
    """A server that writes to who has gone is ended by the system."""
    free, served = threading.Event(), threading.Event()

    def serve(line: socket.socket) -> None:
        free.wait(10)
        answers(GREETING, framed(struct.pack("<I", 1)), framed(struct.pack("<QQ", GIB, GIB)))(line)
        assert line.recv(1) == b""
        served.set()

    with listening(serve) as address:
        with pytest.raises(EngineError, match="one at a time"):
            server_devices([address], limit_s=0.05)
        free.set()
        assert served.wait(10)


def test_a_server_that_is_not_there_is_named() -> None:
    with listening(None) as address:
        pass
    with pytest.raises(EngineError, match="can't be reached: connection refused") as caught:
        server_devices([address])
    assert address in caught.value.message
    assert "ggml-rpc-server" in caught.value.hint
    with listening(None) as other:
        assert unreachable([address, other]) == (address,)


def test_a_name_that_nobody_knows_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_arguments: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(EngineError, match="box:1 can't be found: Name or service not known"):
        server_devices(["box:1"])


def test_a_name_that_is_looked_up_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()

    def look(*_arguments: object) -> None:
        done.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure")

    monkeypatch.setattr(socket, "getaddrinfo", look)
    with pytest.raises(EngineError, match="box:1 can't be reached"):
        server_devices(["box:1"], limit_s=0.05)
    done.set()


# -- ends ----------------------------------------------------------------------------------


def death(
    tmp_path: Path, words: str, moment: Moment, gone: Sequence[str], code: int = -signal.SIGABRT
) -> EngineDied:
    log = WorkerLog(tmp_path / "engine-1.log")
    log.file.unlink(missing_ok=True)
    log.open().close()
    log.file.write_text(words)
    return explained_death(code, moment, log, lambda _servers: gone, lambda _servers: gone)


def test_a_server_that_ended_is_named_among_several(tmp_path: Path) -> None:
    moment = Moment(servers=("a:1", "b:2"))
    error = death(tmp_path, LOST, moment, ["b:2"])
    assert error.message == (
        "The engine stopped: the RPC server b:2 ended, or can't be reached any more."
    )
    assert "nothing of the conversation is lost" in error.hint
    assert "hung up" in death(tmp_path, LOST, moment, []).message
    assert "one of the RPC servers a:1 and b:2" in death(tmp_path, LOST, moment, []).message
    assert "servers a:1 and b:2 ended" in death(tmp_path, LOST, moment, ["a:1", "b:2"]).message


def test_a_worker_that_waits_for_a_server_is_ended_with_its_name(tmp_path: Path) -> None:
    error = death(tmp_path, "", Moment(servers=("a:1",), silent_for=60.0), [], -signal.SIGKILL)
    assert "waited for the RPC server a:1" in error.message
    assert "after 60 s" in error.message
    moment = Moment(servers=("a:1", "b:2"), silent_for=60.0)
    assert "server b:2 and" in death(tmp_path, "", moment, ["b:2"], -signal.SIGKILL).message
    assert "servers a:1 and b:2 and" in death(tmp_path, "", moment, [], -signal.SIGKILL).message


def test_another_death_beside_servers_is_what_it_is(tmp_path: Path) -> None:
    error = death(tmp_path, "out of cells\n", Moment(servers=("a:1",)), [])
    assert "SIGABRT" in error.message
    assert "RPC" not in error.message
    assert "RPC server" not in death(tmp_path, "", Moment(silent_for=9.0), []).message


def test_the_servers_of_what_is_loaded_are_known_at_the_end() -> None:
    def load(handle: int, servers: tuple[str, ...]) -> LoadModel:
        return LoadModel(id=1, model=handle, path="x", options=EngineOptions(rpc=servers))

    loads, loaded = Loads(), Loaded(id=1, info=INFO, load_s=0.0)
    loads.saw(load(1, ("a:1",)), loaded)
    loads.saw(load(2, ("b:2",)), loaded)
    loads.saw(Unload(id=2, model=1), Unloaded(id=2))
    turns = ((TextSegment(text="?"),),)
    assert loads.ended(Generate(id=3, model=2, preamble=(), turns=turns)).servers == ("b:2",)
    assert loads.ended(None).servers == ()
    assert loads.ended(load(3, ("c:3",))).servers == ("c:3",)


# -- where layers are ------------------------------------------------------------------------


def test_the_placement_is_told_in_words() -> None:
    placement = (
        DeviceLayers(device="RPC0", layers=8, server="box:1"),
        DeviceLayers(device="RPC1", layers=2, server="box:1"),
        DeviceLayers(device="CUDA0", layers=4),
        DeviceLayers(device="CPU", layers=3),
    )
    info = msgspec.structs.replace(INFO, placement=placement)
    assert info.placement_in_words == "layers: 10 on box:1, 4 on CUDA0, 3 here"
    assert INFO.placement_in_words == ""


def test_servers_are_counted_where_there_is_little_room() -> None:
    placement = (
        DeviceLayers(device="RPC0", layers=8, server="box:1"),
        DeviceLayers(device="RPC1", layers=2, server="box:1"),
        DeviceLayers(device="CPU", layers=3),
    )
    info = msgspec.structs.replace(INFO, placement=placement)
    assert info.servers == ("box:1",)
    assert info.servers_in_words == "on 1 server"
    assert (INFO.servers, INFO.servers_in_words) == ((), "")


def test_what_leaves_the_machine_is_not_called_local() -> None:
    assert whereabouts(()) == "Everything runs on this machine."
    assert "box:1 and b:2" in whereabouts(("box:1", "b:2"))
    assert "this machine" not in whereabouts(("box:1",))


def test_a_preamble_s_state_belongs_to_its_placement() -> None:
    here = (DeviceLayers(device="RPC0", layers=2, server="a:1"),)
    there = (DeviceLayers(device="RPC0", layers=2, server="b:1"),)
    keys = {_key(placement=placement).digest() for placement in ((), here, there)}
    assert len(keys) == 3


# -- the doctor ------------------------------------------------------------------------------


def test_without_servers_nothing_is_asked() -> None:
    def never(_cache: Path | None) -> Engine:
        raise AssertionError("an engine was started")

    (fact,) = examined(never, lambda: ())
    assert fact == Fact("none: no layer of a model leaves this machine")


def test_a_build_without_rpc_is_bad_and_says_how_to_build_one() -> None:
    warning, bad = examined(lambda _: ScriptedEngine(), lambda: ("box:1",))
    assert warning.state == "warning"
    assert "not encrypted" in warning.todo
    assert bad.state == "bad"
    assert "CMAKE_ARGS=-DGGML_RPC=ON make setup" in bad.todo


def test_servers_are_told_with_memory_and_what_they_get() -> None:
    def make(_cache: Path | None) -> Engine:
        placement = (DeviceLayers(device="RPC0", layers=2, server="box:1"),)
        engine = ScriptedEngine(msgspec.structs.replace(INFO, placement=placement))
        engine.backend_names = ("CPU", "RPC")
        engine.server_devices = (
            Device(
                name="RPC0",
                description="box:1",
                kind="gpu",
                memory_total=8 * GIB,
                memory_free=6 * GIB,
                server="box:1",
            ),
        )
        return engine

    found = [fact.found for fact in examined(make, lambda: ("box:1",))]
    assert found[1] == "RPC0 at box:1: 8.59 GB, 6.44 GB of it free"
    assert "layers: 2 on box:1" in found[2]


# -- a real worker -----------------------------------------------------------------------------

PREAMBLE = (TextSegment(text="A text about rivers, hills and the sea. " * 30),)
TURNS = ((TextSegment(text="What is it about?"),),)

with_rpc = pytest.mark.skipif(
    not rpc_server.is_built_in(),
    reason="this build of llama.cpp has no RPC: CMAKE_ARGS=-DGGML_RPC=ON make setup",
)


@pytest.mark.skipif(rpc_server.is_built_in(), reason="this build of llama.cpp has RPC")
def test_a_build_without_rpc_refuses_the_setting_with_the_command(llama_gguf: Path) -> None:
    with Engine() as engine:
        for ask in (
            lambda: engine.load(llama_gguf, options=EngineOptions(rpc=("box:1",))).result(),
            lambda: engine.devices(("box:1",)),
        ):
            with pytest.raises(EngineError, match="can't use RPC servers") as caught:
                ask()
            assert "CMAKE_ARGS=-DGGML_RPC=ON make setup" in caught.value.hint
        options = EngineOptions(n_ctx=256, gpu_layers=0, rpc=("box:1",))
        assert engine.load(llama_gguf, options=options).result().info.placement == ()


def answer(model: Model) -> tuple[tuple[int, ...], dict[int, float], str]:
    """The ids of a greedy answer, their log probabilities, and where the preamble came from."""
    source, told = "", list[tuple[int, float]]()
    call = model.generate(preamble=PREAMBLE, turns=TURNS, max_tokens=24, logprobs=1)
    for event in call:
        if isinstance(event, PreambleReady):
            source = event.source
        elif isinstance(event, Probabilities):
            told += zip(event.ids, event.logps, strict=True)
    logps = {place: logp for place, (_, logp) in enumerate(told)}
    return call.result().ids, logps, source


@with_rpc
def test_two_servers_give_the_answer_of_one_machine(llama_gguf: Path, tmp_path: Path) -> None:
    with rpc_server.serving(2) as servers, Engine(cache_dir=tmp_path) as engine:
        addresses = tuple(server.address for server in servers)
        devices = engine.devices(addresses)
        assert [device.server for device in devices[:2]] == list(addresses)
        assert all(device.memory_free > 0 for device in devices[:2])
        call = engine.load(llama_gguf, options=EngineOptions(n_ctx=1024, rpc=addresses))
        notices = [event.message for event in call if isinstance(event, Notice)]
        assert any("not encrypted" in message for message in notices)
        remote = call.result()
        assert {one.server for one in remote.info.placement} == set(addresses)
        assert sum(one.layers for one in remote.info.placement) == remote.info.n_layer + 1
        local = engine.load(llama_gguf, options=EngineOptions(n_ctx=1024)).result()
        assert local.info.placement == ()
        far, near = answer(remote), answer(local)
        assert far[0] == near[0]
        assert far[1] == pytest.approx(near[1], abs=1e-3)
        # A state is kept for its placement alone, and found again for it.
        assert (far[2], near[2]) == ("computed", "computed")
        remote.unload().result()
        again = engine.load(llama_gguf, options=EngineOptions(n_ctx=1024, rpc=addresses)).result()
        restored = answer(again)
        assert restored[2] == "disk"
        assert restored[:2] == far[:2]


@with_rpc
def test_a_server_serves_one_engine_at_a_time(
    llama_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = EngineOptions(n_ctx=256)
    with rpc_server.serving(1) as (server,), Engine() as first:
        options = EngineOptions(n_ctx=256, rpc=(server.address,))
        model = first.load(llama_gguf, options=options).result()
        with pytest.raises(EngineError, match="one at a time"):
            server_devices([server.address], limit_s=0.2)
        # What holds a model there already may load another one.
        other = first.load(llama_gguf, options=EngineOptions(n_ctx=512, rpc=(server.address,)))
        other.result().unload().result()
        model.unload().result()
        with Engine() as second:
            assert second.load(llama_gguf, options=options).result().info.placement


@with_rpc
@pytest.mark.parametrize("kind", [PrefillProgress, TextDelta], ids=["prefill", "decode"])
def test_a_server_that_dies_is_one_sentence_with_its_name(
    llama_gguf: Path, kind: type[Event]
) -> None:
    with rpc_server.serving(2) as servers, Engine() as engine:
        addresses = tuple(server.address for server in servers)
        model = engine.load(llama_gguf, options=EngineOptions(n_ctx=1024, rpc=addresses)).result()
        call = model.generate(preamble=PREAMBLE, turns=TURNS, max_tokens=400)
        with pytest.raises(EngineDied) as caught:  # noqa: PT012
            for event in call:
                if isinstance(event, kind):
                    servers[1].kill()
                assert not isinstance(event, Finished)
        assert servers[1].address in caught.value.message
        assert servers[0].address not in caught.value.message
        assert "nothing of the conversation is lost" in caught.value.hint
        with pytest.raises(EngineError, match="can't be reached: connection refused"):
            engine.load(llama_gguf, options=EngineOptions(n_ctx=1024, rpc=addresses)).result()
        # Without it all goes on.
        left = EngineOptions(n_ctx=1024, rpc=addresses[:1])
        assert len(answer(engine.load(llama_gguf, options=left).result())[0]) == 24
