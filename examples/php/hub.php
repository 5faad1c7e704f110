<?php

/*
 * A WebSocket server that sends each message back, for as many clients as there are descriptors.
 *
 *     php hub.php [port]
 *
 * The address is printed. SIGTERM and Ctrl-C close the connections with 1001, and end it.
 */

require __DIR__ . '/../../bindings/php/autoload.php'; // with Composer: vendor/autoload.php

use Wsframe\Config;
use Wsframe\Peer;
use Wsframe\Server;

$server = new Server(new Config(deflate: true, maxInflatedLen: 16 << 20));
$server->on('message', fn (Peer $peer, string $data, int $kind) => $peer->send($data, $kind));
$port = $server->listen('127.0.0.1:' . ($argv[1] ?? 8000));
echo "ws://127.0.0.1:$port/\n";
$server->run();
