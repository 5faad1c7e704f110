"""Which arguments the functions take, and that they leave them alone."""

import array
import concurrent.futures
import copy
import pickle
import sys

import pytest

from wsframe import Frame, Header, Opcode, ProtocolError, UsageError

FRAME = bytes.fromhex("818537fa213d7f9f4d5158")
KEY = FRAME[2:6]


class Impostor(bytes):
    """Says that it is longer than it is, which must not make the library read on."""

    def __len__(self):
        return 1 << 40


def strided(data: bytes) -> memoryview:
    """A view that is not contiguous."""
    return memoryview(b"".join(bytes([octet, 0xFF]) for octet in data))[::2]


def reversed_twice(data: bytes) -> memoryview:
    return memoryview(data[::-1])[::-1]


def cast(data: bytes) -> memoryview:
    """A view of items of two bytes; data must have an even length."""
    return memoryview(data).cast("H")


KINDS = [
    bytes,
    bytearray,
    memoryview,
    lambda data: memoryview(bytearray(data)),
    lambda data: memoryview(b"before" + data + b"behind")[6:-6],
    lambda data: memoryview(bytearray(b"before" + data + b"behind"))[6:-6],
    lambda data: memoryview(data).cast("c"),
    lambda data: array.array("B", data),
    strided,
    reversed_twice,
    Impostor,
]
KIND_NAMES = [
    "bytes",
    "bytearray",
    "memoryview",
    "writable memoryview",
    "slice",
    "writable slice",
    "chars",
    "array",
    "strided",
    "reversed",
    "impostor",
]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=KIND_NAMES)


@each_kind
def test_every_kind_of_buffer_is_taken(kind):
    assert Frame.parse(kind(FRAME[:6])) == Frame.parse(FRAME)
    assert Frame.unmask(kind(FRAME[6:]), kind(KEY)) == b"Hello"
    assert Frame.build(0x81, kind(b"Hello")) == b"\x81\x05Hello"
    assert Frame.utf8_check(kind("aé€".encode()[:5])) == 3
    assert Frame.accept_key(kind(b"dGhlIHNhbXBsZSBub25jZQ==")) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert Header(Opcode.TEXT, 5, mask_key=kind(KEY)).build() == FRAME[:6]


@each_kind
def test_every_kind_of_buffer_may_be_empty(kind):
    assert Frame.parse(kind(b"")) is None
    assert Frame.unmask(kind(b""), KEY) == b""
    assert Frame.build(0x81, kind(b"")) == b"\x81\x00"
    assert Frame.utf8_check(kind(b"")) == 0


def test_of_a_memoryview_the_bytes_count():
    assert Frame.parse(cast(FRAME[:6])) == Frame.parse(FRAME)
    assert Frame.parse(cast(b"\xff" * 7 + FRAME[:6] + b"\xff"), 7) == Frame.parse(FRAME)
    assert Frame.parse(cast(FRAME[:6]), 6) is None
    assert Frame.unmask(cast(FRAME[6:10]), KEY) == b"Hell"
    assert Frame.build(0x81, cast(b"Hell")) == b"\x81\x04Hell"
    assert Frame.build(0x81, memoryview(b"Hell").cast("B", (2, 2))) == b"\x81\x04Hell"
    assert Frame.parse(memoryview(b"\xff\xff" + FRAME[:6]).cast("B", (2, 4)), 2) == Frame.parse(FRAME)
    assert Frame.utf8_check(cast(b"Hell")) == 4
    with pytest.raises(UsageError):
        Frame.parse(cast(FRAME[:6]), 7)


@each_kind
@pytest.mark.parametrize("offset", [0, 1, 2, 3, 20])
def test_parse_begins_at_offset(kind, offset):
    data = kind(b"\xff" * offset + FRAME)
    assert Frame.parse(data, offset) == Frame.parse(FRAME)


def test_parse_at_the_end_needs_more_bytes():
    assert Frame.parse(FRAME, len(FRAME)) is None


def test_unmask_goes_on_at_offset():
    for cut in range(6):
        start, rest = FRAME[6 : 6 + cut], FRAME[6 + cut :]
        assert Frame.unmask(start, KEY) + Frame.unmask(rest, KEY, cut) == b"Hello"
    assert Frame.unmask(b"\0\0\0\0", KEY, sys.maxsize) == KEY[3:] + KEY[:3]


def test_what_is_given_is_not_changed():
    for size in (1, 5, 100):
        data = bytes(range(size))
        before = bytearray(data)
        assert Frame.unmask(data, b"\xff\xff\xff\xff") != data
        Frame.build(0x82, data)
        assert data == before


def test_results_are_objects_of_their_own():
    # One byte, because Python keeps only one object for each bytes object of that length.
    first, second = Frame.unmask(b"a", b"\x01\0\0\0"), Frame.unmask(b"a", b"\x02\0\0\0")
    assert (first, second, b"a"[:1], bytes([ord("a")])) == (b"`", b"c", b"a", b"a")
    assert sys.getrefcount(Frame.build(0x81, b"a")) == sys.getrefcount(bytes(bytearray(3)))


@pytest.mark.parametrize("view", [bytearray, memoryview])
@pytest.mark.parametrize(
    ("call", "data", "error"),
    [
        (Frame.parse, FRAME, None),
        (lambda data: Frame.unmask(data, KEY), FRAME, None),
        (lambda data: Frame.build(0x82, data), FRAME, None),
        (Frame.utf8_check, b"abc", None),
        (Frame.parse, b"\x83\x00", ProtocolError),
        (lambda data: Frame.parse(data, 99), FRAME, UsageError),
        (lambda data: Frame.parse(data, "0"), FRAME, TypeError),
        (lambda data: Frame.unmask(data, b""), FRAME, UsageError),
        (lambda data: Frame.build(0x83, data), FRAME, UsageError),
        (Frame.utf8_check, b"\xff", ProtocolError),
        (Frame.accept_key, b"\xff", ProtocolError),
    ],
)
def test_a_bytearray_can_be_resized_when_the_call_is_over(view, call, data, error):
    buffer = bytearray(data)
    argument = buffer if view is bytearray else memoryview(buffer)
    caught = None
    try:
        call(argument)
    except (ProtocolError, UsageError, TypeError) as raised:
        caught = raised  # kept, and with it the frames of the traceback
    assert type(caught) is (error or type(None))
    if argument is not buffer:
        argument.release()
    buffer.append(0)


@pytest.mark.parametrize("wrong", [None, 5, 5.0, [1, 2], object()])
def test_what_lends_no_bytes_is_a_type_error(wrong):
    for call in (
        lambda: Frame.parse(wrong),
        lambda: Frame.unmask(wrong, KEY),
        lambda: Frame.unmask(b"", wrong),
        lambda: Frame.build(0x81, wrong),
        lambda: Frame.utf8_check(wrong),
        lambda: Frame.accept_key(wrong),
    ):
        with pytest.raises(TypeError):
            call()


def test_text_is_a_type_error_except_as_accept_key():
    for call in (
        lambda: Frame.parse("\x81\x00"),
        lambda: Frame.unmask("text", KEY),
        lambda: Frame.unmask(b"", "key!"),
        lambda: Frame.build(0x81, "text"),
        lambda: Frame.utf8_check("text"),
        lambda: Header(Opcode.TEXT, 0, mask_key="key!").build(),
    ):
        with pytest.raises(TypeError, match="bytes-like object"):
            call()


@pytest.mark.parametrize("wrong", [None, 1.0, "1", b"1"])
def test_what_is_no_integer_is_a_type_error(wrong):
    for call in (
        lambda: Frame.parse(FRAME, wrong),
        lambda: Frame.parse(bytearray(FRAME), wrong),
        lambda: Frame.parse(memoryview(FRAME), wrong),
        lambda: Frame.unmask(FRAME, KEY, wrong),
        lambda: Frame.build(wrong, b""),
        lambda: Header(wrong, 0).build(),
        lambda: Header(Opcode.TEXT, wrong).build(),
    ):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Frame.parse(FRAME, -1), "offset is -1, but must be 0 to 11"),
        (lambda: Frame.parse(FRAME, 12), "offset is 12, but must be 0 to 11"),
        (lambda: Frame.parse(bytearray(FRAME), -1), "offset is -1, but must be 0 to 11"),
        (lambda: Frame.parse(memoryview(FRAME), 12), "offset is 12, but must be 0 to 11"),
        (lambda: Frame.parse(FRAME, 2**64), f"offset is {2**64}, but must be 0 to 11"),
        (lambda: Frame.unmask(FRAME, KEY, -1), f"offset is -1, but must be 0 to {sys.maxsize}"),
        (lambda: Frame.unmask(FRAME, KEY, 2**64), f"offset is {2**64}, but must be 0 to {sys.maxsize}"),
        (lambda: Frame.unmask(FRAME, KEY[:3]), "a masking key has 4 bytes, not 3 (RFC 6455 section 5.3)"),
        (lambda: Frame.unmask(b"", KEY + b"!"), "a masking key has 4 bytes, not 5 (RFC 6455 section 5.3)"),
        (lambda: Frame.build(300, b""), "first_byte is 300, but must be 0 to 255"),
        (lambda: Frame.build(-1, b""), "first_byte is -1, but must be 0 to 255"),
        (lambda: Frame.build(2**32 + 0x81, b""), f"first_byte is {2**32 + 0x81}, but must be 0 to 255"),
        (lambda: Header(0x101, 0).build(), "opcode is 257, but must be 0 to 255"),
        (lambda: Header(1, 2**64).build(), f"payload_len is {2**64}, but must be 0 to {2**64 - 1}"),
        (lambda: Header(1, -1).build(), f"payload_len is -1, but must be 0 to {2**64 - 1}"),
        (
            lambda: Header(1, 0, mask_key=b"").build(),
            "a masking key has 4 bytes, not 0 (RFC 6455 section 5.3)",
        ),
    ],
)
def test_what_is_out_of_range_is_a_usage_error_that_says_so(call, message):
    with pytest.raises(UsageError) as caught:
        call()
    assert str(caught.value) == message
    assert caught.value.code == -1


def test_errors_survive_a_way_to_another_process():
    with pytest.raises(ProtocolError) as protocol:
        Frame.utf8_check(b"\xff")
    for error in (protocol.value, UsageError("a sentence", -3)):
        for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))


def test_many_threads_at_once_do_not_meet():
    def work(number: int) -> None:
        key = bytes([number, 0, number, 255])
        for size in range(number, 70_000, 9973):
            payload = bytes([number]) * size
            frame = Frame.build(Opcode.FIN | Opcode.TEXT, payload)
            header = Frame.parse(frame)
            assert header.payload_len == size
            assert frame[header.header_len :] == payload
            masked = Frame.unmask(payload, key)
            assert masked[:4] == bytes([0, number, 0, number ^ 255])[:size]
            assert Frame.unmask(masked, key) == payload
            assert Frame.utf8_check(payload) == size
            assert Frame.parse(Header(Opcode.TEXT, size, mask_key=key).build()).mask_key == key
            with pytest.raises(ProtocolError):
                Frame.parse(b"\x83")

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(work, number % 128) for number in range(160)]:
            done.result()
