"""The WebSocket conversation, as a client of it would be written with the `websockets` package."""
import asyncio
import functools
import json
import time
import urllib.request

import jsonschema
import websockets


@functools.cache
def validator_of(url):
    """Of the frames that the server behind `url` says it sends."""
    with urllib.request.urlopen(url.replace("ws://", "http://") + "/schema", timeout=60) as answer:
        schema = json.load(answer)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


class StreamClient:
    """One connection; frames of each stream in their order, each checked by the server's schema."""

    def __init__(self, socket, schema):
        self.socket = socket
        self.schema = schema
        self.queues = {}
        self.breach = None
        self.reader = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, url, **options):
        options = {"subprotocols": ["souffleur.v1"], "max_size": None, "compression": None} | options
        schema = await asyncio.to_thread(validator_of, url)
        return cls(await websockets.connect(url, **options), schema)

    async def _read(self):
        try:
            async for message in self.socket:
                frame = json.loads(message)
                if self.schema:
                    self.schema.validate(frame)
                self.queue(frame.get("id", "")).put_nowait(frame)
        except websockets.ConnectionClosed:
            pass
        except jsonschema.ValidationError as breach:
            self.breach = breach
        finally:
            for queue in self.queues.values():
                queue.put_nowait({"type": "closed"})

    def queue(self, stream):
        return self.queues.setdefault(stream, asyncio.Queue())

    async def send(self, **frame):
        await self.socket.send(json.dumps(frame))

    async def next(self, stream="", timeout=60):
        frame = await asyncio.wait_for(self.queue(stream).get(), timeout)
        if self.breach:
            raise self.breach
        return frame

    async def frames(self, stream, timeout=180, seq=0, arrivals=None):
        """Frames of a stream up to the last of a turn that begins with `seq`; checks that it has no gap. When tokens arrived goes
        into `arrivals`."""
        collected = []
        while True:
            frame = await self.next(stream, timeout)
            assert frame.get("seq") == seq + len(collected), frame
            collected.append(frame)
            if arrivals is not None and frame["type"] == "delta":
                arrivals.append(time.monotonic())
            if frame["type"] in ("done", "error"):
                return collected

    def drop(self):
        """As a cable that is pulled: what is on the way is lost."""
        self.reader.cancel()
        self.socket.transport.abort()

    async def close(self):
        await self.socket.close()
        await self.reader
        if self.breach:
            raise self.breach


def text_of(frames):
    return "".join(frame["text"] for frame in frames if frame["type"] == "delta")


async def ask(client, stream, request, arrivals=None):
    """The stream's frames."""
    await client.send(type="generate", id=stream, **request)
    return await client.frames(stream, 120, arrivals=arrivals)


def tokens_of(frames):
    return [token["id"] for frame in frames if frame["type"] == "delta" for token in frame["tokens"]]


def origins_of(frames):
    return [token["origin"] for frame in frames if frame["type"] == "delta" for token in frame["tokens"]]
