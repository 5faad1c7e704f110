<?php

declare(strict_types=1);

namespace Wsframe;

/**
 * Who is at the other end of a connection: a client, as the callbacks of a Server see it. Its methods return false where it
 * is gone, and never throw for what it does.
 */
final class Peer
{
    /** Whatever the application wants to know of this client. */
    public mixed $data = null;

    /** @var iterable<Event> What accept() has brought, for the server. */
    private iterable $events = [];

    /** @internal Whether the application was told that it is open. */
    public bool $isTold = false;

    /** @internal Whether a callback has failed for it: no message comes from it any more. */
    public bool $hasFailed = false;

    /**
     * @internal Made by this package only.
     *
     * @param int $id The id of the connection in the hub; no other has had or will have it.
     */
    public function __construct(
        public readonly Application $owner,
        private readonly Hub $hub,
        public readonly int $id,
    ) {
    }

    /**
     * Sends a message. Returns false if the peer misses it: it is gone or not let in yet, or does not take what it is
     * sent, so that more than the config's highWaterLen waits.
     *
     * @param int $kind Opcode::TEXT or Opcode::BINARY; an echo passes on what the message had.
     * @param bool|null $compress As for Connection::send().
     * @param bool $more As for Connection::send(): this is a piece of a message, and not the last.
     *
     * @throws UsageError If the text is not UTF-8, or $kind is another one; if the pieces of another message are not
     *     finished.
     */
    public function send(string $data, int $kind = Opcode::TEXT, ?bool $compress = null, bool $more = false): bool
    {
        return $this->hub->send($this->id, $kind, $data, $compress, $more);
    }

    /**
     * Closes the connection; messages that are on their way still come. Returns false if it is over already.
     *
     * @param int $code A close code that may be sent, or 1005 for none.
     * @param string $reason UTF-8 of at most 123 bytes.
     *
     * @throws UsageError For another code or reason (ErrorCode::ARGUMENT), and before it is open (STATE).
     */
    public function close(int $code = 1000, string $reason = ''): bool
    {
        return ($this->connection()?->close($code, $reason) ?? 0) > 0;
    }

    /** Ends TCP at once, without a word; false if it is gone already. */
    public function terminate(): bool
    {
        return $this->hub->terminate($this->id);
    }

    /** Reads no more from it until resume(); false if it is gone. See Hub::pause(). */
    public function pause(): bool
    {
        return $this->hub->pause($this->id);
    }

    /** Reads on from it; false if it is gone. */
    public function resume(): bool
    {
        return $this->hub->resume($this->id);
    }

    /** Says where it is, for instance "192.0.2.1:50000"; null when it is gone. See Hub::address(). */
    public function address(): ?string
    {
        return $this->hub->address($this->id);
    }

    /**
     * Lets the peer have what is published on a topic, until it ends. A second time does nothing.
     *
     * @throws UsageError If the name is empty.
     */
    public function subscribe(string $topic): bool
    {
        return $this->hub->subscribe($this->id, $topic);
    }

    /**
     * The opposite of subscribe().
     *
     * @throws UsageError If the name is empty.
     */
    public function unsubscribe(string $topic): bool
    {
        return $this->hub->unsubscribe($this->id, $topic);
    }

    /**
     * Sends a message to all that have subscribed to a topic, or to all if it is '', but not to this peer. Returns to how
     * many; those of other workers get it as well, and are not counted.
     *
     * @param int $kind As for send().
     * @param bool|null $compress As for send().
     *
     * @throws UsageError As send().
     */
    public function publish(string $topic, string $data, int $kind = Opcode::TEXT, ?bool $compress = null): int
    {
        return $this->owner->loop->publish($topic, $data, $kind, $this->id, $compress);
    }

    /**
     * Returns the path and query of the request, for instance "/chat?room=1". They are there for the callbacks of
     * "request" and "open"; afterwards it is null.
     */
    public function target(): ?string
    {
        return $this->connection()?->target();
    }

    /**
     * Returns the value of the first field of the request with this name, whatever the case of its letters; null if
     * there is none, or if it is empty. It is there as long as target() is.
     */
    public function field(string $name): ?string
    {
        return $this->connection()?->field($name);
    }

    /** Returns whether messages can be sent. */
    public function isOpen(): bool
    {
        return $this->connection()?->state() === State::OPEN;
    }

    /**
     * Adds a field to the response, before accept() or respond().
     *
     * @throws UsageError As Connection::addField().
     */
    public function addField(string $name, string $value): void
    {
        $this->connection()?->addField($name, $value);
    }

    /**
     * Lets in a peer that asks, in the callback of "request"; "open" is called after it. Returns false if there is
     * nothing to accept: the request is plain HTTP, was answered already, or its peer is gone.
     *
     * @param string|null $subprotocol One that the client offered; null lets the config's list decide.
     * @param bool $deflate False does without permessage-deflate for this peer although the config has it.
     *
     * @throws UsageError If the subprotocol was not offered.
     */
    public function accept(?string $subprotocol = null, bool $deflate = true): bool
    {
        try {
            $this->events = $this->connection()?->accept($subprotocol, $deflate) ?? [];
        } catch (UsageError $refused) {
            return $refused->getCode() === ErrorCode::STATE ? false : throw $refused;
        }
        return $this->events !== [];
    }

    /**
     * Answers a peer that asks with an HTTP status from 200 to 599, the fields that were added, and a body: a page, or
     * why it is not let in. Its connection ends then.
     *
     * @throws UsageError If no request waits (ErrorCode::STATE), or for another status (ARGUMENT).
     */
    public function respond(int $status, string $body = ''): bool
    {
        return ($this->connection()?->respond($status, $body) ?? 0) > 0;
    }

    /**
     * @internal What accept() has brought, once.
     *
     * @return iterable<Event>
     */
    public function events(): iterable
    {
        [$events, $this->events] = [$this->events, []];
        return $events;
    }

    /** @internal Whether its request waits for an answer. */
    public function isAsking(): bool
    {
        return $this->connection()?->state() === State::ASKED;
    }

    private function connection(): ?Connection
    {
        return $this->hub->connection($this->id);
    }
}
