<?php

/*
 * A WebSocket client that prints what it is sent, and comes back when it has lost its server.
 *
 *     php follow.php URL [MESSAGE...]
 *
 * SIGTERM and Ctrl-C close the connection, and end it.
 */

require __DIR__ . '/../../bindings/php/autoload.php'; // with Composer: vendor/autoload.php

use Wsframe\Client;
use Wsframe\Config;

[, $url] = $argv;
$client = new Client($url, new Config(deflate: true), reconnect: true);
$client->on('open', fn (Client $client) => array_map($client->send(...), array_slice($argv, 2)));
$client->on('message', fn (Client $client, string $data) => print("$data\n"));
$client->on('error', fn (Throwable $error) => fwrite(STDERR, $error->getMessage() . "\n"));
$client->run();
