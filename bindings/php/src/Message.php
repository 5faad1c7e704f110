<?php

declare(strict_types=1);

namespace Wsframe;

use Wsframe\Ffi\Failure;
use Wsframe\Ffi\Prepared;

/**
 * A message that is checked and compressed once, and sent on many connections:
 *
 *     $message = Message::text($news, $config);
 *     foreach ($connections as $connection) {
 *         $connection->trySend($message);
 *     }
 *
 * It does not change. Its memory comes back when it is not used any more.
 */
final class Message
{
    /** @internal See text() and binary(). */
    public function __construct(public readonly Prepared $prepared)
    {
    }

    /**
     * Prepares a text message.
     *
     * @param Config|null $config That of the connections it is meant for. If it does not say deflate, the message is
     *     not compressed.
     * @param bool|null $compress As for Connection::send().
     *
     * @throws UsageError If the text is not UTF-8, or the config is wrong.
     */
    public static function text(string $text, ?Config $config = null, ?bool $compress = null): self
    {
        return new self(new Prepared(Opcode::TEXT, $text, $config, $compress));
    }

    /**
     * Prepares a binary message.
     *
     * @param Config|null $config As for text().
     * @param bool|null $compress As for text().
     *
     * @throws UsageError If the config is wrong.
     */
    public static function binary(string $bytes, ?Config $config = null, ?bool $compress = null): self
    {
        return new self(new Prepared(Opcode::BINARY, $bytes, $config, $compress));
    }

    /** Two objects would be one message. */
    private function __clone()
    {
    }

    public function __serialize(): never
    {
        throw Failure::argument('a message cannot be serialized');
    }

    public function __unserialize(array $data): never
    {
        throw Failure::argument('a message cannot be unserialized');
    }
}
