<?php

/*
 * An echo server as one writes it by hand, for turn.py, on nothing but PHP's streams. It knows whole messages, pings and
 * close frames, but no fragments and no limits, and does not check that text is UTF-8.
 */

declare(strict_types=1);

/** How the frames that are known begin, and the answers to them. */
const ANSWERS = ["\x81" => "\x81", "\x82" => "\x82", "\x88" => "\x88", "\x89" => "\x8a"];

final class Client
{
    /** What has come of a frame, or of the request. */
    private string $in = '';
    /** What is to be written. */
    public string $out = '';
    private bool $isOpen = false;
    public bool $ends = false;

    public function __construct(private mixed $stream)
    {
        stream_set_blocking($stream, false);
        stream_set_read_buffer($stream, 0);
    }

    public function read(): void
    {
        $read = fread($this->stream, 1 << 17);
        $this->in .= $read;
        if ($read === '' || $read === false) {
            $this->ends = true;
        } elseif ($this->isOpen) {
            $this->answer();
        } elseif (str_ends_with($this->in, "\r\n\r\n")) {
            $this->accept();
        }
    }

    public function write(): void
    {
        $taken = $this->out === '' ? 0 : @fwrite($this->stream, $this->out);
        $this->ends = $this->ends || $taken === false;
        $this->out = $taken === false || $taken === strlen($this->out) ? '' : substr($this->out, $taken);
    }

    private function accept(): void
    {
        $this->ends = preg_match('/^Sec-WebSocket-Key:\s*(\S+)/mi', $this->in, $key) !== 1;
        $accept = base64_encode(sha1(($key[1] ?? '') . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11', true));
        $this->out = $this->ends
            ? "HTTP/1.1 400 Bad Request\r\n\r\n"
            : "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                . "Sec-WebSocket-Accept: $accept\r\n\r\n";
        [$this->in, $this->isOpen] = ['', true];
    }

    /** Answers the frames that have come as a whole. */
    private function answer(): void
    {
        [$in, $at, $size, $out] = [$this->in, 0, strlen($this->in), ''];
        while ($at + 6 <= $size && !$this->ends) {
            $len = ord($in[$at + 1]) - 0x80;
            $key = $at + 2;
            if ($len <= 125) {
                $head = chr($len);
            } else {
                $key += $len === 126 ? 2 : 8;
                if ($key + 4 > $size) {
                    break;
                }
                $head = chr($len) . substr($in, $at + 2, $key - $at - 2);
                $len = unpack($len === 126 ? 'n' : 'J', $in, $at + 2)[1];
            }
            $first = ANSWERS[$in[$at]] ?? null;
            if ($first === null || $len < 0) { // no such frame, not masked, or longer than there are numbers
                [$this->ends, $out] = [true, "$out\x88\x02\x03\xea"];
                break;
            }
            $end = $key + 4 + $len;
            if ($end > $size) {
                break;
            }
            $payload = substr($in, $key + 4, $len) ^ str_repeat(substr($in, $key, 4), $len + 3 >> 2);
            $out .= "$first$head$payload";
            $this->ends = $first === "\x88";
            $at = $end;
        }
        $this->in = $at === $size ? '' : substr($in, $at);
        $this->out = $out;
    }
}

$context = stream_context_create(['socket' => ['tcp_nodelay' => true, 'backlog' => 1024]]);
$server = stream_socket_server('tcp://127.0.0.1:0', context: $context);
echo stream_socket_get_name($server, false), "\n";

// By number: all, and the streams of those that are read from and of those that have to take something first.
[$clients, $readers, $writers] = [[], [$server], []];
while (true) {
    [$readable, $writable, $others] = [$readers, $writers, null];
    stream_select($readable, $writable, $others, null);
    foreach ($readable + $writable as $id => $stream) {
        if ($id === 0) {
            $stream = stream_socket_accept($server);
            $id = get_resource_id($stream);
            [$clients[$id], $readers[$id]] = [new Client($stream), $stream];
            continue;
        }
        $client = $clients[$id];
        if ($client->out === '') {
            $client->read();
        }
        $client->write();
        if ($client->out !== '') {
            unset($readers[$id]);
            $writers[$id] = $stream;
        } elseif ($client->ends) {
            unset($clients[$id], $readers[$id], $writers[$id]);
            fclose($stream);
        } elseif (isset($writers[$id])) {
            unset($writers[$id]);
            $readers[$id] = $stream;
        }
    }
}
