<?php

/*
 * A chat with a room for each path, in which everybody has the name of ?name=. Usage as hub.php.
 */

require __DIR__ . '/../../bindings/php/autoload.php'; // with Composer: vendor/autoload.php

use Wsframe\Config;
use Wsframe\Opcode;
use Wsframe\Peer;
use Wsframe\Server;

$server = new Server(new Config(deflate: true, maxMessageLen: 64 << 10));
$server->on('request', function (Peer $peer): void {
    [$room, $query] = explode('?', $peer->target(), 2) + [1 => ''];
    parse_str($query, $values);
    $name = $values['name'] ?? null;
    if (!is_string($name) || preg_match('/^\w{1,20}$/Du', $name) !== 1) {
        $peer->respond(403, "Add your name to the address: ?name=...\n");
    }
    $peer->data = ['room' => $room, 'name' => $name];
});
$server->on('open', function (Peer $peer) use ($server): void {
    $peer->subscribe($peer->data['room']);
    $server->publish($peer->data['room'], "{$peer->data['name']} is here");
});
$server->on('message', function (Peer $peer, string $data, int $kind): void {
    if ($kind === Opcode::TEXT) {
        $peer->publish($peer->data['room'], "{$peer->data['name']}: $data");
    }
});
$server->on('close', function (Peer $peer) use ($server): void {
    $server->publish($peer->data['room'], "{$peer->data['name']} has left");
});
$port = $server->listen('127.0.0.1:' . ($argv[1] ?? 8000));
echo "ws://127.0.0.1:$port/\n";
$server->run();
