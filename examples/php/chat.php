<?php

declare(strict_types=1);

namespace Examples;

use Wsframe\Frame;
use Wsframe\Header;
use Wsframe\Library;
use Wsframe\Opcode;
use Wsframe\ProtocolError;

/*
 * The visitors of the page talk to each other, and each is shown all that is on his wire.
 *
 * What they say is text. What the server says of the wire is binary, so that it can be left out of what is shown.
 */

/** Who is in the chat, at whichever address he has come in. */
final class Visitors
{
    /** How many are known again when they come back. */
    private const MAX_DEPARTED = 100;

    /** @var array<int, Visitor> by the object id of their socket */
    private array $present = [];
    /** @var array<string, Visitor> by the name that the page has given itself */
    private array $departed = [];
    private int $named = 0;

    public function enter(WebSocket $socket): void
    {
        $page = explode('?', $socket->connection->target(), 2)[1] ?? '';
        $visitor = $this->departed[$page] ?? new Visitor('visitor ' . ++$this->named, $page);
        unset($this->departed[$page]);
        $this->present[spl_object_id($socket)] = $visitor;
        $visitor->enter($socket);
        $this->tellCount();
    }

    public function of(WebSocket $socket): Visitor
    {
        return $this->present[spl_object_id($socket)];
    }

    public function leave(WebSocket $socket): void
    {
        $visitor = $this->of($socket);
        unset($this->present[spl_object_id($socket)]);
        if ($visitor->page !== '') {
            $this->departed[$visitor->page] = $visitor;
        }
        if (count($this->departed) > self::MAX_DEPARTED) {
            unset($this->departed[array_key_first($this->departed)]);
        }
        $this->tellCount();
    }

    public function tellAll(array $what): void
    {
        foreach ($this->present as $visitor) {
            $visitor->tell($what);
        }
    }

    private function tellCount(): void
    {
        $this->tellAll(['type' => 'visitors', 'count' => count($this->present)]);
    }
}

class Chat extends Room
{
    /** The picture of a frame is drawn from its bytes. Of a compressed one it could not show the text. */
    public const MAY_COMPRESS = false;

    /** A message goes to everybody, and who has too much waiting for him is dropped. */
    private const MAX_MESSAGE = 64 << 10;

    public function __construct(private readonly Visitors $visitors)
    {
    }

    public function joined(WebSocket $socket): void
    {
        $this->visitors->enter($socket);
    }

    public function heard(WebSocket $socket, string $bytes): void
    {
        $this->visitors->of($socket)->heard($bytes);
    }

    public function said(WebSocket $socket, string $bytes): void
    {
        $this->visitors->of($socket)->said($bytes);
    }

    public function received(WebSocket $socket, string $message, bool $isText): void
    {
        $visitor = $this->visitors->of($socket);
        if (!$isText) {
            $socket->refuse(1003, 'the chat takes text only');
        } elseif (strlen($message) > self::MAX_MESSAGE) {
            $socket->refuse(1009, 'the chat takes at most 64 KiB');
        } elseif ($message === '/ping') {
            $visitor->ping();
        } else {
            $this->visitors->tellAll(['type' => 'message', 'from' => $visitor->name, 'text' => $message]);
        }
    }

    public function left(WebSocket $socket): void
    {
        $this->visitors->leave($socket);
    }
}

/** Another way into the chat, for those who want to see what compressed frames are like. */
final class CompressedChat extends Chat
{
    public const MAY_COMPRESS = true;
}

final class Visitor
{
    private WebSocket $socket;
    private Wire $in;
    private Wire $out;
    /** @var list<array> what he could not be told any more: a connection ends with its close frames */
    private array $untold = [];

    public function __construct(public readonly string $name, public readonly string $page)
    {
    }

    public function enter(WebSocket $socket): void
    {
        $this->socket = $socket;
        [$this->in, $this->out] = [new Wire(), new Wire()];
        array_map($this->report(...), $this->untold);
        $this->untold = [];
        $server = 'PHP ' . PHP_VERSION;
        $this->tell(['type' => 'welcome', 'name' => $this->name, 'server' => $server, 'library' => Library::version()]);
    }

    public function tell(array $what): void
    {
        $this->socket->tell(self::json($what));
    }

    public function ping(): void
    {
        $this->socket->tell('are you there?', Opcode::PING);
    }

    /** Bytes that he has sent. */
    public function heard(string $bytes): void
    {
        foreach ($this->in->take($bytes) as [$header, $frame]) {
            $this->reportFrame('frame', $header, $frame);
        }
    }

    /** Bytes that were sent to him. */
    public function said(string $bytes): void
    {
        $isOpening = $this->out->head === null;
        $frames = $this->out->take($bytes);
        if ($isOpening && $this->out->head !== null) {
            [$request, $response] = [bin2hex($this->in->head), bin2hex($this->out->head)];
            $this->report(['type' => 'handshake', 'request' => $request, 'response' => $response]);
        }
        foreach ($frames as [$header, $frame]) {
            // A report of a report would need a report.
            if ($header->opcode !== Opcode::BINARY) {
                $this->reportFrame('sent', $header, $frame);
            }
        }
    }

    private function reportFrame(string $kind, Header $header, string $frame): void
    {
        $what = ['type' => $kind] + facts($header, $frame);
        if ($header->opcode === Opcode::CLOSE) {
            $this->untold = array_slice([...$this->untold, $what], -2);
        } else {
            $this->report($what);
        }
    }

    private function report(array $what): void
    {
        $this->socket->tell(self::json($what), Opcode::BINARY);
    }

    private static function json(array $what): string
    {
        return json_encode($what, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE);
    }
}

/** The bytes of one direction. The connection has no frames any more, only messages; so this looks at the bytes. */
final class Wire
{
    /** How much of a payload is shown. */
    private const SHOWN = 64;

    public ?string $head = null;
    /** Bytes of what is not complete. */
    private string $bytes = '';

    /**
     * Returns what the library reads from the frames that are complete with $bytes, and their first bytes.
     *
     * @return list<array{Header, string}>
     */
    public function take(string $bytes): array
    {
        $this->bytes .= $bytes;
        if ($this->head === null && !$this->takeHead()) {
            return [];
        }
        $frames = [];
        $at = 0;
        try {
            while (($header = Frame::parse($this->bytes, $at)) !== null) {
                $len = $header->headerLen + $header->payloadLen;
                if ($at + $len > strlen($this->bytes)) {
                    break;
                }
                $frames[] = [$header, substr($this->bytes, $at, min($len, $header->headerLen + self::SHOWN))];
                $at += $len;
            }
        } catch (ProtocolError) {
            // The connection finds the same, and closes.
        }
        $this->bytes = substr($this->bytes, $at);
        return $frames;
    }

    private function takeHead(): bool
    {
        $end = strpos($this->bytes, "\r\n\r\n");
        if ($end === false) {
            return false;
        }
        $this->head = substr($this->bytes, 0, $end + 4);
        $this->bytes = substr($this->bytes, $end + 4);
        return true;
    }
}

function facts(Header $header, string $frame): array
{
    $payload = substr($frame, $header->headerLen);
    return [
        'fin' => (int) $header->fin,
        'rsv1' => (int) $header->rsv1,
        'rsv2' => (int) $header->rsv2,
        'rsv3' => (int) $header->rsv3,
        'opcode' => $header->opcode,
        'mask' => (int) $header->masked,
        'payload_len' => $header->payloadLen,
        'header_len' => $header->headerLen,
        'header' => bin2hex(substr($frame, 0, $header->headerLen)),
        'mask_key' => bin2hex($header->maskKey ?? ''),
        'masked' => bin2hex($payload),
        'unmasked' => bin2hex($header->masked ? Frame::unmask($payload, $header->maskKey) : $payload),
    ];
}
