<?php

declare(strict_types=1);

namespace Wsframe\Ffi;

use FFI;
use FFI\CData;
use FFI\CType;
use Wsframe\Header;
use Wsframe\Opcode;

/**
 * The calls of Frame and Header.
 *
 * What C writes goes to memory that is allocated for the call. A kept buffer would be up to 50 ns cheaper, and wrong: a
 * signal handler that builds a frame (pcntl_async_signals) may run between a call and the reading of its result. Nor is
 * it ever a PHP string: strings are shared between variables, and FFI ignores const.
 *
 * @internal
 */
final class FrameCalls
{
    /** The longest header and the length of a Sec-WebSocket-Accept, as wsframe.h gives them, in bytes. */
    private const HEADER_MAX = 14;
    private const ACCEPT_LEN = 28;

    /** For so many bytes, or less, memory of one kept type is allocated: to make a type takes as long as that. */
    private const SHORT = 1024;

    private const MASK = 0x01;

    private static ?self $calls = null;

    /** Types of the outputs, kept because FFI would read their names anew for each call. */
    private readonly CType $record;
    private readonly CType $headerBytes;
    private readonly CType $acceptBytes;
    private readonly CType $shortBytes;
    private readonly CType $byte;

    private function __construct(private readonly FFI $ffi)
    {
        $this->record = $ffi->type('wsframe_header');
        $this->headerBytes = $ffi->type('char[' . self::HEADER_MAX . ']');
        $this->acceptBytes = $ffi->type('char[' . self::ACCEPT_LEN . ']');
        $this->shortBytes = $ffi->type('char[' . self::SHORT . ']');
        $this->byte = $ffi->type('char');
    }

    public static function get(): self
    {
        return self::$calls ??= new self(Loader::ffi());
    }

    public function acceptKey(string $key): string
    {
        $out = $this->ffi->new($this->acceptBytes);
        $len = $this->ffi->wsframe_accept_key($key, \strlen($key), $out, self::ACCEPT_LEN);
        return FFI::string($out, Failure::none($len));
    }

    public function parse(string $data, int $offset): ?Header
    {
        if ($offset !== 0) {
            if ($offset < 0 || $offset > \strlen($data)) {
                $len = \strlen($data);
                throw Failure::argument("the offset $offset is not in the $len bytes of data");
            }
            // C would take a pointer into the middle; PHP has to copy, so no more than a header can need.
            $data = \substr($data, $offset, self::HEADER_MAX);
        }
        $record = $this->ffi->new($this->record);
        $headerLen = $this->ffi->wsframe_header_parse($data, \strlen($data), FFI::addr($record));
        if ($headerLen <= 0) {
            return $headerLen === 0 ? null : throw Failure::last($headerLen);
        }
        $flags = $record->flags;
        return new Header(
            $record->opcode,
            $record->payload_len,
            ($flags & Opcode::FIN) !== 0,
            ($flags & Opcode::RSV1) !== 0,
            ($flags & Opcode::RSV2) !== 0,
            ($flags & Opcode::RSV3) !== 0,
            ($flags & self::MASK) !== 0 ? FFI::string($record->mask_key, 4) : null,
            $headerLen,
        );
    }

    public function buildHeader(Header $header): string
    {
        $flags = ($header->fin ? Opcode::FIN : 0)
            | ($header->rsv1 ? Opcode::RSV1 : 0)
            | ($header->rsv2 ? Opcode::RSV2 : 0)
            | ($header->rsv3 ? Opcode::RSV3 : 0)
            | ($header->masked ? self::MASK : 0);
        $opcode = Arguments::number('opcode', $header->opcode, 0xFF);
        return $this->encode($opcode, $flags, $header->payloadLen, $header->maskKey);
    }

    /**
     * Joins header and payload here and not with wsframe_frame_build(), from whose output the frame would have to be
     * copied once more: as fast for short payloads, twice as fast from 64 KiB up.
     */
    public function build(int $firstByte, string $payload): string
    {
        Arguments::number('first byte', $firstByte, 0xFF);
        return $this->encode($firstByte & 0x0F, $firstByte & 0xF0, \strlen($payload), null) . $payload;
    }

    public function buildMany(int $firstByte, array $payloads): string
    {
        Arguments::number('first byte', $firstByte, 0xFF);
        [$joined, $lens, $count] = Arguments::joined($this->ffi, 'payloads', $payloads);
        $cap = \strlen($joined) + $count * self::HEADER_MAX;
        $out = $this->room($cap);
        $len = $this->ffi->wsframe_frames_build($firstByte, $joined, $lens, $count, $out, $cap);
        return FFI::string($out, Failure::none($len));
    }

    public function unmask(string $data, string $key, int $offset): string
    {
        if (\strlen($key) !== 4) {
            Arguments::key($key);
        }
        if ($offset < 0) {
            throw Failure::argument("the offset $offset is negative");
        }
        $out = $this->room(\strlen($data));
        $len = $this->ffi->wsframe_unmask($data, \strlen($data), $key, $offset, $out);
        return FFI::string($out, $len >= 0 ? $len : Failure::none($len));
    }

    public function utf8Check(string $data): int
    {
        return Failure::none($this->ffi->wsframe_utf8_check($data, \strlen($data)));
    }

    private function encode(int $opcode, int $flags, int $payloadLen, ?string $maskKey): string
    {
        $record = $this->ffi->new($this->record);
        $record->opcode = $opcode;
        $record->flags = $flags;
        $record->payload_len = $payloadLen;
        if ($maskKey !== null) {
            FFI::memcpy($record->mask_key, Arguments::key($maskKey), 4);
        }
        $out = $this->ffi->new($this->headerBytes);
        $len = $this->ffi->wsframe_header_build(FFI::addr($record), $out, self::HEADER_MAX);
        return FFI::string($out, Failure::none($len));
    }

    private function room(int $len): CData
    {
        return $this->ffi->new($len <= self::SHORT ? $this->shortBytes : FFI::arrayType($this->byte, [$len]));
    }
}
