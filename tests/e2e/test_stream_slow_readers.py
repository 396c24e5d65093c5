"""Clients that do not read hold up nobody but themselves."""
import asyncio
import json
import socket

from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from stream_client import StreamClient, text_of, tokens_of
from waiting import wait_until

QUICK = {"max_tokens": 20, "temperature": 0, "ignore_eos": True}
LARGE = {"max_tokens": 2000, "temperature": 1, "ignore_eos": True, "messages": [{"role": "user", "content": "Go on"}],
         "logprobs": True, "top_logprobs": 20}


class DeafClient:
    """Asks, and takes nothing."""

    def __init__(self, server):
        protocol = ClientProtocol(parse_uri(server.stream_url))
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", server.port))
        protocol.send_request(protocol.connect())
        self.flush(protocol)
        while not protocol.handshake_exc and protocol.state.name == "CONNECTING":
            protocol.receive_data(self.socket.recv(1))
        protocol.send_text(json.dumps({"type": "generate", "id": "a", **LARGE}).encode())
        self.flush(protocol)

    def flush(self, protocol):
        self.socket.sendall(b"".join(protocol.data_to_send()))


async def ask(server, i):
    client = await StreamClient.connect(server.stream_url)
    await client.send(type="generate", id="a", prompt=f"Number {i} is", **QUICK)
    frames = await client.frames("a")
    await client.close()
    return tokens_of(frames), text_of(frames)


def test_twenty_deaf_clients_harm_nobody(start_server):
    server = start_server("smollm2", "--scheduler.max_running", "64")

    async def conversation():
        alone = [await ask(server, i) for i in range(4)]
        deaf = [DeafClient(server) for _ in range(20)]
        wait_until(lambda: json.loads(server.get("/souffleur/kv"))["sequences"] >= 20)
        assert await asyncio.gather(*(ask(server, i) for i in range(4))) == alone
        for one in deaf:
            one.socket.close()
        wait_until(lambda: json.loads(server.get("/souffleur/kv"))["sequences"] == 0)

    asyncio.run(asyncio.wait_for(conversation(), 120))
