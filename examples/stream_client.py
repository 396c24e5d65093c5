#!/usr/bin/env python3
"""Streams one answer over Souffleur's WebSocket, and takes its tokens 16 at a time. Needs `pip install websockets`.

  python3 examples/stream_client.py "Why is the sky blue?" [ws://127.0.0.1:8080/v1/stream]
"""
import asyncio
import json
import sys

import websockets


async def show(question, url):
    async with websockets.connect(url, subprotocols=["souffleur.v1"]) as socket:
        await socket.send(json.dumps({"type": "generate", "id": "a", "credit": 16, "max_tokens": 256,
                                      "messages": [{"role": "user", "content": question}]}))
        async for message in socket:
            frame = json.loads(message)
            if frame["type"] == "delta":
                print(frame["text"], end="", flush=True)
                if frame["tokens"]:
                    await socket.send(json.dumps({"type": "credit", "id": "a", "tokens": len(frame["tokens"])}))
            elif frame["type"] == "error":
                if frame["error"]["code"] == "unknown_stream":  # a credit that crossed the end
                    continue
                raise SystemExit(frame["error"]["message"])
            elif frame["type"] == "done":
                print(f"\n{frame['usage']['completion_tokens']} tokens, {frame['timings']['tokens_per_second']:.0f} a second")
                return


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    asyncio.run(show(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "ws://127.0.0.1:8080/v1/stream"))
