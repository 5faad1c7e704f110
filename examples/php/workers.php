<?php

/*
 * A chat on several cores: each message goes to all others, whichever worker they have come to.
 *
 *     php workers.php [address] [workers]
 *
 * The address is printed. SIGUSR1 replaces the workers, SIGTERM and Ctrl-C end them. In deploy/ are a unit of systemd and a
 * Dockerfile with which it is served.
 */

require __DIR__ . '/../../bindings/php/autoload.php'; // with Composer: vendor/autoload.php

use Wsframe\Config;
use Wsframe\Opcode;
use Wsframe\Peer;
use Wsframe\Server;

$server = new Server(new Config(deflate: true, maxMessageLen: 64 << 10));
$server->on('message', fn (Peer $peer, string $data, int $kind) => $kind === Opcode::TEXT && $peer->publish('', $data));
[$host] = explode(':', $argv[1] ?? '127.0.0.1:8000');
$port = $server->listen($argv[1] ?? '127.0.0.1:8000');
echo "ws://$host:$port/\n";
$server->run(workers: (int) ($argv[2] ?? 2));
