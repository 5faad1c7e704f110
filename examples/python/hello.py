from wsframe import Connection, EventKind

# What a browser sends: the opening handshake of RFC 6455, and then "Hello" as text, masked.
READS = [
    b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
]

connection = Connection.server()
for data in READS:  # in a server: what was read from the socket
    for event in connection.receive(data):
        if event.kind is EventKind.TEXT:
            print("received:", event.text)
            connection.send(event.data, event.kind)
    print("to send:", connection.take(now_ms=0))  # in a server: what is written to the socket, and the time
