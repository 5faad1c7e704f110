//! The one list of failures: each has a code for the program, a close code for the peer and a sentence for the log.

#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::fmt;

/// What a function returns instead of a count when it failed. Each code stands for a different thing to do next.
///
/// Codes from -1 down to -31 are about the call: mend the program. Codes from -32 down are the peer's fault: end that
/// one connection. A number is never given a new meaning.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// An argument cannot be right: NULL with a length, a length or flag out of range, buffers that overlap, a frame
    /// that RFC 6455 does not allow to be sent. Nothing was done.
    Argument = -1,
    /// The handle cannot do this now: it failed before, or is closed.
    State = -2,
    /// The output buffer is too small. Nothing was written; call again with a larger one.
    Space = -3,
    /// Memory could not be allocated.
    Memory = -4,
    /// A defect in the library, kept from harming the process. Please report it.
    Internal = -5,
    /// The operating system refused; errno says why.
    Io = -6,
    /// The peer's opening handshake is not one (RFC 6455 section 4). Answer it with HTTP status 400.
    Handshake = -32,
    /// The peer broke a framing rule (RFC 6455 section 5). Close with 1002.
    Protocol = -33,
    /// The peer sent text that is not UTF-8 (RFC 6455 section 8.1). Close with 1007.
    Utf8 = -34,
    /// The peer sent more than the limits allow. Close with 1009.
    TooBig = -35,
    /// The peer did what this endpoint does not want. Close with 1008.
    Policy = -36,
}

impl ErrorCode {
    const ALL: [Self; 11] = [
        Self::Argument,
        Self::State,
        Self::Space,
        Self::Memory,
        Self::Internal,
        Self::Io,
        Self::Handshake,
        Self::Protocol,
        Self::Utf8,
        Self::TooBig,
        Self::Policy,
    ];

    /// The code whose number is `number`, if there is one.
    #[must_use]
    pub fn from_number(number: isize) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as isize == number)
    }

    /// The close code that tells the peer (RFC 6455 section 7.4.1), or 0 where no close frame is due: before the
    /// opening handshake is done, and for the caller's own mistakes.
    #[must_use]
    pub const fn close_code(self) -> u16 {
        match self {
            Self::Argument | Self::State | Self::Space | Self::Io | Self::Handshake => 0,
            Self::Protocol => 1002,
            Self::Utf8 => 1007,
            Self::Policy => 1008,
            Self::TooBig => 1009,
            Self::Memory | Self::Internal => 1011,
        }
    }

    /// What happened, as a sentence for the log.
    #[must_use]
    pub const fn sentence(self) -> &'static CStr {
        match self {
            Self::Argument => c"an argument is NULL, out of range, overlapping, or asks for a frame that RFC 6455 forbids",
            Self::State => c"the handle failed or was closed before and takes no more calls",
            Self::Space => c"the output buffer is too small",
            Self::Memory => c"out of memory",
            Self::Internal => c"a defect in libwsframe was caught; please report it",
            Self::Io => c"the operating system refused; see errno",
            Self::Handshake => c"the Sec-WebSocket-Key is not the base64 of 16 bytes (RFC 6455 section 4.2.1)",
            Self::Protocol => {
                c"the frame header has a reserved opcode, a fragmented control frame, a control frame over 125 bytes, or a length that is not minimal or above 2^63-1 (RFC 6455 sections 5.2 and 5.5)"
            }
            Self::Utf8 => c"the text is not UTF-8 (RFC 6455 section 8.1)",
            Self::TooBig => c"the peer sent more than the limits allow",
            Self::Policy => c"the peer broke this endpoint's policy",
        }
    }
}

/// Why a call failed, to the exact cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Error {
    /// A pointer is NULL although bytes are to be read or written there.
    NullPointer,
    /// A length is above `isize::MAX`, more than any object in memory can have.
    LengthOutOfRange,
    /// Input and output share bytes.
    BuffersOverlap,
    /// A bit is set that has no meaning: first byte above 255, an unknown header flag, a reserved field.
    UnknownBits,
    /// The frame to build has a reserved opcode.
    BuildReservedOpcode,
    /// The frame to build is a control frame without FIN.
    BuildFragmentedControl,
    /// The frame to build is a control frame of more than 125 bytes.
    BuildOversizedControl,
    /// The frame to build has a payload of more than 2^63-1 bytes.
    BuildOversizedPayload,
    /// The output has another length than the input that is copied to it.
    LengthsDiffer,
    /// The output buffer cannot hold the result.
    OutputTooSmall,
    /// The library panicked and the guard at the C border caught it.
    Panicked,
    /// The Sec-WebSocket-Key is not the base64 of 16 bytes.
    InvalidKey,
    /// The opcode is 3-7 or 11-15.
    ReservedOpcode,
    /// A control frame has no FIN bit.
    FragmentedControl,
    /// A control frame announces more than 125 bytes.
    OversizedControl,
    /// The length would have fitted a shorter form.
    LengthNotMinimal,
    /// The most significant bit of a 64-bit length is set.
    LengthTopBit,
    /// A byte cannot be part of UTF-8 where it stands.
    InvalidUtf8,
}

impl Error {
    /// The code a C caller gets for this failure.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::NullPointer
            | Self::LengthOutOfRange
            | Self::BuffersOverlap
            | Self::UnknownBits
            | Self::BuildReservedOpcode
            | Self::BuildFragmentedControl
            | Self::BuildOversizedControl
            | Self::BuildOversizedPayload
            | Self::LengthsDiffer => ErrorCode::Argument,
            Self::OutputTooSmall => ErrorCode::Space,
            Self::Panicked => ErrorCode::Internal,
            Self::InvalidKey => ErrorCode::Handshake,
            Self::ReservedOpcode
            | Self::FragmentedControl
            | Self::OversizedControl
            | Self::LengthNotMinimal
            | Self::LengthTopBit => ErrorCode::Protocol,
            Self::InvalidUtf8 => ErrorCode::Utf8,
        }
    }

    /// The exact cause as a sentence for the log.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NullPointer => "a pointer is NULL although its length is not 0",
            Self::LengthOutOfRange => "a length is above the largest that an object in memory can have",
            Self::BuffersOverlap => "the input and the output overlap",
            Self::UnknownBits => "a bit is set in the first byte, the flags or a reserved field that has no meaning",
            Self::BuildReservedOpcode => "the opcode is reserved (RFC 6455 section 5.2)",
            Self::BuildFragmentedControl => "a control frame must have the FIN bit (RFC 6455 section 5.5)",
            Self::BuildOversizedControl => "a control frame carries at most 125 bytes (RFC 6455 section 5.5)",
            Self::BuildOversizedPayload => "a payload is at most 2^63-1 bytes long (RFC 6455 section 5.2)",
            Self::LengthsDiffer => "the output is not as long as the input",
            Self::OutputTooSmall => "the output buffer is too small",
            Self::Panicked => "a defect in libwsframe was caught; please report it",
            Self::InvalidKey => "the Sec-WebSocket-Key is not the base64 of 16 bytes (RFC 6455 section 4.2.1)",
            Self::ReservedOpcode => "the peer used a reserved opcode (RFC 6455 section 5.2)",
            Self::FragmentedControl => "the peer fragmented a control frame (RFC 6455 section 5.5)",
            Self::OversizedControl => "the peer sent a control frame of more than 125 bytes (RFC 6455 section 5.5)",
            Self::LengthNotMinimal => "the peer did not use the shortest form of the length (RFC 6455 section 5.2)",
            Self::LengthTopBit => "the peer set the top bit of a 64-bit length (RFC 6455 section 5.2)",
            Self::InvalidUtf8 => "the text is not UTF-8 (RFC 6455 section 8.1)",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers are part of the ABI: a new code gets a new number, an old number never a new meaning.
    #[test]
    fn numbers_and_close_codes_are_pinned() {
        let pinned = [
            (ErrorCode::Argument, -1, 0),
            (ErrorCode::State, -2, 0),
            (ErrorCode::Space, -3, 0),
            (ErrorCode::Memory, -4, 1011),
            (ErrorCode::Internal, -5, 1011),
            (ErrorCode::Io, -6, 0),
            (ErrorCode::Handshake, -32, 0),
            (ErrorCode::Protocol, -33, 1002),
            (ErrorCode::Utf8, -34, 1007),
            (ErrorCode::TooBig, -35, 1009),
            (ErrorCode::Policy, -36, 1008),
        ];
        assert_eq!(pinned.map(|(code, ..)| code), ErrorCode::ALL);
        for (code, number, close_code) in pinned {
            assert_eq!(ErrorCode::from_number(number), Some(code));
            assert_eq!(code.close_code(), close_code, "{code:?}");
            assert!(code.sentence().to_str().is_ok_and(|sentence| !sentence.is_empty()));
        }
    }

    #[test]
    fn other_numbers_are_no_code() {
        for number in [isize::MIN, -37, -31, -7, 0, 1, isize::MAX] {
            assert_eq!(ErrorCode::from_number(number), None);
        }
    }
}
