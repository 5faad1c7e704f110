<?php

declare(strict_types=1);

namespace Examples;

use Wsframe\Connection;
use Wsframe\Frame;
use Wsframe\Header;
use Wsframe\ProtocolError;

/** The visitors of the page talk to each other, and each sees the frames that he sends taken apart. */
final class Chat extends Room
{
    /** The picture of a frame is drawn from the bytes that came. Of a compressed one it could not show the text. */
    public const MAY_COMPRESS = false;

    /** A message goes to everybody, and who has too much waiting for him is dropped. */
    private const MAX_MESSAGE = 64 << 10;

    /** @var array<int, Visitor> by the object id of their socket */
    private array $visitors = [];
    private int $named = 0;

    public function joined(WebSocket $socket): void
    {
        $visitor = new Visitor($socket, 'visitor ' . ++$this->named);
        $this->visitors[spl_object_id($socket)] = $visitor;
        $visitor->tell(['type' => 'welcome', 'name' => $visitor->name]);
        $this->tellAll(['type' => 'visitors', 'count' => count($this->visitors)]);
    }

    public function heard(WebSocket $socket, string $bytes): void
    {
        $this->visitors[spl_object_id($socket)]->takeApart($bytes);
    }

    public function received(WebSocket $socket, string $message, bool $isText): void
    {
        if (!$isText) {
            $socket->refuse(1003, 'the chat takes text only');
            return;
        }
        if (strlen($message) > self::MAX_MESSAGE) {
            $socket->refuse(1009, 'the chat takes at most 64 KiB');
            return;
        }
        $name = $this->visitors[spl_object_id($socket)]->name;
        $this->tellAll(['type' => 'message', 'from' => $name, 'text' => $message]);
    }

    public function left(WebSocket $socket): void
    {
        unset($this->visitors[spl_object_id($socket)]);
        $this->tellAll(['type' => 'visitors', 'count' => count($this->visitors)]);
    }

    private function tellAll(array $what): void
    {
        foreach ($this->visitors as $visitor) {
            $visitor->tell($what);
        }
    }
}

/** Who is in the chat. The connection has no frames any more, only messages; so this looks at the bytes as well. */
final class Visitor
{
    /** How much of a payload is shown. */
    private const SHOWN = 64;

    /** Bytes of frames that are not complete. */
    private string $bytes = '';

    public function __construct(private readonly WebSocket $socket, public readonly string $name)
    {
    }

    public function tell(array $what): void
    {
        $text = json_encode($what, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE);
        $this->socket->send(fn(Connection $connection) => $connection->sendText($text));
    }

    /** Tells the visitor what the library reads from the frames that are complete with $bytes. */
    public function takeApart(string $bytes): void
    {
        $this->bytes .= $bytes;
        $at = 0;
        try {
            while (($header = Frame::parse($this->bytes, $at)) !== null) {
                $end = $at + $header->headerLen + $header->payloadLen;
                if ($end > strlen($this->bytes)) {
                    break;
                }
                $this->tell(self::facts($header, substr($this->bytes, $at, $header->headerLen + self::SHOWN)));
                $at = $end;
            }
        } catch (ProtocolError) {
            // The connection finds the same, and closes.
        }
        $this->bytes = substr($this->bytes, $at);
    }

    private static function facts(Header $header, string $frame): array
    {
        $masked = substr($frame, $header->headerLen, min($header->payloadLen, self::SHOWN));
        return [
            'type' => 'frame',
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
            'masked' => bin2hex($masked),
            'unmasked' => bin2hex($header->masked ? Frame::unmask($masked, $header->maskKey) : $masked),
        ];
    }
}
