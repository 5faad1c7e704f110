<?php

declare(strict_types=1);

namespace Wsframe\Tests;

use PHPUnit\Framework\TestCase;
use Wsframe\Frame;
use Wsframe\Header;
use Wsframe\Opcode;
use Wsframe\UsageError;

final class HeaderTest extends TestCase
{
    public function testAMaskedFrameOfTheRfc(): void
    {
        $key = "\x37\xfa\x21\x3d";
        $header = new Header(opcode: Opcode::TEXT, payloadLen: 5, maskKey: $key);

        self::assertTrue($header->masked);
        self::assertSame('818537fa213d7f9f4d5158', bin2hex($header->build() . Frame::unmask('Hello', $key)));
    }

    /** Equal numbers of bytes are equal headers, whether parsed or not: only headerLen tells them apart. */
    public function testWhatWasBuiltIsParsed(): void
    {
        mt_srand(6455);
        foreach ([0, 1, 125, 126, 65535, 65536, 2 ** 32, PHP_INT_MAX] as $payloadLen) {
            for ($flags = 0; $flags < 32; $flags++) {
                $parts = [
                    'opcode' => mt_rand(Opcode::CONTINUATION, Opcode::BINARY),
                    'payloadLen' => $payloadLen,
                    'fin' => (bool) ($flags & 1),
                    'rsv1' => (bool) ($flags & 2),
                    'rsv2' => (bool) ($flags & 4),
                    'rsv3' => (bool) ($flags & 8),
                    'maskKey' => $flags & 16 ? pack('V', mt_rand()) : null,
                ];
                $bytes = (new Header(...$parts))->build();

                self::assertEquals(new Header(...$parts, headerLen: strlen($bytes)), Frame::parse($bytes));
                self::assertSame($bytes, Frame::parse($bytes)->build());
            }
        }
    }

    /** @dataProvider wrongHeaders */
    public function testBuildRefuses(Header $header, string $message): void
    {
        $this->expectException(UsageError::class);
        $this->expectExceptionCode(-1);
        $this->expectExceptionMessage($message);

        $header->build();
    }

    public static function wrongHeaders(): array
    {
        return [
            'reserved opcode' => [new Header(3, 0), 'the opcode is reserved'],
            'opcode above a byte' => [new Header(256 + Opcode::TEXT, 0), 'the opcode 257 '],
            'opcode below 0' => [new Header(-1, 0), 'the opcode -1 '],
            'negative length' => [new Header(Opcode::TEXT, -1), 'at most 2^63-1 bytes'],
            'control frame without FIN' => [new Header(Opcode::PING, 0, fin: false), 'must have the FIN bit'],
            'control frame of 126 bytes' => [new Header(Opcode::PING, 126), 'at most 125 bytes'],
            'key of three bytes' => [new Header(Opcode::TEXT, 0, maskKey: 'abc'), 'a masking key has 4 bytes'],
            'key of five bytes' => [new Header(Opcode::TEXT, 0, maskKey: 'abcde'), 'a masking key has 4 bytes'],
            'empty key' => [new Header(Opcode::TEXT, 0, maskKey: ''), 'a masking key has 4 bytes'],
        ];
    }
}
