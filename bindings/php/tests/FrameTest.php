<?php

declare(strict_types=1);

namespace Wsframe\Tests;

use PHPUnit\Framework\TestCase;
use Wsframe\Frame;
use Wsframe\Header;
use Wsframe\Opcode;
use Wsframe\ProtocolError;
use Wsframe\UsageError;

final class FrameTest extends TestCase
{
    public function testAcceptKeyOfTheRfc(): void
    {
        self::assertSame('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=', Frame::acceptKey('dGhlIHNhbXBsZSBub25jZQ=='));
    }

    /** @dataProvider wrongKeys */
    public function testAcceptKeyRefusesWhatIsNotTheBase64OfSixteenBytes(string $key): void
    {
        self::assertProtocolError(-32, 0, static fn () => Frame::acceptKey($key));
    }

    public static function wrongKeys(): array
    {
        return [
            'empty' => [''],
            '15 bytes' => [base64_encode(str_repeat('a', 15))],
            '17 bytes' => [base64_encode(str_repeat('a', 17))],
            'white space' => [' dGhlIHNhbXBsZSBub25jZQ=='],
            'no base64' => ['dGhlIHNhbXBsZSBub25jZ!=='],
        ];
    }

    /**
     * RFC 6455 section 5.7, and each form of the length at its ends.
     *
     * @dataProvider headers
     */
    public function testParse(string $hex, Header $expected): void
    {
        $frame = hex2bin($hex) . 'payload';

        self::assertEquals($expected, Frame::parse($frame));
        self::assertEquals($expected, Frame::parse("before$frame", strlen('before')));
    }

    /** @dataProvider headers */
    public function testParseAsksForMoreAtEverySplit(string $hex, Header $expected): void
    {
        $header = hex2bin($hex);
        for ($len = 0; $len < strlen($header); $len++) {
            self::assertNull(Frame::parse(substr($header, 0, $len)), "$len bytes");
            self::assertNull(Frame::parse('before' . substr($header, 0, $len), strlen('before')), "$len bytes");
        }
        self::assertEquals($expected, Frame::parse($header));
    }

    public static function headers(): array
    {
        $key = "\x37\xfa\x21\x3d";
        return [
            'text' => ['8105', new Header(Opcode::TEXT, 5, headerLen: 2)],
            'masked text' => ['818537fa213d', new Header(Opcode::TEXT, 5, maskKey: $key, headerLen: 6)],
            'first fragment' => ['0103', new Header(Opcode::TEXT, 3, fin: false, headerLen: 2)],
            'last fragment' => ['8002', new Header(Opcode::CONTINUATION, 2, headerLen: 2)],
            'ping' => ['8905', new Header(Opcode::PING, 5, headerLen: 2)],
            'masked pong' => ['8a8537fa213d', new Header(Opcode::PONG, 5, maskKey: $key, headerLen: 6)],
            '256 bytes' => ['827e0100', new Header(Opcode::BINARY, 256, headerLen: 4)],
            '64 KiB' => ['827f0000000000010000', new Header(Opcode::BINARY, 65536, headerLen: 10)],
            'close' => ['8800', new Header(Opcode::CLOSE, 0, headerLen: 2)],
            '125 bytes' => ['827d', new Header(Opcode::BINARY, 125, headerLen: 2)],
            '126 bytes' => ['827e007e', new Header(Opcode::BINARY, 126, headerLen: 4)],
            '65535 bytes' => ['827effff', new Header(Opcode::BINARY, 65535, headerLen: 4)],
            'the longest' => [
                '82ff7fffffffffffffff37fa213d',
                new Header(Opcode::BINARY, PHP_INT_MAX, maskKey: $key, headerLen: 14),
            ],
            'RSV1' => ['c100', new Header(Opcode::TEXT, 0, rsv1: true, headerLen: 2)],
            'RSV2' => ['a100', new Header(Opcode::TEXT, 0, rsv2: true, headerLen: 2)],
            'RSV3' => ['9100', new Header(Opcode::TEXT, 0, rsv3: true, headerLen: 2)],
            'a key of zeroes' => [
                '818000000000',
                new Header(Opcode::TEXT, 0, maskKey: "\0\0\0\0", headerLen: 6),
            ],
        ];
    }

    /** @dataProvider wrongHeaders */
    public function testParseRefuses(string $hex): void
    {
        $data = hex2bin($hex);

        self::assertProtocolError(-33, 1002, static fn () => Frame::parse($data));
        self::assertProtocolError(-33, 1002, static fn () => Frame::parse("before$data", strlen('before')));
    }

    public static function wrongHeaders(): array
    {
        return [
            'reserved opcode 3' => ['8300'],
            'reserved opcode 15' => ['8f00'],
            'ping without FIN' => ['0900'],
            'ping of 126 bytes' => ['897e007e'],
            '125 bytes in the form for 126' => ['827e007d'],
            '65535 bytes in the form for 65536' => ['827f000000000000ffff'],
            'top bit of the length' => ['827f8000000000000000'],
        ];
    }

    /** @dataProvider wrongOffsets */
    public function testParseRefusesAnOffsetOutsideTheData(string $data, int $offset): void
    {
        self::assertUsageError("the offset $offset ", static fn () => Frame::parse($data, $offset));
    }

    public static function wrongOffsets(): array
    {
        return [['', 1], ['abc', 4], ['abc', -1], ['abc', PHP_INT_MAX], ['abc', PHP_INT_MIN]];
    }

    public function testUnmaskOfTheRfc(): void
    {
        self::assertSame('Hello', Frame::unmask("\x7f\x9f\x4d\x51\x58", "\x37\xfa\x21\x3d"));
    }

    public function testUnmaskAgreesWithTheFormulaOfTheRfc(): void
    {
        mt_srand(6455);
        for ($len = 0; $len <= 300; $len++) {
            $data = self::randomBytes($len);
            $key = self::randomBytes(4);
            foreach ([0, 1, 2, 3, 4, 300, 2 ** 32 + 1, PHP_INT_MAX - 3] as $offset) {
                $expected = '';
                for ($i = 0; $i < $len; $i++) {
                    $expected .= $data[$i] ^ $key[($i + $offset % 4) % 4];
                }
                self::assertSame($expected, Frame::unmask($data, $key, $offset), "$len bytes at $offset");
            }
        }
    }

    public function testUnmaskInPiecesEqualsUnmaskAtOnce(): void
    {
        mt_srand(6455);
        $data = self::randomBytes(200_000);
        $key = self::randomBytes(4);
        for ($unmasked = '', $at = 0; $at < strlen($data); $at = strlen($unmasked)) {
            $unmasked .= Frame::unmask(substr($data, $at, mt_rand(1, 70_000)), $key, $at);
        }

        self::assertSame(Frame::unmask($data, $key), $unmasked);
        self::assertSame($data, Frame::unmask($unmasked, $key));
    }

    /** PHP shares a string between all variables it was assigned to: writing to one would change them all. */
    public function testUnmaskChangesNoStringThatExists(): void
    {
        $data = str_repeat("\x7f", 20);
        $copy = $data;
        $key = "\x37\xfa\x21\x3d";
        $first = Frame::unmask($data, $key);
        $second = Frame::unmask($copy, "\0\0\0\0");

        self::assertSame('7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f', bin2hex($data));
        self::assertSame('7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f', bin2hex($copy));
        self::assertSame('37fa213d', bin2hex($key));
        self::assertSame('48855e4248855e4248855e4248855e4248855e42', bin2hex($first));
        self::assertSame($copy, $second);
    }

    /**
     * With pcntl_async_signals() a handler runs between any two steps of the binding, also between the call that
     * writes a result and the one that reads it.
     *
     * @requires extension pcntl
     */
    public function testASignalHandlerMayUseTheLibraryToo(): void
    {
        $signals = 0;
        pcntl_async_signals(true);
        pcntl_signal(SIGUSR1, static function () use (&$signals): void {
            $signals++;
            Frame::unmask('another text', "\0\0\0\0");
            Frame::parse(Frame::build(Opcode::FIN | Opcode::PING, ''));
        });
        $sender = proc_open(['sh', '-c', 'while kill -USR1 ' . getmypid() . '; do :; done'], [], $pipes);
        $wrong = 0;
        for ($deadline = time() + 30; $signals < 300 && time() < $deadline;) {
            $frame = Frame::build(Opcode::TEXT, '123');
            $wrong += $frame === "\x01\x03123" ? 0 : 1;
            $wrong += Frame::parse($frame)->payloadLen === 3 ? 0 : 1;
            $wrong += Frame::unmask('a longer text', "\0\0\0\0") === 'a longer text' ? 0 : 1;
        }
        proc_terminate($sender);
        proc_close($sender);
        pcntl_signal(SIGUSR1, SIG_DFL);
        pcntl_async_signals(false);

        self::assertSame(0, $wrong);
        self::assertGreaterThanOrEqual(300, $signals);
    }

    /** @dataProvider wrongMaskKeys */
    public function testUnmaskRefusesAKeyThatDoesNotHaveFourBytes(string $key): void
    {
        self::assertUsageError('a masking key has 4 bytes', static fn () => Frame::unmask('data', $key));
        self::assertUsageError('a masking key has 4 bytes', static fn () => Frame::unmask('', $key));
    }

    public static function wrongMaskKeys(): array
    {
        return [[''], ['abc'], ['abcde']];
    }

    public function testUnmaskRefusesANegativeOffset(): void
    {
        self::assertUsageError('the offset -1 is negative', static fn () => Frame::unmask('data', 'abcd', -1));
    }

    /** @dataProvider builtFrames */
    public function testBuild(int $firstByte, string $payload, string $header): void
    {
        self::assertSame(hex2bin($header) . $payload, Frame::build($firstByte, $payload));
    }

    public static function builtFrames(): array
    {
        return [
            'text of the RFC' => [Opcode::FIN | Opcode::TEXT, 'Hello', '8105'],
            'first fragment of the RFC' => [Opcode::TEXT, 'Hel', '0103'],
            'last fragment of the RFC' => [Opcode::FIN | Opcode::CONTINUATION, 'lo', '8002'],
            'ping of the RFC' => [Opcode::FIN | Opcode::PING, 'Hello', '8905'],
            '256 bytes of the RFC' => [Opcode::FIN | Opcode::BINARY, str_repeat('a', 256), '827e0100'],
            '64 KiB of the RFC' => [Opcode::FIN | Opcode::BINARY, str_repeat('a', 65536), '827f0000000000010000'],
            'RSV bits' => [Opcode::FIN | Opcode::RSV1 | Opcode::RSV2 | Opcode::RSV3 | Opcode::TEXT, 'a', 'f101'],
            '0 bytes' => [Opcode::FIN | Opcode::CLOSE, '', '8800'],
            '1 byte' => [Opcode::FIN | Opcode::PONG, 'a', '8a01'],
            '125 bytes' => [Opcode::FIN | Opcode::TEXT, str_repeat('a', 125), '817d'],
            '126 bytes' => [Opcode::FIN | Opcode::TEXT, str_repeat('a', 126), '817e007e'],
            '65535 bytes' => [Opcode::FIN | Opcode::TEXT, str_repeat('a', 65535), '817effff'],
        ];
    }

    /** @dataProvider wrongFrames */
    public function testBuildRefuses(int $firstByte, string $payload, string $message): void
    {
        self::assertUsageError($message, static fn () => Frame::build($firstByte, $payload));
    }

    public static function wrongFrames(): array
    {
        return [
            'first byte of 256' => [256, '', 'the first byte 256 '],
            'first byte below 0' => [-1, '', 'the first byte -1 '],
            'first byte whose low 32 bits are right' => [2 ** 32 + 0x81, '', 'the first byte 4294967425 '],
            'reserved opcode' => [Opcode::FIN | 3, '', 'the opcode is reserved'],
            'control frame without FIN' => [Opcode::PING, '', 'must have the FIN bit'],
            'control frame of 126 bytes' => [Opcode::FIN | Opcode::PING, str_repeat('a', 126), 'at most 125 bytes'],
        ];
    }

    public function testWhatWasBuiltIsParsed(): void
    {
        mt_srand(6455);
        $opcodes = [Opcode::CONTINUATION, Opcode::TEXT, Opcode::BINARY, Opcode::CLOSE, Opcode::PING, Opcode::PONG];
        for ($round = 0; $round < 500; $round++) {
            $opcode = $opcodes[array_rand($opcodes)];
            $control = $opcode >= Opcode::CLOSE;
            $flags = mt_rand(0, 15) << 4 | ($control ? Opcode::FIN : 0);
            $payload = self::randomBytes(mt_rand(0, $control ? 125 : 2 ** mt_rand(1, 17)));
            $before = self::randomBytes(mt_rand(0, 3));

            $frame = Frame::build($flags | $opcode, $payload);
            $header = Frame::parse($before . $frame, strlen($before));

            $read = ($header->fin ? Opcode::FIN : 0) | ($header->rsv1 ? Opcode::RSV1 : 0)
                | ($header->rsv2 ? Opcode::RSV2 : 0) | ($header->rsv3 ? Opcode::RSV3 : 0);
            self::assertSame([$opcode, $flags], [$header->opcode, $read]);
            self::assertFalse($header->masked);
            self::assertSame(strlen($payload), $header->payloadLen);
            self::assertSame($payload, substr($frame, $header->headerLen));
        }
    }

    public function testUtf8CheckCountsWholeCharacters(): void
    {
        $text = 'κόσμε €𐍈';
        for ($len = 0; $len <= strlen($text); $len++) {
            $piece = substr($text, 0, $len);
            self::assertSame(strlen(mb_strcut($text, 0, $len, 'UTF-8')), Frame::utf8Check($piece), "$len bytes");
        }
        self::assertSame(100_000, Frame::utf8Check(str_repeat('a', 100_000)));
    }

    /** @dataProvider wrongTexts */
    public function testUtf8CheckRefuses(string $text): void
    {
        self::assertProtocolError(-34, 1007, static fn () => Frame::utf8Check($text));
    }

    public static function wrongTexts(): array
    {
        return [
            'continuation byte alone' => ["a\x80"],
            'over-long form' => ["\xc0\xaf"],
            'surrogate' => ["\xed\xa0\x80"],
            'above U+10FFFF' => ["\xf4\x90"],
            'byte that is never used' => ["\xff"],
            'character cut short by another' => ["\xe2\x82a"],
        ];
    }

    private static function assertProtocolError(int $code, int $closeCode, \Closure $call): void
    {
        try {
            $call();
        } catch (ProtocolError $error) {
            self::assertSame([$code, $closeCode], [$error->getCode(), $error->closeCode]);
            self::assertNotSame('', $error->getMessage());
            return;
        }
        self::fail('no ProtocolError');
    }

    private static function assertUsageError(string $message, \Closure $call): void
    {
        try {
            $call();
        } catch (UsageError $error) {
            self::assertSame(-1, $error->getCode());
            self::assertStringContainsString($message, $error->getMessage());
            return;
        }
        self::fail('no UsageError');
    }

    /** Seeded with mt_srand(), so that a failure can be repeated. */
    private static function randomBytes(int $len): string
    {
        for ($bytes = ''; strlen($bytes) < $len;) {
            $bytes .= pack('V', mt_rand(0, 2 ** 31 - 1) << 1 ^ mt_rand(0, 2 ** 31 - 1));
        }
        return substr($bytes, 0, $len);
    }
}
