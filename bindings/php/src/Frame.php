<?php

declare(strict_types=1);

namespace Wsframe;

/**
 * The four jobs of a WebSocket server (RFC 6455), done by libwsframe: answer the opening handshake, read the header of
 * a frame, unmask its payload, build a frame to send.
 *
 * With the bytes that a client has sent after the handshake in $in:
 *
 *     $header = Frame::parse($in);
 *     if ($header === null || strlen($in) < $header->headerLen + $header->payloadLen) {
 *         return;                                      // read more, then begin again
 *     }
 *     $payload = substr($in, $header->headerLen, $header->payloadLen);
 *     if ($header->masked) {                           // what is not, a server refuses with 1002
 *         $payload = Frame::unmask($payload, $header->maskKey);
 *     }
 *
 *     fwrite($client, Frame::build(Opcode::FIN | Opcode::TEXT, 'hi'));
 */
final class Frame
{
    private function __construct()
    {
    }

    /**
     * Computes the Sec-WebSocket-Accept value, 28 characters, that answers a client's Sec-WebSocket-Key (RFC 6455
     * section 4.2.2).
     *
     * @param string $key The value of that field, without the white space around it.
     *
     * @throws ProtocolError If the key is not the base64 of 16 bytes: answer with HTTP status 400.
     */
    public static function acceptKey(string $key): string
    {
        return Ffi\FrameCalls::get()->acceptKey($key);
    }

    /**
     * Reads the header of the frame that starts at $data[$offset] (RFC 6455 section 5.2).
     *
     * Returns null if more bytes are needed: call again with these and what has come since. The payload need not have
     * arrived: compare the header's payloadLen with your limit before you wait for it. The RSV bits and the mask are
     * reported, not judged: a server refuses a frame that is not masked, and RSV bits without an extension.
     *
     * @param string $data Received bytes.
     * @param int $offset Where in $data the frame starts, in bytes; strlen($data) if nothing of it is there yet.
     *
     * @throws ProtocolError If the opcode is reserved, a control frame is fragmented or longer than 125 bytes, or the
     *     length is not in its shortest form or above 2^63-1. It comes as soon as the bytes that show it are there.
     * @throws UsageError If $offset is not in $data.
     */
    public static function parse(string $data, int $offset = 0): ?Header
    {
        return Ffi\FrameCalls::get()->parse($data, $offset);
    }

    /**
     * Unmasks a payload or a piece of one (RFC 6455 section 5.3) and returns it; $data stays as it is. Masking is the
     * same act.
     *
     * @param string $data The masked bytes.
     * @param string $key The four bytes of the masking key.
     * @param int $offset Position of $data in the payload, in bytes, for a payload that is worked on piece by piece.
     *
     * @throws UsageError If $key does not have four bytes, or $offset is negative.
     */
    public static function unmask(string $data, string $key, int $offset = 0): string
    {
        return Ffi\FrameCalls::get()->unmask($data, $key, $offset);
    }

    /**
     * Builds a server's frame, which is not masked (RFC 6455 section 5.2).
     *
     * A message in several frames starts with its opcode without FIN, goes on with Opcode::CONTINUATION and ends with
     * Opcode::FIN | Opcode::CONTINUATION. For a client's frame see Header.
     *
     * @param int $firstByte The first byte on the wire, for instance Opcode::FIN | Opcode::TEXT.
     * @param string $payload The bytes that the frame carries.
     *
     * @throws UsageError If $firstByte is not in 0 to 255 or has a reserved opcode, or a control frame has no FIN or
     *     more than 125 bytes.
     */
    public static function build(int $firstByte, string $payload): string
    {
        return Ffi\FrameCalls::get()->build($firstByte, $payload);
    }

    /**
     * Builds a server's frame for each of the payloads, one behind the other. As build(), but for many small messages
     * with one call of the library.
     *
     * @param int $firstByte As for build().
     * @param string[] $payloads
     *
     * @throws UsageError As build().
     */
    public static function buildMany(int $firstByte, array $payloads): string
    {
        return Ffi\FrameCalls::get()->buildMany($firstByte, $payloads);
    }

    /**
     * Checks that text is UTF-8, as that of a message must be (RFC 6455 section 8.1), and returns how many bytes at its
     * start are whole characters.
     *
     * That is strlen($data) if all of it is UTF-8. If it is less, the last one to three bytes are the start of a
     * character: keep them in front of the next piece of the message. At its end they are not UTF-8: close with 1007.
     *
     * @param string $data The text, or the piece of it that has arrived.
     *
     * @throws ProtocolError If no continuation can make it UTF-8; its closeCode is 1007.
     */
    public static function utf8Check(string $data): int
    {
        return Ffi\FrameCalls::get()->utf8Check($data);
    }
}
