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
    /// The handle cannot do this now, for instance send before the connection is open. It is well, unless a defect was
    /// caught on it (-5). Nothing was done.
    State = -2,
    /// There is no room: the output buffer is too small, or more output waits than the config's high_water_len. Nothing was
    /// done; call again with a larger buffer, or when the peer has taken some.
    Space = -3,
    /// Memory could not be allocated. Nothing was done.
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
    /// The peer had its time: for the opening handshake, to answer a ping, or to answer a close frame.
    Timeout = -37,
}

impl ErrorCode {
    const ALL: [Self; 12] = [
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
        Self::Timeout,
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
            Self::Argument | Self::State | Self::Space | Self::Io | Self::Handshake | Self::Timeout => 0,
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
            Self::State => c"the handle cannot do this now",
            Self::Space => c"there is no room: the output buffer is too small, or too much output waits already",
            Self::Memory => c"out of memory",
            Self::Internal => c"a defect in libwsframe was caught; please report it",
            Self::Io => c"the operating system refused; see errno",
            Self::Handshake => c"the opening handshake is not one, or the key is not the base64 of 16 bytes (RFC 6455 section 4)",
            Self::Protocol => {
                c"the frame header has a reserved opcode, a fragmented control frame, a control frame over 125 bytes, or a length that is not minimal or above 2^63-1 (RFC 6455 sections 5.2 and 5.5)"
            }
            Self::Utf8 => c"the text is not UTF-8 (RFC 6455 section 8.1)",
            Self::TooBig => c"the peer sent more than the limits allow",
            Self::Policy => c"the peer broke this endpoint's policy",
            Self::Timeout => c"the peer did not answer in time",
        }
    }
}

const fn c_string(sentence: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(sentence.as_bytes()) {
        Ok(sentence) => sentence,
        Err(_) => c"",
    }
}

/// Writes the list of failures: the exact cause, the code it belongs to, and its sentence, which is also its
/// documentation.
macro_rules! failures {
    ($($cause:ident $code:ident $sentence:literal)*) => {
        /// Why a call failed, to the exact cause.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[allow(rustdoc::broken_intra_doc_links, reason = "[::] is no link")]
        pub enum Error {
            $(#[doc = $sentence] $cause,)*
        }

        impl Error {
            /// The code a C caller gets for this failure.
            #[must_use]
            pub const fn code(self) -> ErrorCode {
                match self {
                    $(Self::$cause => ErrorCode::$code,)*
                }
            }

            /// The exact cause as a sentence for the log.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                self.c_sentence().to_str().unwrap_or_default()
            }

            /// The same with a NUL behind it, for C.
            pub(crate) const fn c_sentence(self) -> &'static CStr {
                match self {
                    $(Self::$cause => const { c_string(concat!($sentence, "\0")) },)*
                }
            }
        }
    };
}

failures! {
    // The call was wrong.
    NullPointer             Argument  "a pointer is NULL although its length is not 0, or a handle or a record is NULL"
    LengthOutOfRange        Argument  "a length is above the largest that an object in memory can have"
    SentTooMuch             Argument  "more is said to be sent than output waits"
    BuffersOverlap          Argument  "the input and the output overlap"
    UnknownBits             Argument  "a bit is set in the first byte, the flags or a reserved field that has no meaning"
    UnknownRole             Argument  "the role is neither WSFRAME_ROLE_SERVER nor WSFRAME_ROLE_CLIENT"
    LengthsDiffer           Argument  "the output is not as long as the input"
    BuildReservedOpcode     Argument  "the opcode is reserved (RFC 6455 section 5.2)"
    BuildFragmentedControl  Argument  "a control frame must have the FIN bit (RFC 6455 section 5.5)"
    BuildOversizedControl   Argument  "a control frame carries at most 125 bytes (RFC 6455 section 5.5)"
    BuildOversizedPayload   Argument  "a payload is at most 2^63-1 bytes long (RFC 6455 section 5.2)"
    SendNotData             Argument  "what is sent is a text or binary message, a ping or a pong; a prepared one is text or binary (RFC 6455 section 5.6)"
    SendUnknownBits         Argument  "beside the opcode only MORE and one of PLAIN and COMPRESSED may be set, and none with a ping or pong"
    SendInvalidUtf8         Argument  "the text to send is not UTF-8 (RFC 6455 section 8.1)"
    SendInvalidCloseCode    Argument  "the close code may not be sent: only 1000 to 1003, 1007 to 1014, 3000 to 4999, and 1005 for none (RFC 6455 section 7.4)"
    SendLongCloseReason     Argument  "a close reason has at most 123 bytes (RFC 6455 section 5.5)"
    InvalidField            Argument  "the field name is no token, the value has a control character, or the library writes this field itself"
    InvalidHost             Argument  "the host is empty, or has anything but a name or address and a port in it (RFC 6455 section 4.1)"
    InvalidTarget           Argument  "the request target does not begin with a slash, or has a space, a # or a control character in it (RFC 6455 section 4.1)"
    InvalidStatus           Argument  "the HTTP status of a response is from 200 to 599"
    InvalidSubprotocol      Argument  "the subprotocol was not offered by the client (RFC 6455 section 4.2.2)"
    ConfigSize              Argument  "struct_size of the config is not sizeof(wsframe_config), or fields are set that this version does not know"
    ConfigFlag              Argument  "the config has an unknown flag"
    ConfigText              Argument  "a text of the config is not UTF-8, or a list has nothing but commas and white space in it"
    ConfigSubprotocol       Argument  "a subprotocol of the config is no token (RFC 6455 section 4.1)"
    ConfigOrigin            Argument  "an origin of the config is none that a browser sends: it is scheme://host or scheme://host:port in lower case, without a default port, a path or a slash at its end (RFC 6454 section 6.2)"
    ConfigHeadFields        Argument  "max_head_fields of the config is above 1000"
    ConfigDeflateLevel      Argument  "deflate_level of the config is not from 1 to 9"
    ConfigWindowBits        Argument  "server_max_window_bits and client_max_window_bits of the config are from 9 to 15"
    HubConfigSize           Argument  "struct_size of the hub's config is not sizeof(wsframe_hub_config), or fields are set that this version does not know"
    InvalidAddress          Argument  "the address to listen at is none: it is 127.0.0.1:8080, [::]:8080 or unix:/path, and names are not looked up"
    NoDescriptor            Argument  "a descriptor is less than 0"
    InvalidUrl              Argument  "the URL is none of a WebSocket server: it is ws:// or wss://, a host, perhaps a port, and a path, without a user's name or a fragment (RFC 6455 section 3)"
    InvalidCertificate      Argument  "the certificates are not PEM, there is none, or the private key is none or that of another"
    NoListener              Argument  "the hub does not listen at this port"
    EmptyTopic              Argument  "the name of a topic has at least one byte"
    ConfigExtensions        Argument  "the extensions of the config do not fit the rest of it"
    NotOpenYet              State     "the connection is not open yet: its opening handshake is not done"
    NothingAsked            State     "no request waits for an answer"
    NotAServer              State     "only a server answers requests"
    NotAClient              State     "only a client sends a request"
    RequestedBefore         State     "the request was sent before"
    TooLateForField         State     "the request or the response was written before; a field can be added no more"
    AsksConfig              State     "a config with WSFRAME_CONFIG_ASK leaves the answer to the application, which is asked on a connection only"
    DeadHandle              State     "a defect was caught on this handle before, and it takes no more calls"
    ConcurrentCall          State     "another call on the same handle is still running"
    HubForked               State     "the hub belongs to the process that made it, and this one was forked from it: make the hub after the fork"
    HubOfOtherThread        State     "the hub belongs to the thread of its first poll, and this is another one"
    NoTls                   State     "this libwsframe was built without TLS"
    HubStopped              State     "the hub was stopped, and listens no more"
    BelongsToHub            State     "the connection belongs to a hub, which receives, writes and frees it"
    MessageNotFinished      State     "a message that is sent in pieces has not been finished, and this is no piece of it"
    OutputTooSmall          Space     "the output buffer is too small"
    OutputFull              Space     "more output waits than high_water_len of the config; send again when the peer has taken some"
    HoldsTheMost            Memory    "the connections of the hub together hold more memory than they may, and this one holds the most"
    OutOfMemory             Memory    "memory could not be allocated"
    Panicked                Internal  "a defect in libwsframe was caught; please report it"
    CompressionFailed       Internal  "zlib refused to compress, which it has no reason to; please report it"
    HubFailed               Io        "the operating system refused what a hub needs: a descriptor to wait with; see errno"
    PollFailed              Io        "the operating system refused to wait; see errno"
    ListenFailed            Io        "the operating system refused to listen at that address; see errno"
    AdoptFailed             Io        "the descriptor is no socket of a stream that is connected or listens; see errno"
    ResolveFailed           Io        "the name of the server could not be looked up"
    ConnectRefused          Io        "nobody listens at the server's address"
    ConnectFailed           Io        "the server's address could not be reached"
    WatchFailed             Io        "the operating system cannot wait for this descriptor: it is closed, watched elsewhere, or a file; see errno"
    NoRandomness            Io        "the operating system gave no random bytes"

    // The peer was wrong, before the connection was open.
    InvalidKey              Handshake "the Sec-WebSocket-Key is not the base64 of 16 bytes (RFC 6455 section 4.2.1)"
    TlsToPlain              Handshake "TLS is spoken by one end only: wss:// and https:// are for those who speak it, ws:// and http:// for the others"
    PlainToTls              Handshake "TLS is spoken here: the address begins with wss:// or https://"
    UntrustedCertificate    Handshake "nobody who is trusted says that the server has this name, or no longer"
    TlsRefused              Handshake "the peer does not go on with TLS, for a reason that it has told by an alert"
    TlsBroken               Handshake "the peer does not do what TLS says"
    MalformedHead           Handshake "this is not an HTTP/1.1 head (RFC 9112)"
    Http10                  Handshake "this is HTTP/1.0, and WebSocket needs HTTP/1.1: a proxy in front of this server may have to be told so, as nginx by proxy_http_version 1.1 (RFC 6455 section 4.1)"
    TooMuchEarly            Handshake "the client sent more than 64 KiB before its request was answered"
    HeadTooLarge            Handshake "the head is longer, or has more fields, than the limits allow"
    MethodNotGet            Handshake "the method of the request is not GET (RFC 6455 section 4.1)"
    UnexpectedBody          Handshake "the request has a body (RFC 6455 section 4.1)"
    NoHost                  Handshake "the request does not have exactly one Host (RFC 6455 section 4.2.1)"
    NotAnUpgrade            Handshake "the request does not ask for an upgrade to websocket (RFC 6455 section 4.2.1)"
    NotConnectionUpgrade    Handshake "the field Connection does not list Upgrade (RFC 6455 section 4.2.1)"
    UnsupportedVersion      Handshake "the Sec-WebSocket-Version is not 13 (RFC 6455 section 4.4)"
    OriginRefused           Handshake "the Origin is not in the list of those that are allowed (RFC 6455 section 10.2)"
    NotSwitching            Handshake "the server refused: the status of the response is not 101 (RFC 6455 section 4.1)"
    ResponseNotUpgrade      Handshake "the response does not upgrade to websocket (RFC 6455 section 4.1)"
    InvalidAccept           Handshake "the Sec-WebSocket-Accept does not answer the key (RFC 6455 section 4.1)"
    UnofferedSubprotocol    Handshake "the response has a subprotocol that was not offered (RFC 6455 section 4.1)"
    UnofferedExtension      Handshake "the response has an extension that was not offered (RFC 6455 section 4.1)"
    MalformedExtensions     Handshake "the Sec-WebSocket-Extensions is not a list of extensions (RFC 6455 section 9.1)"
    InvalidDeflateResponse  Handshake "the response's permessage-deflate does not fit the offer (RFC 7692 section 7.1)"

    // The peer was wrong, afterwards.
    ReservedOpcode          Protocol  "the peer used a reserved opcode (RFC 6455 section 5.2)"
    ReservedBits            Protocol  "the peer set an RSV bit that no extension gives a meaning (RFC 6455 section 5.2)"
    FragmentedControl       Protocol  "the peer fragmented a control frame (RFC 6455 section 5.5)"
    OversizedControl        Protocol  "the peer sent a control frame of more than 125 bytes (RFC 6455 section 5.5)"
    LengthNotMinimal        Protocol  "the peer did not use the shortest form of the length (RFC 6455 section 5.2)"
    LengthTopBit            Protocol  "the peer set the top bit of a 64-bit length (RFC 6455 section 5.2)"
    Unmasked                Protocol  "the client did not mask a frame (RFC 6455 section 5.1)"
    Masked                  Protocol  "the server masked a frame (RFC 6455 section 5.1)"
    NothingToContinue       Protocol  "the peer continued a message that it had not begun (RFC 6455 section 5.4)"
    MessageInterrupted      Protocol  "the peer began a message before it had finished another (RFC 6455 section 5.4)"
    InvalidClosePayload     Protocol  "the peer sent a close frame with a payload of one byte (RFC 6455 section 5.5.1)"
    InvalidCloseCode        Protocol  "the peer closed with a code that may not be sent (RFC 6455 section 7.4)"
    InvalidDeflate          Protocol  "the peer sent a compressed message that is not DEFLATE, or refers to what it may not (RFC 7692 section 7.2.2)"
    InvalidUtf8             Utf8      "the text is not UTF-8 (RFC 6455 section 8.1)"
    MessageTooBig           TooBig    "the peer sent a message or a frame that is longer than the limits allow"
    TooManyFragments        TooBig    "the peer sent a message in more frames, or DEFLATE streams, than the limits allow"
    InflatedTooBig          TooBig    "the peer sent a compressed message that is longer, inflated, than the limits allow"
    TooSlow                 Policy    "the peer did not take what was sent to it, and had no room for what was published"
    TooManyOfAddress        Policy    "the client's address has as many connections as it may"
    HandshakeTimedOut       Timeout   "the opening handshake was not done in time"
    PingUnanswered          Timeout   "the peer was silent for long and did not answer a ping"
    CloseUnanswered         Timeout   "the peer did not answer a close frame, or did not take what was written, in time"
    TooMuchForNothing       TooBig    "the peer sent a compressed message that is much longer than what comes out of it"
}

impl Error {
    /// The HTTP status that refuses an opening handshake for this reason.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::OriginRefused => 403,
            Self::MethodNotGet => 405,
            Self::NotAnUpgrade | Self::UnsupportedVersion => 426,
            Self::HeadTooLarge => 431,
            _ => 400,
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
            (ErrorCode::Timeout, -37, 0),
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
        for number in [isize::MIN, -38, -31, -7, 0, 1, isize::MAX] {
            assert_eq!(ErrorCode::from_number(number), None);
        }
    }
}
