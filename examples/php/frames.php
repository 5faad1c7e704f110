<?php

require __DIR__ . '/../../bindings/php/autoload.php'; // with composer: vendor/autoload.php

use Wsframe\Frame;
use Wsframe\Opcode;

// The answer to a browser's opening handshake.
echo Frame::acceptKey('dGhlIHNhbXBsZSBub25jZQ=='), "\n";

// A frame from a browser, and one to it.
$received = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
$header = Frame::parse($received);
$text = Frame::unmask(substr($received, $header->headerLen, $header->payloadLen), $header->maskKey);
echo $text, "\n";
echo bin2hex(Frame::build(Opcode::FIN | Opcode::TEXT, $text)), "\n";
