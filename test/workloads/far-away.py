"""usage: far-away.py PORT HOST HOSTPORT MS

Passes TCP connections to PORT on to HOST, each byte MS milliseconds late in either direction.
"""

import asyncio
import sys

CHUNK_BYTES = 256 * 1024


async def carry(reader, writer, late):
    """One task reads, one writes what is due: nothing but time holds a byte back."""
    loop = asyncio.get_running_loop()
    due = asyncio.Queue()

    async def read():
        while data := await reader.read(CHUNK_BYTES):
            due.put_nowait((loop.time() + late, data))
        due.put_nowait((loop.time() + late, b""))

    async def write():
        while True:
            at, data = await due.get()
            await asyncio.sleep(max(0, at - loop.time()))
            if not data:
                break
            writer.write(data)
            await writer.drain()
        writer.close()

    await asyncio.gather(read(), write(), return_exceptions=True)


async def main(port, host, host_port, ms):
    async def pass_on(reader, writer):
        there, back = await asyncio.open_connection(host, host_port, limit=4 * CHUNK_BYTES)
        late = ms / 1000
        await asyncio.gather(carry(reader, back, late), carry(there, writer, late))

    server = await asyncio.start_server(pass_on, "127.0.0.1", port, limit=4 * CHUNK_BYTES)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
