"""The WebSocket conversation, as a client of it would be written with the `websockets` package."""
import asyncio
import json

import websockets


class StreamClient:
    """One connection; frames of each stream in their order."""

    def __init__(self, socket):
        self.socket = socket
        self.queues = {}
        self.reader = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, url, **options):
        options = {"subprotocols": ["souffleur.v1"], "max_size": None, "compression": None} | options
        return cls(await websockets.connect(url, **options))

    async def _read(self):
        try:
            async for message in self.socket:
                frame = json.loads(message)
                self.queue(frame.get("id", "")).put_nowait(frame)
        except websockets.ConnectionClosed:
            pass
        finally:
            for queue in self.queues.values():
                queue.put_nowait({"type": "closed"})

    def queue(self, stream):
        return self.queues.setdefault(stream, asyncio.Queue())

    async def send(self, **frame):
        await self.socket.send(json.dumps(frame))

    async def next(self, stream="", timeout=60):
        return await asyncio.wait_for(self.queue(stream).get(), timeout)

    async def frames(self, stream, timeout=180):
        """Frames of a stream up to its last; checks that seq has no gap."""
        collected = []
        while True:
            frame = await self.next(stream, timeout)
            assert frame.get("seq") == len(collected), frame
            collected.append(frame)
            if frame["type"] in ("done", "error"):
                return collected

    async def close(self):
        await self.socket.close()
        await self.reader


def text_of(frames):
    return "".join(frame["text"] for frame in frames if frame["type"] == "delta")


def tokens_of(frames):
    return [token["id"] for frame in frames if frame["type"] == "delta" for token in frame["tokens"]]


def origins_of(frames):
    return [token["origin"] for frame in frames if frame["type"] == "delta" for token in frame["tokens"]]
