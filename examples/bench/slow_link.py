"""A link that is slow, where the kernel has no netem: a proxy whose bytes arrive after a delay, and only so many a second."""
import asyncio
import threading


class SlowLink:
    """Forwards a port of this machine to `target`; everything takes `delay_ms` each way, at most `bytes_per_s` leave it a second."""

    def __init__(self, target, delay_ms, bytes_per_s):
        self.target, self.delay_s, self.bytes_per_s = target, delay_ms / 1000, bytes_per_s
        self.loop, ready = asyncio.new_event_loop(), threading.Event()
        self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait()

    def _run(self, ready):
        async def listen():
            server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()

        self.loop.run_until_complete(listen())
        self.loop.run_forever()

    async def _accepted(self, reader, writer):
        far_reader, far_writer = await asyncio.open_connection(*self.target)
        await asyncio.gather(self._one_way(reader, far_writer), self._one_way(far_reader, writer))

    async def _one_way(self, reader, writer):
        under_way = asyncio.Queue()

        async def deliver():
            while chunk := await under_way.get():
                at, data = chunk
                await asyncio.sleep(max(0, at - self.loop.time()))
                writer.write(data)
            writer.close()

        arriving = asyncio.create_task(deliver())
        try:
            while data := await reader.read(4096):
                await asyncio.sleep(len(data) / self.bytes_per_s)
                under_way.put_nowait((self.loop.time() + self.delay_s, data))
        except ConnectionError:
            pass
        under_way.put_nowait(None)
        await arriving

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
