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
use Wsframe\UsageError;

require __DIR__ . '/../../bindings/php/autoload.php';

final class WebSocketClient
{
    /** @var resource */
    private readonly mixed $socket;
    private readonly Connection $connection;
    private bool $isOpen = false;
    private int $returned = 0;

    /**
     * @param list<string> $words
     *
     * @throws \RuntimeException If there is no such address, or nobody there.
     */
    public function __construct(string $url, private readonly array $words, bool $noContextTakeover)
    {
        $parts = parse_url($url) ?: [];
        if (strtolower($parts['scheme'] ?? '') !== 'ws' || !isset($parts['host'])) {
            throw new \RuntimeException("cannot connect to $url: this client knows ws://HOST[:PORT][/PATH] only, no TLS");
        }
        $host = $parts['host'];
        $this->socket = @stream_socket_client('tcp://' . $host . ':' . ($parts['port'] ?? 80), $code, $reason)
            ?: throw new \RuntimeException("cannot connect to $url: $reason");
        stream_set_read_buffer($this->socket, 0);
        $this->connection = Connection::client(new Config(
            deflate: true,
            maxInflatedLen: 16 << 20,
            clientNoContextTakeover: $noContextTakeover,
            clientMaxWindowBits: 15, // the most there is, of which the server may want less
        ));
        $this->connection->request(
            $host . (isset($parts['port']) ? ":$parts[port]" : ''),
            ($parts['path'] ?? '/') . (isset($parts['query']) ? "?$parts[query]" : '')
        );
    }

    /** Talks until the connection is closed, and returns 0 if that went well. */
    public function run(): int
    {
        $isThere = true;
        while ($isThere && $this->write() && ($waitMs = $this->connection->waitMs()) !== 0) {
            [$read, $write, $except] = [[$this->socket], null, null];
            $seconds = $waitMs === null ? null : intdiv($waitMs, 1000);
            if (stream_select($read, $write, $except, $seconds, $waitMs === null ? null : $waitMs % 1000 * 1000)) {
                $bytes = (string) @fread($this->socket, 65536);
                foreach ($this->connection->receive($bytes) as $event) {
                    $this->happened($event);
                }
                $isThere = $bytes !== '';
            }
        }
        fclose($this->socket);
        foreach ($this->connection->gone() as $event) {
            $this->happened($event);
        }
        return $this->connection->state() === State::CLOSED ? 0 : 1;
    }

    /** Writes all that waits; whether there is somebody to write to. */
    private function write(): bool
    {
        $sent = 0;
        while (($output = $this->connection->output(intdiv(hrtime(true), 1_000_000), $sent)) !== '') {
            $sent = @fwrite($this->socket, $output);
            if ($sent === false) {
                return false;
            }
        }
        return true;
    }

    private function happened(Event $event): void
    {
        switch ($event->kind) {
            case EventKind::OPEN:
                $this->isOpen = true;
                foreach ($this->words as $word) {
                    $this->connection->sendText($word);
                }
                break;
            case EventKind::TEXT:
            case EventKind::BINARY:
                $this->takeMessage($event);
                break;
            case EventKind::ERROR:
                fwrite(STDERR, $this->connection->error() . "\n" . $event->data);
                break;
            case EventKind::GONE:
                if ($event->error === 0 && $event->closeCode === 1006) {
                    $when = $this->isOpen ? 'without a close frame' : 'before it answered the opening handshake';
                    fwrite(STDERR, "the server closed the connection $when\n");
                }
        }
    }

    private function takeMessage(Event $event): void
    {
        if ($this->words === []) {
            $this->connection->send($event->kind, $event->data);
            return;
        }
        echo $event->data, "\n";
        if (++$this->returned === count($this->words)) {
            $this->connection->close();
        }
    }
}

$arguments = array_slice($argv, 1);
$noContextTakeover = ($arguments[0] ?? '') === '--no-context-takeover';
$words = array_slice($arguments, $noContextTakeover ? 1 : 0);
$url = array_shift($words);
try {
    if ($url === null) {
        throw new \RuntimeException('usage: php client.php [--no-context-takeover] ws://HOST[:PORT][/PATH] [WORD ...]');
    }
    exit((new WebSocketClient($url, $words, $noContextTakeover))->run());
} catch (\RuntimeException | UsageError $error) {
    fwrite(STDERR, $error->getMessage() . "\n");
    exit(1);
}
