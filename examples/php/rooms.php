<?php

declare(strict_types=1);

namespace Examples;

use Wsframe\Frame;
use Wsframe\Opcode;

/** The server of "WebSocket--How it works", on port 8002 at /xxoo: each message comes back as it was. */
final class HowItWorks extends Room
{
    /** Step 7: packing is also required when the server sends. A server does not mask. */
    public function received(WebSocket $socket, Message $message): void
    {
        $socket->send(Frame::build(Frame::FIN | $message->header->opcode, $message->payload));
    }
}

/** The server of "Websocket Protocol resolution", on port 4000: the same, but in pieces of 125 bytes. */
final class ProtocolResolution extends Room
{
    /** Receivers limit the frames of a message, Python's websockets to 4,096. What is longer goes in one frame. */
    private const MAX_FRAGMENTED = 125 * 1000;

    public function received(WebSocket $socket, Message $message): void
    {
        $opcode = $message->header->opcode;
        $socket->send(strlen($message->payload) > self::MAX_FRAGMENTED
            ? Frame::build(Frame::FIN | $opcode, $message->payload)
            : frame_as_meant($opcode, $message->payload));
    }
}

/**
 * The frame() of "Websocket Protocol resolution" as it meant it: one message in frames of at most 125 bytes, so that
 * each length fits into 7 bits. Only the first frame has the opcode, only the last has FIN: 01 ... 00 ... 80.
 */
function frame_as_meant(int $opcode, string $payload): string
{
    $pieces = pieces($payload);
    $last = array_pop($pieces);
    $frames = '';
    foreach ($pieces as $piece) {
        $frames .= Frame::build($opcode, $piece);
        $opcode = Opcode::CONTINUATION;
    }
    return $frames . Frame::build(Frame::FIN | $opcode, $last);
}

/** The same as it was printed, with "\x81" before every piece: the browser gets as many messages as there are pieces. */
function frame_as_printed(string $text): string
{
    $frames = '';
    foreach (pieces($text) as $piece) {
        $frames .= Frame::build(Frame::FIN | Opcode::TEXT, $piece);
    }
    return $frames;
}

/** @return non-empty-list<string> */
function pieces(string $payload): array
{
    // The empty payload is a message as well, of one empty piece.
    return $payload === '' ? [''] : str_split($payload, 125);
}
