<?php

declare(strict_types=1);

/*
 * A WebSocket client on libwsframe, with a plain blocking socket.
 *
 *     php examples/php/client.php ws://127.0.0.1:8002/xxoo Hello world
 *
 * sends each word as a message, prints each message that comes back, and closes. Without words it sends back all that
 * it gets until the server closes. Messages are compressed if the server agrees; with --no-context-takeover before the
 * address each on its own.
 */

namespace Examples;

use Wsframe\Config;
use Wsframe\Connection;
use Wsframe\Event;
use Wsframe\EventKind;
use Wsframe\State;

require __DIR__ . '/../../bindings/php/autoload.php';

final class WebSocketClient
{
    /** @var resource */
    private readonly mixed $socket;
    private readonly Connection $connection;
    private int $returned = 0;

    /** @param list<string> $words */
    public function __construct(string $url, private readonly array $words, bool $noContextTakeover)
    {
        $parts = parse_url($url) + ['port' => 80, 'path' => '/'];
        $this->socket = stream_socket_client("tcp://$parts[host]:$parts[port]", $code, $reason)
            ?: throw new \RuntimeException("cannot connect to $url: $reason");
        stream_set_chunk_size($this->socket, 65536);
        $this->connection = Connection::client(new Config(
            deflate: true,
            clientNoContextTakeover: $noContextTakeover,
            clientMaxWindowBits: 15, // the most there is, of which the server may want less
        ));
        $query = isset($parts['query']) ? "?$parts[query]" : '';
        $this->connection->request("$parts[host]:$parts[port]", $parts['path'] . $query);
    }

    /** Talks until the connection is closed, and returns 0 if that went well. */
    public function run(): int
    {
        $wait = $this->flush();
        while ($wait !== 0 && !feof($this->socket)) {
            $read = [$this->socket];
            $write = $except = [];
            $seconds = $wait === null ? null : intdiv($wait, 1000);
            if (stream_select($read, $write, $except, $seconds, $wait === null ? null : $wait % 1000 * 1000)) {
                foreach ($this->connection->receive((string) fread($this->socket, 65536)) as $event) {
                    $this->take($event);
                }
            }
            $wait = $this->flush();
        }
        fclose($this->socket);
        if ($this->connection->error() !== null) {
            fwrite(STDERR, $this->connection->error() . "\n");
        }
        return $this->connection->state() === State::CLOSED ? 0 : 1;
    }

    private function flush(): ?int
    {
        if (!$this->send()) {
            return 0;
        }
        $wait = $this->connection->tick(hrtime(true) / 1_000_000 | 0);
        return $this->send() ? $wait : 0;
    }

    private function send(): bool
    {
        while (($output = $this->connection->output()) !== '') {
            $sent = @fwrite($this->socket, $output);
            if ($sent === false) {
                return false;
            }
            $this->connection->sent($sent);
        }
        return true;
    }

    private function take(Event $event): void
    {
        switch ($event->kind) {
            case EventKind::OPEN:
                foreach ($this->words as $word) {
                    $this->connection->sendText($word);
                }
                break;
            case EventKind::TEXT:
            case EventKind::BINARY:
                $this->takeMessage($event);
        }
    }

    private function takeMessage(Event $event): void
    {
        if ($this->words === []) {
            $event->kind === EventKind::TEXT
                ? $this->connection->sendText($event->data)
                : $this->connection->sendBinary($event->data);
            return;
        }
        echo $event->data, "\n";
        if (++$this->returned === count($this->words)) {
            $this->connection->close();
        }
    }
}

$noContextTakeover = $argv[1] === '--no-context-takeover';
[$url, $words] = $noContextTakeover ? [$argv[2], array_slice($argv, 3)] : [$argv[1], array_slice($argv, 2)];
exit((new WebSocketClient($url, $words, $noContextTakeover))->run());
