<?php

declare(strict_types=1);

namespace Wsframe;

use FFI\CData;

/**
 * A message that is checked and compressed once, and sent on many connections:
 *
 *     $message = Message::text($news, $config);
 *     foreach ($connections as $connection) {
 *         $connection->sendMessage($message);
 *     }
 *
 * It does not change. Its memory comes back when it is not used any more.
 */
final class Message
{
    private ?CData $handle = null;

    private function __construct()
    {
        $this->handle = Library::newMessageHandle();
    }

    /**
     * Prepares a text message.
     *
     * @param Config|null $config That of the connections it is meant for. If it does not say deflate, the message is
     *     not compressed.
     * @param bool|null $compress As for Connection::sendText().
     *
     * @throws UsageError If the text is not UTF-8, or the config is wrong.
     */
    public static function text(string $text, ?Config $config = null, ?bool $compress = null): self
    {
        $message = new self();
        Library::newMessage($message->handle, Opcode::TEXT, $text, $config, $compress);
        return $message;
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
        $message = new self();
        Library::newMessage($message->handle, Opcode::BINARY, $bytes, $config, $compress);
        return $message;
    }

    /** @internal Connection::sendMessage(), whose handle this is. */
    public function sendOn(?CData &$connection): int
    {
        return Library::sendMessage($connection, $this->handle);
    }

    public function __destruct()
    {
        Library::releaseMessage($this->handle);
    }

    /** Two objects would free one message. */
    private function __clone()
    {
    }

    public function __serialize(): never
    {
        throw Library::notSerializable('a message');
    }

    public function __unserialize(array $data): never
    {
        throw Library::notSerializable('a message');
    }
}
