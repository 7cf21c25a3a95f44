"""A relay before a server on a socket, which takes its time: a network as it is on a bad day."""

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Relay:
    """Where clients connect to; how many seconds the server's answers are late can be changed."""

    url: str
    seconds: float = 0.0


@contextmanager
def relayed(url: str) -> Iterator[Relay]:
    """A relay before the server at `unix://PATH`, until the block ends."""
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryDirectory(prefix="relay-") as folder:
        relay = Relay(f"unix://{folder}/socket")

        async def connected(near: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
            far, asked = await asyncio.open_unix_connection(url.removeprefix("unix://"))
            try:
                pumps = [_pump(near, asked, None), _pump(far, answers, relay)]
                tasks = [asyncio.ensure_future(pump) for pump in pumps]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                asked.close()
                answers.close()

        server = loop.run_until_complete(
            asyncio.start_unix_server(connected, Path(folder) / "socket")
        )
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        try:
            yield relay
        finally:
            loop.call_soon_threadsafe(server.close)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()


async def _pump(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, late: Relay | None
) -> None:
    try:
        while data := await source.read(65_536):
            if late is not None:
                await asyncio.sleep(late.seconds)
            sink.write(data)
            await sink.drain()
    except ConnectionError:
        return  # one side has gone: so does the other
