#!/usr/bin/env python3
"""What WebSocket connections cost that do nothing: the server's resident memory without and with them.

Needs the `websockets` package (tests/requirements.txt). "fresh": nothing was ever said; "used": each has had a ping and its
answer, so that buffers and windows of the compression are there.
"""
import argparse
import asyncio
import gc
import json
import resource

import websockets

from local_server import LocalServer


async def connect(server, n, compression):
    return [await websockets.connect(server.stream_url, subprotocols=["souffleur.v1"], compression=compression,
                                     ping_interval=None) for _ in range(n)]


async def measure(server, n, compression):
    warm = await connect(server, 20, compression)  # what the first ones cost is nobody's
    await asyncio.gather(*(socket.close() for socket in warm))
    before = server.resident_mib()
    sockets = await connect(server, n, compression)
    fresh = server.resident_mib()
    for _ in range(3):
        for socket in sockets:
            await socket.send(json.dumps({"type": "ping", "data": "x" * 100}))
            await socket.recv()
    used = server.resident_mib()
    await asyncio.gather(*(socket.close() for socket in sockets))
    gc.collect()
    print(f"{compression or 'not compressed':>15}: {before:.1f} MiB before; {n} connections: "
          f"fresh {(fresh - before) * 1024 / n:.1f} KiB each, used {(used - before) * 1024 / n:.1f} KiB each")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--connections", type=int, default=1000)
    chosen = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for compression in (None, "deflate"):
        with LocalServer(chosen.model, "--server.max_connections", str(chosen.connections + 100)) as server:
            asyncio.run(measure(server, chosen.connections, compression))


if __name__ == "__main__":
    main()
