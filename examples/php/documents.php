<?php

/*
 * Both servers of the documents on Server: what server.php does with a loop of its own, but for the page and its chat.
 *
 *     php documents.php [RESOLUTION-PORT [WORKS-PORT]]
 *
 * The ports are 4000 and 8002; 0 lets the system choose. The addresses are printed. SIGTERM and Ctrl-C close the connections
 * with 1001, and end it.
 */

require __DIR__ . '/../../bindings/php/autoload.php'; // with Composer: vendor/autoload.php

use Wsframe\Config;
use Wsframe\Peer;
use Wsframe\Server;

$answers = [
    // "Websocket Protocol resolution": its frame() sends pieces of 125 bytes. Long messages would have too many of them.
    '/' => function (Peer $peer, string $data, int $kind): void {
        $pieces = str_split($data, max(125, intdiv(strlen($data), 1000)));
        $last = array_pop($pieces);
        foreach ($pieces as $piece) {
            $peer->send($piece, $kind, more: true);
        }
        $peer->send($last ?? '', $kind);
    },
    // "WebSocket--How it works": each message comes back as it was.
    '/xxoo' => fn (Peer $peer, string $data, int $kind) => $peer->send($data, $kind),
];

$server = new Server(new Config(deflate: true, maxInflatedLen: 16 << 20, highWaterLen: 32 << 20));
$server->on('request', function (Peer $peer) use ($answers): void {
    $path = strtok($peer->target(), '?');
    $peer->data = $answers[$path] ?? null;
    if ($peer->data === null) {
        $peer->respond(404, "There is nothing at $path\n");
    }
});
$server->on('message', fn (Peer $peer, string $data, int $kind) => ($peer->data)($peer, $data, $kind));
$resolution = $server->listen('127.0.0.1:' . ($argv[1] ?? 4000));
$works = $server->listen('127.0.0.1:' . ($argv[2] ?? 8002));
echo "resolution ws://127.0.0.1:$resolution/\nworks ws://127.0.0.1:$works/xxoo\n";
$server->run();
