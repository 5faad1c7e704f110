<?php

declare(strict_types=1);

namespace Examples;

use Wsframe\Frame;
use Wsframe\Header;
use Wsframe\Opcode;
use Wsframe\ProtocolError;

/** Where a path of the server leads to. */
abstract class Room
{
    abstract public function received(WebSocket $socket, Message $message): void;

    public function joined(WebSocket $socket): void
    {
    }

    public function left(WebSocket $socket): void
    {
    }
}

/** One message of a client, and the frame that it came in. */
final class Message
{
    public function __construct(
        public readonly Header $header,
        /** The header as it came. */
        public readonly string $headerBytes,
        /** The payload as it came. */
        public readonly string $masked,
        public readonly string $payload,
    ) {
    }
}

/**
 * One client of the server, from its opening handshake to its close: the steps of "WebSocket--How it works".
 *
 * It stands on libwsframe's frame functions alone. What they leave to their caller and this server does not do, it
 * refuses: messages in several frames, and extensions.
 */
final class WebSocket implements Handler
{
    private const MAX_HEAD = 16 << 10;
    private const MAX_PAYLOAD = 16 << 20;
    private const STATUS = [
        200 => 'OK',
        400 => 'Bad Request',
        404 => 'Not Found',
        405 => 'Method Not Allowed',
        426 => 'Upgrade Required',
        431 => 'Request Header Fields Too Large',
    ];

    /** The room the client is in once its opening handshake is done. */
    private ?Room $room = null;
    private bool $closing = false;

    /** @param array<string, Room> $rooms by path */
    public function __construct(
        private readonly Client $client,
        private readonly array $rooms,
        private readonly string $page,
    ) {
    }

    public function received(): void
    {
        if ($this->room === null) {
            $this->shakeHands();
        }
        if ($this->room !== null) {
            $this->unpack();
        }
    }

    public function gone(): void
    {
        $this->room?->left($this);
    }

    public function send(string $frames): void
    {
        if (!$this->closing) {
            $this->client->send($frames);
        }
    }

    /** Closes with a code of RFC 6455 section 7.4.1; the log says why. */
    public function refuse(int $closeCode, string $why): void
    {
        Client::log($this->client->address, "refused with $closeCode: $why");
        $this->close($closeCode);
    }

    /**
     * Step 3: both sides build the handshake. Take Sec-WebSocket-Key from the head that the client sent, append the
     * magic string, hash with SHA-1 (which the document calls HMAC1), encode in base64, return the result.
     *
     * Step 4: the client compares the result with its own. If they differ, it disconnects.
     */
    private function shakeHands(): void
    {
        $end = strpos($this->client->in, "\r\n\r\n");
        if (($end === false ? strlen($this->client->in) : $end) > self::MAX_HEAD) {
            $this->answer(431, 'the request head is longer than ' . self::MAX_HEAD . ' bytes');
            return;
        }
        if ($end === false) {
            return;
        }
        $request = Request::parse(substr($this->client->in, 0, $end));
        // What follows the head are frames.
        $this->client->in = substr($this->client->in, $end + 4);

        if ($request === null) {
            $this->answer(400, 'this is not an HTTP/1.1 request');
        } elseif ($request->method !== 'GET') {
            $this->answer(405, "the method is $request->method", ['Allow: GET']);
        } elseif (!$request->has('upgrade', 'websocket')) {
            $this->answer(200, '', ['Content-Type: text/html; charset=utf-8'], $this->page);
        } elseif (!$request->has('connection', 'upgrade')) {
            $this->answer(400, 'the field Connection does not say Upgrade');
        } elseif ($request->field('sec-websocket-version') !== '13') {
            $fields = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
            $this->answer(426, 'the WebSocket version is not 13', $fields);
        } elseif (!isset($this->rooms[$request->path])) {
            $this->answer(404, "there is nothing at $request->path");
        } else {
            $this->accept($request);
        }
    }

    private function accept(Request $request): void
    {
        try {
            $acceptKey = Frame::acceptKey($request->field('sec-websocket-key'));
        } catch (ProtocolError $error) {
            $this->answer(400, $error->getMessage());
            return;
        }
        $this->client->send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            . "Sec-WebSocket-Accept: $acceptKey\r\n\r\n");
        $this->client->stay();
        $this->room = $this->rooms[$request->path];
        $this->room->joined($this);
    }

    /** @param list<string> $fields */
    private function answer(int $status, string $why, array $fields = [], string $body = ''): void
    {
        if ($status !== 200) {
            Client::log($this->client->address, "refused with HTTP status $status: $why");
            $fields[] = 'Content-Type: text/plain; charset=utf-8';
            $body = "$why\n";
        }
        array_push($fields, 'Connection: close', 'Content-Length: ' . strlen($body));
        $this->client->send("HTTP/1.1 $status " . self::STATUS[$status] . "\r\n"
            . implode("\r\n", $fields) . "\r\n\r\n$body");
        $this->client->finish();
    }

    /**
     * Step 5: what is transferred from now on is packed into frames. The browser's JavaScript has that built in, the
     * server has libwsframe.
     *
     * Step 6: unpacking. The length is in the low 7 bits of the second byte if it is up to 125, in the next 16 bits
     * if they say 126, in the next 64 bits if they say 127. Then comes the masking key, and then the data.
     */
    private function unpack(): void
    {
        $in = $this->client->in;
        $at = 0;
        try {
            while (!$this->closing && ($header = Frame::parse($in, $at)) !== null && $this->accepts($header)) {
                $data = $at + $header->headerLen;
                if (strlen($in) - $data < $header->payloadLen) {
                    break;
                }
                $masked = substr($in, $data, $header->payloadLen);
                $payload = Frame::unmask($masked, $header->maskKey);
                $this->take(new Message($header, substr($in, $at, $header->headerLen), $masked, $payload));
                $at = $data + $header->payloadLen;
            }
        } catch (ProtocolError $error) {
            $begin = trim(chunk_split(bin2hex(substr($in, $at, 14)), 2, ' '));
            $this->refuse($error->closeCode, $error->getMessage() . "; it begins with $begin");
        }
        $this->client->in = substr($in, $at);
    }

    /** Whether this server takes such a frame. The library reports these facts and leaves them to its caller. */
    private function accepts(Header $header): bool
    {
        if (!$header->masked) {
            $this->refuse(1002, 'a client has to mask its frames (RFC 6455 section 5.1)');
        } elseif ($header->rsv1 || $header->rsv2 || $header->rsv3) {
            $this->refuse(1002, 'an RSV bit is set although no extension was agreed on (RFC 6455 section 5.2)');
        } elseif ($header->opcode === Opcode::CONTINUATION || !$header->fin) {
            $this->refuse(1003, 'this server does not put messages together from several frames');
        } elseif ($header->payloadLen > self::MAX_PAYLOAD) {
            $this->refuse(1009, "the frame announces $header->payloadLen bytes, more than " . self::MAX_PAYLOAD);
        }
        return !$this->closing;
    }

    private function take(Message $message): void
    {
        switch ($message->header->opcode) {
            case Opcode::PING:
                $this->send(Frame::build(Frame::FIN | Opcode::PONG, $message->payload));
                break;
            case Opcode::PONG:
                break;
            case Opcode::CLOSE:
                // Always a legal answer. To repeat the client's own code it would have to be checked first.
                $this->close(1000);
                break;
            case Opcode::TEXT:
                $this->takeText($message);
                break;
            case Opcode::BINARY:
                $this->room->received($this, $message);
        }
    }

    private function takeText(Message $message): void
    {
        if (Frame::utf8Check($message->payload) === strlen($message->payload)) {
            $this->room->received($this, $message);
        } else {
            $this->refuse(1007, 'the text ends inside a character (RFC 6455 section 8.1)');
        }
    }

    private function close(int $closeCode): void
    {
        // The code is a number of two bytes in network order (RFC 6455 section 5.5.1).
        $this->send(Frame::build(Frame::FIN | Opcode::CLOSE, pack('n', $closeCode)));
        $this->closing = true;
        $this->client->finish();
    }
}

/** The head of an HTTP request. */
final class Request
{
    /** @param array<string, string> $fields by name in lower case */
    private function __construct(
        public readonly string $method,
        public readonly string $path,
        private readonly array $fields,
    ) {
    }

    public static function parse(string $head): ?self
    {
        $lines = explode("\r\n", $head);
        if (!preg_match('~^([A-Z]+) (/[^ ?]*)(\?[^ ]*)? HTTP/1\.1$~D', array_shift($lines), $start)) {
            return null;
        }
        $fields = [];
        foreach ($lines as $line) {
            // A name, a colon, a value without control characters; no folding.
            if (!preg_match('~^([^\s:]+):[ \t]*([^\x00-\x08\x0A-\x1F\x7F]*)$~D', $line, $field)) {
                return null;
            }
            $name = strtolower($field[1]);
            $value = rtrim($field[2], " \t");
            // Repeated fields are one list. A second key thus makes both invalid.
            $fields[$name] = isset($fields[$name]) ? "$fields[$name], $value" : $value;
        }
        return isset($fields['host']) ? new self($start[1], $start[2], $fields) : null;
    }

    public function field(string $name): string
    {
        return $this->fields[$name] ?? '';
    }

    /** Whether a field that is a list of tokens has $token, in whatever case. */
    public function has(string $name, string $token): bool
    {
        return in_array($token, array_map('trim', explode(',', strtolower($this->field($name)))), true);
    }
}
