<?php

declare(strict_types=1);

namespace Examples;

use Wsframe\Frame;
use Wsframe\Opcode;

/** The visitors of the page talk to each other, and each sees the frames that he sends taken apart. */
final class Chat extends Room
{
    /** How much of a payload is shown. */
    private const SHOWN = 64;

    /** @var array<int, array{WebSocket, string}> each visitor's socket and name, by the socket's object id */
    private array $visitors = [];
    private int $named = 0;

    public function joined(WebSocket $socket): void
    {
        $name = 'visitor ' . ++$this->named;
        $this->visitors[spl_object_id($socket)] = [$socket, $name];
        $this->tell($socket, ['type' => 'welcome', 'name' => $name]);
        $this->tellAll(['type' => 'visitors', 'count' => count($this->visitors)]);
    }

    public function received(WebSocket $socket, Message $message): void
    {
        if ($message->header->opcode !== Opcode::TEXT) {
            $socket->refuse(1003, 'the chat takes text only');
            return;
        }
        $this->tell($socket, $this->takenApart($message));
        [, $name] = $this->visitors[spl_object_id($socket)];
        $this->tellAll(['type' => 'message', 'from' => $name, 'text' => $message->payload]);
    }

    public function left(WebSocket $socket): void
    {
        unset($this->visitors[spl_object_id($socket)]);
        $this->tellAll(['type' => 'visitors', 'count' => count($this->visitors)]);
    }

    /** The facts of the frame as libwsframe read them. */
    private function takenApart(Message $message): array
    {
        $header = $message->header;
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
            'header' => bin2hex($message->headerBytes),
            'mask_key' => bin2hex($header->maskKey),
            'masked' => bin2hex(substr($message->masked, 0, self::SHOWN)),
            'unmasked' => bin2hex(substr($message->payload, 0, self::SHOWN)),
        ];
    }

    private function tell(WebSocket $socket, array $what): void
    {
        $socket->send(self::packed($what));
    }

    private function tellAll(array $what): void
    {
        $frame = self::packed($what);
        foreach ($this->visitors as [$socket]) {
            $socket->send($frame);
        }
    }

    private static function packed(array $what): string
    {
        return Frame::build(Frame::FIN | Opcode::TEXT, json_encode($what, JSON_THROW_ON_ERROR));
    }
}
