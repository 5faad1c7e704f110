<?php

declare(strict_types=1);

namespace Wsframe;

use FFI;
use FFI\CData;
use FFI\CType;

/**
 * libwsframe, and the only class that touches FFI: it finds the shared library, checks that it fits, and calls it.
 *
 * Programs use the other classes; of this one only version() is for them.
 *
 * What a C function writes goes to memory that is allocated for the call. A kept buffer would be up to 50 ns cheaper,
 * and wrong: a signal handler that builds a frame (pcntl_async_signals) may run between a call and the reading of its
 * result. Nor is it ever a PHP string: strings are shared between variables, and FFI ignores const.
 *
 * For the same reason the handle of a connection comes by reference. Signal handlers run after calls and jumps of the
 * program, so that between reading the handle as the first argument and calling C none may run as long as the other
 * arguments are plain variables. Where C lends memory that PHP reads afterwards, the handle is taken out of the
 * connection meanwhile: a handler that uses or frees the connection then finds null, which C refuses.
 */
final class Library
{
    private const SCOPE = 'WSFRAME';
    private const DEFINITION = __DIR__ . '/wsframe.h';

    /** The longest header and the length of a Sec-WebSocket-Accept, as wsframe.h gives them, in bytes. */
    private const HEADER_MAX = 14;
    private const ACCEPT_LEN = 28;

    /** For so many bytes, or less, memory of one kept type is allocated: to make a type takes as long as that. */
    private const SHORT = 1024;

    /** WSFRAME_HEADER_MASK; the other flags are Frame's constants. */
    private const MASK = 0x01;

    /** WSFRAME_SEND_*, which an opcode gets beside it. */
    private const SEND_PLAIN = 0x100;
    private const SEND_COMPRESSED = 0x200;

    /** Errors from here down are the peer's fault. */
    private const PEER_ERRORS = -32;

    /** What a handshake's answer needs besides the subprotocol, as wsframe.h gives it, in bytes. */
    private const ANSWER_MAX = 1024;

    /** The longest Sec-WebSocket-Extensions of an answer, as wsframe.h gives it, in bytes. */
    private const EXTENSIONS_MAX = 128;

    /** What fits into an uint32_t. FFI would cut a larger number down without a word. */
    private const UINT32_MAX = 0xFFFFFFFF;

    /** PTRDIFF_MAX, with which a tick says that nothing is due. */
    private const NEVER = \PHP_INT_MAX;

    private static ?FFI $ffi = null;

    /** Types of the outputs, kept because FFI would read their names anew for each call. */
    private static CType $record;
    private static CType $headerBytes;
    private static CType $acceptBytes;
    private static CType $shortBytes;
    private static CType $byte;
    private static CType $config;
    private static CType $handle;
    private static CType $lent;
    private static CType $message;
    private static CType $deflate;
    private static CType $size;

    private function __construct()
    {
    }

    /**
     * Returns the version of the loaded library, for instance "0.1.0".
     *
     * @throws \RuntimeException If the library cannot be loaded.
     */
    public static function version(): string
    {
        return self::dotted(self::ffi()->wsframe_version());
    }

    /** @internal Frame::acceptKey() */
    public static function acceptKey(string $key): string
    {
        $ffi = self::$ffi ?? self::ffi();
        $out = $ffi->new(self::$acceptBytes);
        return FFI::string($out, self::count($ffi->wsframe_accept_key($key, \strlen($key), $out, self::ACCEPT_LEN)));
    }

    /** @internal Frame::parse() */
    public static function parseHeader(string $data, int $offset): ?Header
    {
        $ffi = self::$ffi ?? self::ffi();
        if ($offset !== 0) {
            if ($offset < 0 || $offset > \strlen($data)) {
                throw self::usageError('the offset ' . $offset . ' is not in the ' . \strlen($data) . ' bytes of data');
            }
            // C would take a pointer into the middle; PHP has to copy, so no more than a header can need.
            $data = \substr($data, $offset, self::HEADER_MAX);
        }
        $record = $ffi->new(self::$record);
        $headerLen = $ffi->wsframe_header_parse($data, \strlen($data), FFI::addr($record));
        if ($headerLen <= 0) {
            return $headerLen === 0 ? null : throw self::error($headerLen);
        }
        $flags = $record->flags;
        return new Header(
            $record->opcode,
            $record->payload_len,
            ($flags & Frame::FIN) !== 0,
            ($flags & Frame::RSV1) !== 0,
            ($flags & Frame::RSV2) !== 0,
            ($flags & Frame::RSV3) !== 0,
            ($flags & self::MASK) !== 0 ? FFI::string($record->mask_key, 4) : null,
            $headerLen,
        );
    }

    /** @internal Header::build() */
    public static function buildHeader(Header $header): string
    {
        $flags = ($header->fin ? Frame::FIN : 0)
            | ($header->rsv1 ? Frame::RSV1 : 0)
            | ($header->rsv2 ? Frame::RSV2 : 0)
            | ($header->rsv3 ? Frame::RSV3 : 0)
            | ($header->masked ? self::MASK : 0);
        return self::encode(self::byte('opcode', $header->opcode), $flags, $header->payloadLen, $header->maskKey);
    }

    /**
     * Joins header and payload here and not with wsframe_frame_build(), from whose output the frame would have to be
     * copied once more: as fast for short payloads, twice as fast from 64 KiB up.
     *
     * @internal Frame::build()
     */
    public static function buildFrame(int $firstByte, string $payload): string
    {
        self::byte('first byte', $firstByte);
        return self::encode($firstByte & 0x0F, $firstByte & 0xF0, \strlen($payload), null) . $payload;
    }

    /**
     * @internal Frame::buildMany()
     *
     * @param string[] $payloads
     */
    public static function buildFrames(int $firstByte, array $payloads): string
    {
        $ffi = self::$ffi ?? self::ffi();
        self::byte('first byte', $firstByte);
        [$joined, $lens, $count] = self::joined($ffi, ...\array_values($payloads));
        $cap = \strlen($joined) + $count * self::HEADER_MAX;
        $out = $ffi->new(FFI::arrayType(self::$byte, [$cap ?: 1]));
        $len = $ffi->wsframe_frames_build($firstByte, $joined, $lens, $count, $out, $cap);
        return FFI::string($out, self::count($len));
    }

    /** @internal Frame::unmask() */
    public static function unmask(string $data, string $key, int $offset): string
    {
        $ffi = self::$ffi ?? self::ffi();
        if (\strlen($key) !== 4) {
            self::key($key);
        }
        if ($offset < 0) {
            throw self::usageError('the offset ' . $offset . ' is negative');
        }
        $len = \strlen($data);
        $out = $ffi->new($len <= self::SHORT ? self::$shortBytes : FFI::arrayType(self::$byte, [$len]));
        $len = $ffi->wsframe_unmask_copy($data, $len, $key, $offset, $out);
        return FFI::string($out, $len >= 0 ? $len : self::count($len));
    }

    /** @internal Frame::utf8Check() */
    public static function utf8Check(string $data): int
    {
        return self::count((self::$ffi ?? self::ffi())->wsframe_utf8_check($data, \strlen($data)));
    }

    /** @internal Handshake::answer() */
    public static function answerHandshake(string $head, ?Config $config): string
    {
        $ffi = self::$ffi ?? self::ffi();
        [$record, $texts] = self::config($ffi, $config ?? new Config());
        $cap = self::ANSWER_MAX + $record->subprotocols_len;
        $out = $ffi->new(FFI::arrayType(self::$byte, [$cap]));
        $len = $ffi->wsframe_handshake_answer($head, \strlen($head), FFI::addr($record), $out, $cap);
        return FFI::string($out, self::count($len));
    }

    /** @internal Handshake::extensions() */
    public static function answerExtensions(string $offer, ?Config $config): ?string
    {
        $ffi = self::$ffi ?? self::ffi();
        [$record, $texts] = self::config($ffi, $config ?? new Config());
        $out = $ffi->new(FFI::arrayType(self::$byte, [self::EXTENSIONS_MAX]));
        $len = self::count($ffi->wsframe_extensions_answer(
            $offer,
            \strlen($offer),
            FFI::addr($record),
            $out,
            self::EXTENSIONS_MAX
        ));
        return $len === 0 ? null : FFI::string($out, $len);
    }

    /** @internal A place for the handle of a Message: NULL until one is made. */
    public static function newMessageHandle(): CData
    {
        return (self::$ffi ?? self::ffi())->new(self::$message);
    }

    /** @internal Message::text() and Message::binary() */
    public static function newMessage(
        CData $handle,
        int $opcode,
        string $data,
        ?Config $config,
        ?bool $compress
    ): void {
        $ffi = self::$ffi ?? self::ffi();
        $opcode |= self::compress($compress);
        [$record, $texts] = self::config($ffi, $config ?? new Config());
        self::count(
            $ffi->wsframe_message_new($opcode, $data, \strlen($data), FFI::addr($record), FFI::addr($handle))
        );
    }

    /** @internal Message::__destruct() */
    public static function releaseMessage(?CData &$handle): void
    {
        $ffi = self::$ffi ?? self::ffi();
        $taken = $handle;
        $handle = null;
        $ffi->wsframe_message_free($taken);
    }

    /** @internal A place for the handle of a Connection: NULL until one is made. */
    public static function newHandle(): CData
    {
        return (self::$ffi ?? self::ffi())->new(self::$handle);
    }

    /** @internal Connection::server() */
    public static function newServer(CData $handle, ?Config $config): void
    {
        self::newConnection($handle, self::ffi()->WSFRAME_ROLE_SERVER, $config);
    }

    /** @internal Connection::client() */
    public static function newClient(CData $handle, ?Config $config): void
    {
        self::newConnection($handle, self::ffi()->WSFRAME_ROLE_CLIENT, $config);
    }

    /** @internal Connection::free() */
    public static function free(?CData &$handle): void
    {
        if ($handle === null) {
            throw self::noHandle();
        }
        self::release($handle);
    }

    /** @internal Connection::__destruct(), after which none may be left, whatever was before. */
    public static function release(?CData &$handle): void
    {
        $ffi = self::$ffi ?? self::ffi();
        $taken = $handle;
        $handle = null;
        $ffi->wsframe_connection_free($taken);
    }

    /** @internal Connection::request() */
    public static function request(?CData &$handle, string $host, string $target): int
    {
        $ffi = self::$ffi ?? self::ffi();
        [$hostLen, $len] = [\strlen($host), \strlen($target)];
        return self::did($handle, $ffi->wsframe_connection_request($handle, $host, $hostLen, $target, $len));
    }

    /**
     * Copies each event's data from where C has them. Many short ones are cut out of one string of all data instead,
     * which saves a tenth of the time. Long data it would copy twice, and with every ping also what has come of a long
     * message.
     *
     * @internal Connection::receive()
     *
     * @param string $bytes What was read, or the subprotocol.
     * @param string $function What takes them and returns a number of events.
     * @return list<Event>
     */
    public static function receive(
        ?CData &$handle,
        string $bytes,
        string $function = 'wsframe_connection_receive'
    ): array {
        $ffi = self::$ffi ?? self::ffi();
        $taken = $handle;
        $handle = null;
        try {
            $count = $ffi->$function($taken, $bytes, \strlen($bytes));
            if ($count <= 0) {
                self::did($taken, $count);
                return [];
            }
            $records = $ffi->wsframe_connection_events($taken);
            $lent = $ffi->new(self::$lent);
            $len = $ffi->wsframe_connection_data($taken, $lent);
            $data = $lent[0];
            $all = $len <= $count * 256 ? FFI::string($data, $len) : null;
            $events = [];
            for ($i = 0; $i < $count; $i++) {
                $record = $records[$i];
                $events[] = new Event(
                    $record->kind,
                    $record->flags,
                    $record->close_code,
                    $record->error,
                    $all === null
                        ? FFI::string($data + $record->offset, $record->length)
                        : \substr($all, $record->offset, $record->length),
                );
            }
            return $events;
        } finally {
            $handle = $taken;
        }
    }

    /**
     * @internal Connection::accept()
     *
     * @return list<Event>
     */
    public static function accept(?CData &$handle, string $subprotocol): array
    {
        return self::receive($handle, $subprotocol, 'wsframe_connection_accept');
    }

    /** @internal Connection::declineDeflate() */
    public static function declineDeflate(?CData &$handle): void
    {
        $ffi = self::$ffi ?? self::ffi();
        self::did($handle, $ffi->wsframe_connection_decline_deflate($handle));
    }

    /** @internal Connection::refuse() */
    public static function refuse(?CData &$handle, int $status, string $body): int
    {
        $ffi = self::$ffi ?? self::ffi();
        $status = self::number('status', $status, self::UINT32_MAX);
        $len = \strlen($body);
        return self::did($handle, $ffi->wsframe_connection_refuse($handle, $status, $body, $len));
    }

    /** @internal Connection::addField() */
    public static function addField(?CData &$handle, string $name, string $value): void
    {
        $ffi = self::$ffi ?? self::ffi();
        [$nameLen, $len] = [\strlen($name), \strlen($value)];
        self::did($handle, $ffi->wsframe_connection_add_field($handle, $name, $nameLen, $value, $len));
    }

    /** @internal Connection::sendText() and Connection::sendBinary() */
    public static function send(?CData &$handle, int $opcode, string $data, ?bool $compress): int
    {
        $ffi = self::$ffi ?? self::ffi();
        if ($compress !== null) {
            $opcode |= self::compress($compress);
        }
        $len = \strlen($data);
        return self::did($handle, $ffi->wsframe_connection_send($handle, $opcode, $data, $len));
    }

    /**
     * @internal Connection::sendMany()
     *
     * @param string[] $messages
     */
    public static function sendMany(?CData &$handle, int $opcode, array $messages, ?bool $compress): int
    {
        $ffi = self::$ffi ?? self::ffi();
        $opcode = self::number('opcode', $opcode, self::UINT32_MAX) | self::compress($compress);
        [$joined, $lens, $count] = self::joined($ffi, ...\array_values($messages));
        return self::did($handle, $ffi->wsframe_connection_send_many($handle, $opcode, $joined, $lens, $count));
    }

    /** @internal Connection::sendMessage() */
    public static function sendMessage(?CData &$handle, ?CData $message): int
    {
        $ffi = self::$ffi ?? self::ffi();
        return self::did($handle, $ffi->wsframe_connection_send_message($handle, $message));
    }

    /** @internal Connection::sendPiece() */
    public static function sendPiece(
        ?CData &$handle,
        int $opcode,
        string $piece,
        bool $last,
        ?bool $compress
    ): int {
        $ffi = self::$ffi ?? self::ffi();
        $opcode = self::number('opcode', $opcode, self::UINT32_MAX) | self::compress($compress);
        $len = \strlen($piece);
        return self::did(
            $handle,
            $ffi->wsframe_connection_send_piece($handle, $opcode, $piece, $len, (int) $last)
        );
    }

    /** @internal Connection::ping() */
    public static function ping(?CData &$handle, string $payload): int
    {
        $ffi = self::$ffi ?? self::ffi();
        $len = \strlen($payload);
        return self::did($handle, $ffi->wsframe_connection_ping($handle, $payload, $len));
    }

    /** @internal Connection::pong() */
    public static function pong(?CData &$handle, string $payload): int
    {
        $ffi = self::$ffi ?? self::ffi();
        $len = \strlen($payload);
        return self::did($handle, $ffi->wsframe_connection_pong($handle, $payload, $len));
    }

    /** @internal Connection::close() */
    public static function close(?CData &$handle, int $code, string $reason): int
    {
        $ffi = self::$ffi ?? self::ffi();
        $code = self::number('close code', $code, self::UINT32_MAX);
        $len = \strlen($reason);
        return self::did($handle, $ffi->wsframe_connection_close($handle, $code, $reason, $len));
    }

    /** @internal Connection::output() */
    public static function output(?CData &$handle, int $maxLen): string
    {
        self::number('length', $maxLen);
        return (string) self::lend($handle, 'wsframe_connection_output', null, $maxLen);
    }

    /** @internal Connection::sent() */
    public static function sent(?CData &$handle, int $len): int
    {
        $ffi = self::$ffi ?? self::ffi();
        return self::did($handle, $ffi->wsframe_connection_sent($handle, $len));
    }

    /** @internal Connection::tick() */
    public static function tick(?CData &$handle, int $nowMs): ?int
    {
        $ffi = self::$ffi ?? self::ffi();
        self::number('time', $nowMs);
        $waitMs = self::did($handle, $ffi->wsframe_connection_tick($handle, $nowMs));
        return $waitMs === self::NEVER ? null : $waitMs;
    }

    /** @internal Connection::state() */
    public static function state(?CData &$handle): int
    {
        $ffi = self::$ffi ?? self::ffi();
        return self::did($handle, $ffi->wsframe_connection_state($handle));
    }

    /** @internal Connection::error() */
    public static function sentence(?CData &$handle): ?string
    {
        // The sentence alone does not say that there is no connection.
        self::state($handle);
        return self::ffi()->wsframe_connection_error($handle);
    }

    /** @internal Connection::subprotocol() */
    public static function subprotocol(?CData &$handle): ?string
    {
        return self::lend($handle, 'wsframe_connection_subprotocol');
    }

    /** @internal Connection::deflate() */
    public static function deflate(?CData &$handle): ?Deflate
    {
        $ffi = self::$ffi ?? self::ffi();
        $record = $ffi->new(self::$deflate);
        $place = FFI::addr($record);
        if (self::did($handle, $ffi->wsframe_connection_deflate($handle, $place)) === 0) {
            return null;
        }
        return new Deflate(
            $record->server_no_context_takeover !== 0,
            $record->client_no_context_takeover !== 0,
            $record->server_max_window_bits,
            $record->client_max_window_bits,
        );
    }

    /** @internal Connection::target() */
    public static function target(?CData &$handle): ?string
    {
        return self::lend($handle, 'wsframe_connection_target');
    }

    /** @internal Connection::field() */
    public static function field(?CData &$handle, string $name): ?string
    {
        return self::lend($handle, 'wsframe_connection_field', $name);
    }

    /** @internal __serialize() and __unserialize() of what has a handle */
    public static function notSerializable(string $what): UsageError
    {
        return self::usageError("$what cannot be serialized");
    }

    /**
     * Makes FFI::scope() serve all requests. To be called while PHP starts up, by preload.php.
     *
     * @internal
     */
    public static function preload(): void
    {
        self::open(self::loadIntoScope(...));
    }

    private static function encode(int $opcode, int $flags, int $payloadLen, ?string $maskKey): string
    {
        $ffi = self::$ffi ?? self::ffi();
        $record = $ffi->new(self::$record);
        $record->opcode = $opcode;
        $record->flags = $flags;
        $record->payload_len = $payloadLen;
        if ($maskKey !== null) {
            FFI::memcpy($record->mask_key, self::key($maskKey), 4);
        }
        $out = $ffi->new(self::$headerBytes);
        return FFI::string($out, self::count($ffi->wsframe_header_build(FFI::addr($record), $out, self::HEADER_MAX)));
    }

    private static function newConnection(CData $handle, int $role, ?Config $config): void
    {
        $ffi = self::ffi();
        if ($config === null) {
            self::count($ffi->wsframe_connection_new($role, null, FFI::addr($handle)));
            return;
        }
        [$record, $texts] = self::config($ffi, $config);
        self::count($ffi->wsframe_connection_new($role, FFI::addr($record), FFI::addr($handle)));
    }

    /** @return array{CData, list<CData>} The record, and what it points to and has to be kept for as long. */
    private static function config(FFI $ffi, Config $config): array
    {
        $subprotocols = self::listed('subprotocol', ...\array_values($config->subprotocols));
        $origins = self::listed('origin', ...\array_values($config->origins));
        $extensions = $config->extensions ?? '';
        $texts = [self::copy($ffi, $subprotocols), self::copy($ffi, $origins), self::copy($ffi, $extensions)];

        $record = $ffi->new(self::$config);
        $record->struct_size = FFI::sizeof($record);
        $record->flags = ($config->ask ? $ffi->WSFRAME_CONFIG_ASK : 0)
            | ($config->pieces ? $ffi->WSFRAME_CONFIG_PIECES : 0)
            | ($config->manualPong ? $ffi->WSFRAME_CONFIG_MANUAL_PONG : 0)
            | ($config->startOpen ? $ffi->WSFRAME_CONFIG_START_OPEN : 0)
            | ($config->deflate ? $ffi->WSFRAME_CONFIG_DEFLATE : 0)
            | ($config->serverNoContextTakeover ? $ffi->WSFRAME_CONFIG_SERVER_NO_CONTEXT_TAKEOVER : 0)
            | ($config->clientNoContextTakeover ? $ffi->WSFRAME_CONFIG_CLIENT_NO_CONTEXT_TAKEOVER : 0)
            | ($config->acceptAnyMask ? $ffi->WSFRAME_CONFIG_ACCEPT_ANY_MASK : 0)
            | ($config->acceptLongLengths ? $ffi->WSFRAME_CONFIG_ACCEPT_LONG_LENGTHS : 0)
            | ($config->skipUtf8 ? $ffi->WSFRAME_CONFIG_SKIP_UTF8 : 0)
            | ($config->acceptAnyCloseCode ? $ffi->WSFRAME_CONFIG_ACCEPT_ANY_CLOSE_CODE : 0);
        $record->max_message_len = self::number('maxMessageLen', $config->maxMessageLen);
        $record->max_frame_len = self::number('maxFrameLen', $config->maxFrameLen);
        $record->max_output_len = self::number('maxOutputLen', $config->maxOutputLen);
        $record->max_fragments = self::number('maxFragments', $config->maxFragments, self::UINT32_MAX);
        $record->max_head_len = self::number('maxHeadLen', $config->maxHeadLen, self::UINT32_MAX);
        $record->max_head_fields = self::number('maxHeadFields', $config->maxHeadFields, self::UINT32_MAX);
        $record->handshake_timeout_ms = self::number(
            'handshakeTimeoutMs',
            $config->handshakeTimeoutMs,
            self::UINT32_MAX
        );
        $record->close_timeout_ms = self::number('closeTimeoutMs', $config->closeTimeoutMs, self::UINT32_MAX);
        $record->ping_interval_ms = self::number('pingIntervalMs', $config->pingIntervalMs, self::UINT32_MAX);
        $record->subprotocols = $ffi->cast('void *', FFI::addr($texts[0]));
        $record->subprotocols_len = \strlen($subprotocols);
        $record->origins = $ffi->cast('void *', FFI::addr($texts[1]));
        $record->origins_len = \strlen($origins);
        $record->deflate_min_len = self::number('deflateMinLen', $config->deflateMinLen, self::UINT32_MAX);
        $record->deflate_level = self::number('deflateLevel', $config->deflateLevel, self::UINT32_MAX);
        $record->server_max_window_bits = self::number(
            'serverMaxWindowBits',
            $config->serverMaxWindowBits,
            self::UINT32_MAX
        );
        $record->client_max_window_bits = self::number(
            'clientMaxWindowBits',
            $config->clientMaxWindowBits,
            self::UINT32_MAX
        );
        $record->extensions = $ffi->cast('void *', FFI::addr($texts[2]));
        $record->extensions_len = \strlen($extensions);
        return [$record, $texts];
    }

    /** C takes a list as text with commas. It would see other elements there, and no origins let everybody in. */
    private static function listed(string $what, string ...$elements): string
    {
        foreach ($elements as $element) {
            if ($element === '' || \str_contains($element, ',') || \trim($element) !== $element) {
                throw self::usageError(
                    "the $what '$element' is empty, or has a comma in it or white space around it"
                );
            }
        }
        return \implode(',', $elements);
    }

    /**
     * Strings as C takes many: one behind the other, their lengths, and how many they are. The lengths are those of
     * what was joined, whatever a signal handler does to the array meanwhile, because these arguments are of this call
     * alone. The loop takes half of the time of pack() and a copy.
     *
     * @return array{string, CData, int}
     */
    private static function joined(FFI $ffi, string ...$strings): array
    {
        $count = \count($strings);
        $lens = $ffi->new(FFI::arrayType(self::$size, [$count ?: 1]));
        $i = 0;
        foreach ($strings as $string) {
            $lens[$i++] = \strlen($string);
        }
        return [\implode('', $strings), $lens, $count];
    }

    /** What an opcode gets beside it for a say in whether the message is compressed. */
    private static function compress(?bool $compress): int
    {
        return $compress === null ? 0 : ($compress ? self::SEND_COMPRESSED : self::SEND_PLAIN);
    }

    private static function copy(FFI $ffi, string $text): CData
    {
        $len = \strlen($text);
        $copy = $ffi->new(FFI::arrayType(self::$byte, [$len ?: 1]));
        FFI::memcpy($copy, $text, $len);
        return $copy;
    }

    /**
     * Copies what a connection lends: the first $maxLen bytes of it, or null if C says NULL.
     *
     * @param string|null $name What the function takes between the handle and the place for the pointer, if anything.
     */
    private static function lend(
        ?CData &$handle,
        string $function,
        ?string $name = null,
        int $maxLen = \PHP_INT_MAX
    ): ?string {
        $ffi = self::$ffi ?? self::ffi();
        $taken = $handle;
        $handle = null;
        try {
            $lent = $ffi->new(self::$lent);
            $len = $name === null
                ? $ffi->$function($taken, $lent)
                : $ffi->$function($taken, $name, \strlen($name), $lent);
            self::did($taken, $len);
            $data = $lent[0];
            return $data === null ? null : FFI::string($data, $len < $maxLen ? $len : $maxLen);
        } finally {
            $handle = $taken;
        }
    }

    /** FFI would take a negative number for a huge one, and cut down what is too large. */
    private static function number(string $name, int $value, int $max = \PHP_INT_MAX): int
    {
        return $value >= 0 && $value <= $max
            ? $value
            : throw self::usageError("the $name $value is not in 0 to $max");
    }

    /** FFI would cut a larger number down to its lowest byte without a word. */
    private static function byte(string $name, int $value): int
    {
        return self::number($name, $value, 0xFF);
    }

    /** The library would read four bytes wherever they are. */
    private static function key(string $key): string
    {
        return \strlen($key) === 4
            ? $key
            : throw self::usageError('a masking key has 4 bytes, this one has ' . \strlen($key));
    }

    private static function count(int $returned): int
    {
        return $returned >= 0 ? $returned : throw self::error($returned);
    }

    /** What a connection has returned. */
    private static function did(?CData $handle, int $returned): int
    {
        return $returned >= 0 ? $returned : throw $handle === null ? self::noHandle() : self::error($returned);
    }

    private static function noHandle(): UsageError
    {
        return new UsageError(
            'the connection was freed, or a signal handler interrupted another call on it',
            self::ffi()->WSFRAME_ERROR_STATE
        );
    }

    private static function error(int $code): ProtocolError|UsageError
    {
        $message = self::ffi()->wsframe_strerror($code);
        return $code <= self::PEER_ERRORS
            ? new ProtocolError($message, $code, self::ffi()->wsframe_close_code($code))
            : new UsageError($message, $code);
    }

    private static function usageError(string $message): UsageError
    {
        return new UsageError($message, self::ffi()->WSFRAME_ERROR_ARGUMENT);
    }

    private static function dotted(int $version): string
    {
        return ($version >> 16) . '.' . ($version >> 8 & 0xFF) . '.' . ($version & 0xFF);
    }

    private static function ffi(): FFI
    {
        if (self::$ffi === null) {
            $ffi = self::open(static fn (string $place): FFI => FFI::cdef(self::definition(), $place));
            self::$record = $ffi->type('wsframe_header');
            self::$headerBytes = $ffi->type('char[' . self::HEADER_MAX . ']');
            self::$acceptBytes = $ffi->type('char[' . self::ACCEPT_LEN . ']');
            self::$shortBytes = $ffi->type('char[' . self::SHORT . ']');
            self::$byte = $ffi->type('char');
            self::$config = $ffi->type('wsframe_config');
            self::$handle = $ffi->type('wsframe_connection *');
            self::$lent = $ffi->type('const void *[1]');
            self::$message = $ffi->type('wsframe_message *');
            self::$deflate = $ffi->type('wsframe_deflate');
            self::$size = $ffi->type('size_t');
            self::$ffi = $ffi;
        }
        return self::$ffi;
    }

    /**
     * @param \Closure(string): FFI $load Loads the library from one place, unless PHP's start-up has loaded it.
     */
    private static function open(\Closure $load): FFI
    {
        if (\PHP_INT_SIZE < 8) {
            throw new \RuntimeException('libwsframe needs a 64-bit PHP: lengths do not fit the integers of this one.');
        }
        if (!\extension_loaded('ffi')) {
            throw new \RuntimeException('libwsframe needs the PHP extension ffi: enable it with extension=ffi.');
        }
        try {
            [$ffi, $place] = [FFI::scope(self::SCOPE), 'the FFI scope ' . self::SCOPE];
        } catch (FFI\Exception) {
            [$ffi, $place] = self::search($load);
        }
        self::check($ffi, $place);
        return $ffi;
    }

    /**
     * @param \Closure(string): FFI $load
     * @return array{FFI, string} The library and the place where it was.
     */
    private static function search(\Closure $load): array
    {
        try {
            FFI::cdef();
        } catch (FFI\Exception $exception) {
            throw new \RuntimeException(
                'libwsframe needs FFI, and this PHP forbids it: ' . $exception->getMessage()
                . '. Set ffi.enable=true in php.ini, or preload libwsframe with opcache.preload=preload.php.'
            );
        }
        $tried = [];
        foreach (self::places() as $why => $place) {
            try {
                return [$load($place), $place];
            } catch (FFI\Exception $exception) {
                $absent = \str_contains($place, '/') && !\file_exists($place);
                $tried[] = "\n  $place ($why): " . ($absent ? 'there is no such file' : $exception->getMessage());
            }
        }
        throw new \RuntimeException(
            'libwsframe could not be loaded. Tried:' . \implode('', $tried)
            . "\nSet the environment variable WSFRAME_LIBRARY to the path of a libwsframe built for this system."
        );
    }

    /** @return array<string, string> Why the library may be there => its path, or its name for the dynamic linker. */
    private static function places(): array
    {
        // From the process's environment only, never from what a web server passes on with a request.
        $named = \getenv('WSFRAME_LIBRARY', true);
        if ($named !== false && $named !== '') {
            return ['named by WSFRAME_LIBRARY' => $named];
        }
        [$file, $name] = \PHP_OS_FAMILY === 'Darwin'
            ? ['libwsframe.dylib', 'libwsframe.0.dylib']
            : ['libwsframe.so', 'libwsframe.so.0'];
        return ['beside the binding' => \dirname(__DIR__) . "/lib/$file", 'installed in the system' => $name];
    }

    private static function definition(): string
    {
        return \file_get_contents(self::DEFINITION);
    }

    /** Loads the library for all requests of this PHP; works during preloading only. */
    private static function loadIntoScope(string $place): FFI
    {
        // FFI::load() reads nothing but files, and wants two lines more than cdef().
        $file = \tempnam(\sys_get_temp_dir(), 'wsframe');
        try {
            $lines = '#define FFI_SCOPE "' . self::SCOPE . "\"\n#define FFI_LIB \"$place\"\n";
            \file_put_contents($file, $lines . self::definition());
            // While PHP preloads, a failure is a warning and null instead of an exception.
            return @FFI::load($file) ?? throw new FFI\Exception(\error_get_last()['message']);
        } finally {
            \unlink($file);
        }
    }

    /** A library that does not fit would not fail, it would answer nonsense. */
    private static function check(FFI $ffi, string $place): void
    {
        [$have, $want] = [$ffi->wsframe_version(), $ffi->WSFRAME_VERSION];
        if ($have >> 16 !== $want >> 16 || $have < $want) {
            throw new \RuntimeException(
                'libwsframe ' . self::dotted($have) . " ($place) does not fit this binding, which needs "
                . self::dotted($want) . ' or a later version with the same first number.'
            );
        }
        // A masked text frame of 5 bytes (RFC 6455 section 5.7).
        $frame = "\x81\x85\x37\xfa\x21\x3d";
        $record = $ffi->new('wsframe_header');
        $read = [
            $ffi->wsframe_header_parse($frame, 6, FFI::addr($record)),
            $record->payload_len,
            $record->opcode,
            $record->flags,
            $record->header_len,
            FFI::string($record->mask_key, 4),
            FFI::sizeof($record),
        ];
        if ($read !== [6, 5, Opcode::TEXT, Frame::FIN | self::MASK, 6, "\x37\xfa\x21\x3d", 16]) {
            throw new \RuntimeException("libwsframe ($place) and this binding differ in the layout of wsframe_header.");
        }
        [$config, $event] = self::probe($ffi);
        if ($config !== [0, 6455]) {
            throw new \RuntimeException("libwsframe ($place) and this binding differ in the layout of wsframe_config.");
        }
        if ($event !== [1, 0, 'bye', 1009, EventKind::CLOSE, 0, 0, 32]) {
            throw new \RuntimeException("libwsframe ($place) and this binding differ in the layout of wsframe_event.");
        }
    }

    /** @return array{list<int>, list<int|string>} What comes of a config and of a close frame. */
    private static function probe(FFI $ffi): array
    {
        $config = $ffi->new('wsframe_config');
        $config->struct_size = FFI::sizeof($config);
        $config->flags = $ffi->WSFRAME_CONFIG_START_OPEN;
        $config->ping_interval_ms = 6455;
        $handle = $ffi->new('wsframe_connection *');
        $made = $ffi->wsframe_connection_new($ffi->WSFRAME_ROLE_SERVER, FFI::addr($config), FFI::addr($handle));
        $waitMs = $ffi->wsframe_connection_tick($handle, 0);
        $count = $ffi->wsframe_connection_receive($handle, "\x88\x85\0\0\0\0\x03\xf1bye", 11);
        $event = $ffi->wsframe_connection_events($handle);
        $lent = $ffi->new('const void *[1]');
        $len = $ffi->wsframe_connection_data($handle, $lent);
        $read = $event === null || $len < 0 ? [] : [
            $count,
            $event->connection,
            \substr(FFI::string($lent[0], $len), $event->offset, $event->length),
            $event->close_code,
            $event->kind,
            $event->flags,
            $event->error,
            FFI::sizeof($event[0]),
        ];
        $ffi->wsframe_connection_free($handle);
        return [[$made, $waitMs], $read];
    }
}
