"""What the functions answer, by the examples and rules of RFC 6455."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsframe import Frame, Header, Opcode, ProtocolError, UsageError, version

KEY = b"\x37\xfa\x21\x3d"
OPCODES = [opcode for opcode in Opcode if opcode <= Opcode.PONG]


def naive_unmask(data: bytes, key: bytes, offset: int) -> bytes:
    """The formula of RFC 6455 section 5.3."""
    return bytes(octet ^ key[(offset + i) % 4] for i, octet in enumerate(data))


def test_accept_key_of_the_rfc():
    assert Frame.accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    "key",
    [
        "",
        "dGhlIHNhbXBsZSBub25jZQ",
        " dGhlIHNhbXBsZSBub25jZQ==",
        "AAAA",
        "dGhlIHNhbXBsZSBub25jZQ==\0",
        "ä",
        "\udcff",
    ],
)
def test_accept_key_refuses_what_is_not_the_base64_of_16_bytes(key):
    with pytest.raises(ProtocolError, match="base64 of 16 bytes") as caught:
        Frame.accept_key(key)
    assert (caught.value.code, caught.value.close_code) == (-32, 0)


# RFC 6455 section 5.7: the sentence there, the bytes of the header, what they mean, the payload.
RFC_EXAMPLES = [
    ("a single-frame unmasked text message", "8105", Header(Opcode.TEXT, 5, header_len=2), b"Hello"),
    (
        "a single-frame masked text message",
        "818537fa213d",
        Header(Opcode.TEXT, 5, mask_key=KEY, header_len=6),
        bytes.fromhex("7f9f4d5158"),
    ),
    ("a fragmented message, first frame", "0103", Header(Opcode.TEXT, 3, fin=False, header_len=2), b"Hel"),
    ("a fragmented message, last frame", "8002", Header(Opcode.CONTINUATION, 2, header_len=2), b"lo"),
    ("an unmasked ping", "8905", Header(Opcode.PING, 5, header_len=2), b"Hello"),
    (
        "a masked pong",
        "8a8537fa213d",
        Header(Opcode.PONG, 5, mask_key=KEY, header_len=6),
        bytes.fromhex("7f9f4d5158"),
    ),
    ("256 bytes of binary", "827e0100", Header(Opcode.BINARY, 256, header_len=4), bytes(256)),
    ("64 KiB of binary", "827f0000000000010000", Header(Opcode.BINARY, 65536, header_len=10), bytes(65536)),
]


@pytest.mark.parametrize(("what", "start", "header", "payload"), RFC_EXAMPLES)
def test_examples_of_the_rfc(what, start, header, payload):
    start = bytes.fromhex(start)
    assert Frame.parse(start + payload) == header, what
    assert header.build() == start
    if header.masked:
        assert Frame.unmask(payload, header.mask_key) == b"Hello"
        assert Frame.unmask(b"Hello", header.mask_key) == payload
    else:
        assert Frame.build(start[0], payload) == start + payload


@pytest.mark.parametrize(
    ("payload_len", "length_on_the_wire"),
    [
        (0, "00"),
        (1, "01"),
        (125, "7d"),
        (126, "7e007e"),
        (127, "7e007f"),
        (65535, "7effff"),
        (65536, "7f0000000000010000"),
    ],
)
def test_each_length_takes_its_shortest_form(payload_len, length_on_the_wire):
    payload = b"x" * payload_len
    frame = Frame.build(Opcode.FIN | Opcode.BINARY, payload)
    assert frame == b"\x82" + bytes.fromhex(length_on_the_wire) + payload
    assert Frame.parse(frame) == Header(Opcode.BINARY, payload_len, header_len=len(frame) - payload_len)


def test_the_largest_length():
    header = Header(Opcode.BINARY, 2**63 - 1, mask_key=KEY)
    assert header.build() == b"\x82\xff\x7f" + b"\xff" * 7 + KEY
    assert Frame.parse(header.build()) == header._replace(header_len=14)


@pytest.mark.parametrize("payload_len", [0, 125, 126, 65535, 65536, 2**63 - 1])
@pytest.mark.parametrize("mask_key", [None, KEY])
def test_every_piece_of_a_header_needs_more_bytes(payload_len, mask_key):
    header = Header(Opcode.TEXT, payload_len, mask_key=mask_key).build()
    assert [Frame.parse(header[:cut]) for cut in range(len(header))] == [None] * len(header)
    assert Frame.parse(header).header_len == len(header)


def test_every_bit_of_the_first_byte_has_its_field():
    bits = {"fin": Opcode.FIN, "rsv1": Opcode.RSV1, "rsv2": Opcode.RSV2, "rsv3": Opcode.RSV3}
    for name, bit in bits.items():
        header = Header(Opcode.BINARY, 0, **{**dict.fromkeys(bits, False), name: True}, header_len=2)
        assert header.build() == bytes([bit | Opcode.BINARY, 0])
        assert Frame.parse(header.build()) == header


@pytest.mark.parametrize("opcode", OPCODES)
def test_every_opcode_comes_back_as_itself(opcode):
    assert Frame.parse(Frame.build(Opcode.FIN | opcode, b"")).opcode is opcode


def test_masked_is_having_a_mask_key_of_zeroes_too():
    header = Frame.parse(b"\x81\x80\0\0\0\0")
    assert header.masked
    assert header.mask_key == bytes(4)
    assert not Frame.parse(b"\x81\x00").masked


@pytest.mark.parametrize("name", Header._fields)
def test_a_header_cannot_be_changed(name):
    with pytest.raises(AttributeError):
        setattr(Frame.parse(b"\x81\x00"), name, 0)


@pytest.mark.parametrize(
    ("what", "start"),
    [
        *((f"reserved opcode {opcode}", [0x80 | opcode]) for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]),
        ("fragmented close", [0x08]),
        ("fragmented ping", [0x09]),
        ("ping of 126 bytes", [0x89, 126]),
        ("125 in the 16-bit form", [0x82, 126, 0, 125]),
        ("65535 in the 64-bit form", [0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]),
        ("top bit of a 64-bit length", [0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_parse_refuses_what_breaks_the_rules_of_framing(what, start):
    with pytest.raises(ProtocolError, match=r"\(RFC 6455 section 5\.[25]\)") as caught:
        Frame.parse(bytes(start))
    assert (caught.value.code, caught.value.close_code) == (-33, 1002), what


@pytest.mark.parametrize(
    ("what", "header"),
    [
        ("reserved opcode", Header(3, 0)),
        ("opcode with a flag in it", Header(0x81, 0)),
        ("fragmented ping", Header(Opcode.PING, 0, fin=False)),
        ("ping of 126 bytes", Header(Opcode.PING, 126)),
        ("top bit of the length", Header(Opcode.TEXT, 2**63)),
    ],
)
def test_header_build_refuses_what_the_rfc_forbids(what, header):
    with pytest.raises(UsageError, match=r"RFC 6455 section 5\.[25]|2\^63") as caught:
        header.build()
    assert caught.value.code == -1, what


@pytest.mark.parametrize(
    ("what", "first_byte", "payload"),
    [
        ("reserved opcode", Opcode.FIN | 3, b""),
        ("fragmented ping", Opcode.PING, b""),
        ("close of 126 bytes", Opcode.FIN | Opcode.CLOSE, bytes(126)),
    ],
)
def test_frame_build_refuses_what_the_rfc_forbids(what, first_byte, payload):
    with pytest.raises(UsageError, match=r"RFC 6455 section 5\.[25]|2\^63") as caught:
        Frame.build(first_byte, payload)
    assert caught.value.code == -1, what


def test_utf8_check_counts_whole_characters_at_every_cut():
    text = "κόσμε €𐍈 a"
    octets = text.encode()
    ends = [len(text[:count].encode()) for count in range(len(text) + 1)]
    for cut in range(len(octets) + 1):
        assert Frame.utf8_check(octets[:cut]) == max(end for end in ends if end <= cut)


@pytest.mark.parametrize("data", [b"a\x80", b"\xc0\x80", b"\xed\xa0", b"\xf4\x90", b"\xff", b"\xe2\x82a"])
def test_utf8_check_refuses_what_cannot_become_utf8(data):
    with pytest.raises(ProtocolError, match="not UTF-8") as caught:
        Frame.utf8_check(data)
    assert (caught.value.code, caught.value.close_code) == (-34, 1007)


def test_version_is_that_of_the_library_as_text():
    major, minor, patch = version().split(".")
    assert (int(major), int(minor)) >= (0, 1)
    assert patch.isdigit()


opcodes = st.sampled_from(OPCODES)
keys = st.binary(min_size=4, max_size=4)


@pytest.mark.parametrize("size", [1, 2, 4, 28, 16383, 16384])
def test_what_is_returned_has_its_bytes_for_itself(size):
    zeros = bytes(size)
    masked = Frame.unmask(zeros, b"abcd")
    assert zeros == bytes(size) == b"\0" * size
    assert masked == (b"abcd" * size)[:size]
    assert masked is not Frame.unmask(zeros, b"abcd")


@given(opcode=opcodes, rsv=st.integers(0, 7), payload=st.binary(max_size=70_000))
def test_what_is_built_is_parsed(opcode, rsv, payload):
    if opcode >= Opcode.CLOSE:
        payload = payload[:125]
    frame = Frame.build(Opcode.FIN | rsv << 4 | opcode, payload)
    header = Frame.parse(frame)
    assert (header.opcode, header.fin, header.mask_key) == (opcode, True, None)
    assert (header.rsv1, header.rsv2, header.rsv3) == (rsv & 4 != 0, rsv & 2 != 0, rsv & 1 != 0)
    assert frame[header.header_len :] == payload
    assert header.payload_len == len(payload)


@given(
    header=st.builds(
        Header,
        opcode=st.sampled_from([Opcode.CONTINUATION, Opcode.TEXT, Opcode.BINARY]),
        payload_len=st.one_of(st.integers(0, 70_000), st.integers(0, 2**63 - 1)),
        fin=st.booleans(),
        rsv1=st.booleans(),
        rsv2=st.booleans(),
        rsv3=st.booleans(),
        mask_key=st.none() | keys,
    )
)
def test_a_header_that_is_built_is_parsed(header):
    octets = header.build()
    assert Frame.parse(octets) == header._replace(header_len=len(octets))


@given(data=st.binary(max_size=300), key=keys, offset=st.integers(0, 2**63 - 1))
def test_unmask_is_the_formula_of_the_rfc(data, key, offset):
    assert Frame.unmask(data, key, offset) == naive_unmask(data, key, offset)


@given(data=st.binary(max_size=100))
def test_parse_of_anything_reads_it_or_blames_the_peer(data):
    with contextlib.suppress(ProtocolError):
        header = Frame.parse(data)
        assert header is None or 2 <= header.header_len <= min(len(data), 14)


@given(data=st.one_of(st.binary(max_size=50), st.text(max_size=50).map(str.encode)))
def test_utf8_check_agrees_with_python(data):
    try:
        data.decode()
        expected = len(data)
    except UnicodeDecodeError as error:
        expected = error.start if error.reason == "unexpected end of data" else None
    if expected is None:
        with pytest.raises(ProtocolError):
            Frame.utf8_check(data)
    else:
        assert Frame.utf8_check(data) == expected
