#!/usr/bin/env python3
"""A server without a model that streams chats as OpenAI does, each token when it is due.

  paced_server.py FIRST_MS BETWEEN_MS      prints its port
"""
import asyncio
import json
import sys


def event(data):
    line = f"data: {data}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(line), line)


def chunk(choices, **more):
    return event(json.dumps({"object": "chat.completion.chunk", "choices": choices, **more}))


async def answer(reader, writer, first_s, between_s):
    head = await reader.readuntil(b"\r\n\r\n")
    begun = asyncio.get_running_loop().time()
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    n_tokens = json.loads(await reader.readexactly(length))["max_tokens"]
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
    for i in range(n_tokens):
        await asyncio.sleep(begun + first_s + i * between_s - asyncio.get_running_loop().time())
        writer.write(chunk([{"index": 0, "delta": {"content": f"t{i} "}, "finish_reason": None}]))
    writer.write(chunk([{"index": 0, "delta": {}, "finish_reason": "length"}])
                 + chunk([], usage={"prompt_tokens": 7, "completion_tokens": n_tokens}) + event("[DONE]") + b"0\r\n\r\n")
    await writer.drain()
    writer.close()


async def serve(first_ms, between_ms):
    server = await asyncio.start_server(lambda r, w: answer(r, w, first_ms / 1000, between_ms / 1000), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), float(sys.argv[2])))
