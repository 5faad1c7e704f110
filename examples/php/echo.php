<?php

require __DIR__ . '/../../bindings/php/autoload.php'; // with Composer: vendor/autoload.php

use Wsframe\Connection;
use Wsframe\EventKind;

$options = stream_context_create(['socket' => ['tcp_nodelay' => true, 'backlog' => 511]]);
$flags = STREAM_SERVER_BIND | STREAM_SERVER_LISTEN;
$listener = stream_socket_server('tcp://127.0.0.1:' . ($argv[1] ?? 8000), $code, $reason, $flags, $options);
echo 'ws://', stream_socket_get_name($listener, false), "/\n";

$sockets = $connections = $endAt = [];              // of the clients, by the number of their socket
[$reading, $writing, $sweepAt] = [[$listener], [], 0];
while (true) {
    [$read, $write, $except] = [$reading, $writing, null];
    stream_select($read, $write, $except, 1);
    $nowMs = intdiv(hrtime(true), 1_000_000);

    if (isset($read[0])) {                          // select() can watch 1,024 descriptors, and there may be fewer
        $socket = count($sockets) < 1000 ? @stream_socket_accept($listener, 0) : false;
        if ($socket !== false) {
            stream_set_blocking($socket, false);
            stream_set_read_buffer($socket, 0);
            $sockets[(int) $socket] = $reading[(int) $socket] = $socket;
            $connections[(int) $socket] = Connection::server();
        } else {
            unset($reading[0]);                     // nobody is let in until the next sweep
        }
        unset($read[0]);
    }
    $turns = $read + $write;                        // to whom something happened
    if ($nowMs >= $sweepAt) {                       // once a second everybody, for pings and timeouts
        [$turns, $reading[0], $sweepAt] = [$sockets, $listener, $nowMs + 1000];
    }
    foreach ($turns as $id => $socket) {
        if (isset($read[$id])) {
            $data = (string) @fread($socket, 65536);
            foreach ($connections[$id]->receive($data) as $event) {
                if ($event->kind === EventKind::TEXT || $event->kind === EventKind::BINARY) {
                    $connections[$id]->send($event->kind, $event->data);
                }
            }
            if ($data === '' && feof($socket)) {
                $connections[$id]->gone();
            }
        }
        $sent = 0;
        while (($output = $connections[$id]->output($nowMs, $sent)) !== '' && $sent = @fwrite($socket, $output));
        if ($connections[$id]->waitMs() === 0) {    // all is said: close, but let what was written arrive
            stream_socket_shutdown($socket, STREAM_SHUT_WR);
            $endAt[$id] ??= $nowMs + 2000;
            if (feof($socket) || $nowMs >= $endAt[$id]) {
                $connections[$id]->free();
                unset($sockets[$id], $connections[$id], $reading[$id], $writing[$id], $endAt[$id]);
                continue;
            }
        }
        if ($output === '') {
            $reading[$id] = $socket;
            unset($writing[$id]);
        } else {                                    // who does not read is not read from
            $writing[$id] = $socket;
            unset($reading[$id]);
        }
    }
}
