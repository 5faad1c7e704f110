<?php

declare(strict_types=1);

namespace Examples;

use Wsframe\Frame;
use Wsframe\Opcode;

/** The server of "WebSocket--How it works", on port 8002 at /xxoo: each message comes back as it was. */
final class HowItWorks extends Room
{
    public function received(WebSocket $socket, string $message, bool $isText): void
    {
        $socket->connection->send($isText ? Opcode::TEXT : Opcode::BINARY, $message);
    }
}

/** The server of "Websocket Protocol resolution", on port 4000: the same, but in pieces of 125 bytes. */
final class ProtocolResolution extends Room
{
    /** Receivers limit the frames of a message, Python's websockets to 4,096. What is longer goes in longer pieces. */
    private const MAX_PIECES = 1000;

    public function received(WebSocket $socket, string $message, bool $isText): void
    {
        $kind = $isText ? Opcode::TEXT : Opcode::BINARY;
        $pieces = pieces($message, max(125, intdiv(strlen($message), self::MAX_PIECES)));
        $last = array_pop($pieces);
        foreach ($pieces as $piece) {
            $socket->connection->send($kind, $piece, more: true);
        }
        $socket->connection->send($kind, $last);
    }
}

/**
 * The frame() of "Websocket Protocol resolution" as it meant it: one message in frames of at most 125 bytes, so that
 * each length fits into 7 bits. Only the first frame has the opcode, only the last has FIN: 01 ... 00 ... 80.
 */
function frame_as_meant(int $opcode, string $payload): string
{
    $pieces = pieces($payload, 125);
    $last = array_pop($pieces);
    $frames = '';
    foreach ($pieces as $piece) {
        $frames .= Frame::build($opcode, $piece);
        $opcode = Opcode::CONTINUATION;
    }
    return $frames . Frame::build(Opcode::FIN | $opcode, $last);
}

/** The same as it was printed, with "\x81" before every piece: the browser gets as many messages as there are pieces. */
function frame_as_printed(string $text): string
{
    $frames = '';
    foreach (pieces($text, 125) as $piece) {
        $frames .= Frame::build(Opcode::FIN | Opcode::TEXT, $piece);
    }
    return $frames;
}

/** @return non-empty-list<string> */
function pieces(string $payload, int $length): array
{
    // The empty payload is a message as well, of one empty piece.
    return $payload === '' ? [''] : str_split($payload, $length);
}
