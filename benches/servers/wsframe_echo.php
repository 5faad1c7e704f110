<?php

/* The loop of the PHP binding's README.md, to be measured: prints its port, and serves until SIGTERM. */

require __DIR__ . '/../../bindings/php/autoload.php';
use Wsframe\Connection;
use Wsframe\EventKind;
$listener = stream_socket_server('tcp://127.0.0.1:0');
echo substr(strrchr(stream_socket_get_name($listener, false), ':'), 1), "\n";

[$sockets, $connections, $reading, $writing, $sweepAt] = [[], [], [$listener], [], 0];
while (true) {
    [$read, $write, $except] = [$reading, $writing, null];
    stream_select($read, $write, $except, 1);
    $nowMs = intdiv(hrtime(true), 1_000_000);
    if (isset($read[0])) {
        $socket = stream_socket_accept($listener, 0);
        stream_set_blocking($socket, false);
        stream_set_read_buffer($socket, 0);
        socket_set_option(socket_import_stream($socket), SOL_TCP, TCP_NODELAY, 1);
        $sockets[(int) $socket] = $reading[(int) $socket] = $socket;
        $connections[(int) $socket] = Connection::server();
        unset($read[0]);
    }
    [$turns, $sweepAt] = $nowMs < $sweepAt ? [$read + $write, $sweepAt] : [$sockets, $nowMs + 1000];
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
        if ($connections[$id]->waitMs() === 0) {
            fclose($socket);
            unset($sockets[$id], $connections[$id], $reading[$id], $writing[$id]);
        } elseif ($output === '') {
            $reading[$id] = $socket;
            unset($writing[$id]);
        } else {                                    // who does not read is not read from
            $writing[$id] = $socket;
            unset($reading[$id]);
        }
    }
}
