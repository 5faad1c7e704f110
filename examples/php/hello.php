<?php

require __DIR__ . '/../../bindings/php/autoload.php'; // with composer: vendor/autoload.php

use Wsframe\Connection;
use Wsframe\EventKind;

// What a browser sends: the opening handshake of RFC 6455, and then "Hello" as text, masked.
$reads = [
    "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        . "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
];

$connection = Connection::server();
foreach ($reads as $bytes) {                        // in a server: what was read from the socket
    foreach ($connection->receive($bytes) as $event) {
        if ($event->kind === EventKind::TEXT) {
            echo "received: $event->data\n";
            $connection->send($event->kind, $event->data);
        }
    }
    $output = $connection->take(nowMs: 0);          // in a server: to be written to the socket, and the time
    echo 'to send: ', addcslashes($output, "\0..\10\16..\37\177..\377"), "\n";
}
