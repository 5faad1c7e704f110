"""A server with asyncio that sends each message back: python3 examples/python/asyncio_echo.py [PORT]"""

import asyncio
import sys

from wsframe.asyncio import serve


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def main(port):
    async with serve(echo, "127.0.0.1", port) as server:
        address, port = server.sockets[0].getsockname()
        print(f"ws://{address}:{port}/", flush=True)
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else 8080))
