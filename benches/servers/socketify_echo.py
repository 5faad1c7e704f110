"""An echo server: uWebSockets through socketify, for turn.py."""

from socketify import App, AppListenOptions, CompressOptions, OpCode, WebSocket


def echo(socket: WebSocket, message: "str | bytes", opcode: OpCode) -> None:
    socket.send(message, opcode)


app = App()
app.ws(
    "/*",
    {
        "compression": CompressOptions.DISABLED,
        "max_payload_length": 16 << 20,
        "max_backpressure": 64 << 20,
        "message": echo,
    },
)
app.listen(AppListenOptions(host="127.0.0.1"), lambda config: print(config.port, flush=True))
app.run()
