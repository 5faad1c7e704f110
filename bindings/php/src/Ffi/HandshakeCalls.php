<?php

declare(strict_types=1);

namespace Wsframe\Ffi;

use FFI;
use Wsframe\Config;

/**
 * The calls of Handshake.
 *
 * @internal
 */
final class HandshakeCalls
{
    /** What an answer needs besides the subprotocol, as wsframe.h gives it, in bytes. */
    private const ANSWER_MAX = 1024;

    /** The longest Sec-WebSocket-Extensions of an answer, as wsframe.h gives it, in bytes. */
    private const EXTENSIONS_MAX = 128;

    private function __construct()
    {
    }

    public static function answer(string $head, Config $config): string
    {
        $ffi = Loader::ffi();
        $record = ConfigRecord::of($ffi, $config);
        $cap = self::ANSWER_MAX + ConfigRecord::subprotocolsLen($config);
        $out = $ffi->new("char[$cap]");
        $len = $ffi->wsframe_handshake_answer($head, \strlen($head), $record, $out, $cap);
        return FFI::string($out, Failure::none($len));
    }

    public static function extensions(string $offer, Config $config): ?string
    {
        $ffi = Loader::ffi();
        $record = ConfigRecord::of($ffi, $config);
        $out = $ffi->new('char[' . self::EXTENSIONS_MAX . ']');
        $len = $ffi->wsframe_extensions_answer($offer, \strlen($offer), $record, $out, self::EXTENSIONS_MAX);
        return Failure::none($len) === 0 ? null : FFI::string($out, $len);
    }
}
