<?php

declare(strict_types=1);

/*
 * Both servers of the documents on libwsframe, in one loop.
 *
 *     php examples/php/server.php [--resolution-port 4000] [--works-port 8002]
 *
 * Port 0 lets the system choose. The addresses are printed.
 */

namespace Examples;

require __DIR__ . '/../../bindings/php/autoload.php';
require __DIR__ . '/loop.php';
require __DIR__ . '/websocket.php';
require __DIR__ . '/rooms.php';
require __DIR__ . '/chat.php';

const HOST = '127.0.0.1';

$options = getopt('', ['resolution-port:', 'works-port:']);
// Step 2: the page has the HTML and JavaScript that the client connects with.
$page = file_get_contents(__DIR__ . '/../web/index.html');
$loop = new Loop();
$visitors = new Visitors();
$chats = ['/chat' => new Chat($visitors), '/chat-deflate' => new CompressedChat($visitors)];

// Step 1: start the server, listen on the socket.
$serve = fn(int $port, array $rooms): int =>
    $loop->listen(HOST, $port, fn(Loop $loop, $socket, string $address): Client =>
        new WebSocket($loop, $socket, $address, $rooms + $chats, $page));
try {
    $resolution = $serve((int) ($options['resolution-port'] ?? 4000), ['/' => new ProtocolResolution()]);
    $works = $serve((int) ($options['works-port'] ?? 8002), ['/xxoo' => new HowItWorks()]);
} catch (\RuntimeException $error) {
    fwrite(STDERR, $error->getMessage() . "; choose another with --resolution-port and --works-port\n");
    exit(1);
}

echo 'resolution ws://', HOST, ":$resolution\n";
echo 'works ws://', HOST, ":$works/xxoo\n";
echo 'page http://', HOST, ":$resolution/\n";

// Debian's PHP opens the time zone file at the first date(), and crashes if there is no descriptor left for it.
date('H:i:s');
if (function_exists('pcntl_signal')) {
    pcntl_async_signals(true);
    foreach ([SIGTERM, SIGINT] as $signal) {
        pcntl_signal($signal, fn() => $loop->stop());
    }
}
$loop->run();
