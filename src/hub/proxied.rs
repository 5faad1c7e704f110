//! Clients behind a proxy that says in front of their bytes where they are: the PROXY protocol, versions 1 and 2.

#![forbid(unsafe_code)]

use std::io::{ErrorKind, Read};
use std::net::SocketAddr;

use ppp::{HeaderResult, PartialResult, v1, v2};
use rustix::net::{RecvFlags, recv};

use super::Hub;
use super::slots::Flags;

/// A header is no longer: one that is has to come in so many bytes.
const MAX_LEN: usize = 4 << 10;

/// The line of version 1 is no longer, its end included.
const MAX_LINE_LEN: usize = 107;

/// What a proxy has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// Not all of it has come.
    Part,
    /// So many bytes long, and where the client is, unless the proxy speaks for itself or does not know.
    Header(usize, Option<SocketAddr>),
    /// That is no proxy.
    Nonsense,
}

impl Hub {
    /// Reads what the proxy says of the client. Returns whether that has come.
    pub(super) fn read_proxy(&mut self, index: u32) -> bool {
        let room = self.batch.room(MAX_LEN);
        let Some(slot) = self.slots.get_mut(index) else { return false };
        let Some(socket) = &mut slot.socket else { return false };
        // It stays in the socket until all of it is there, so that it need not be kept here.
        let said = match recv(&*socket, &mut *room, RecvFlags::PEEK) {
            Ok((0, _)) => Said::Nonsense,
            Ok((len, _)) if len < room.len() => read(room.get(..len).unwrap_or_default()),
            Ok(_) => match read(room) {
                Said::Part => Said::Nonsense,
                said => said,
            },
            Err(error) if std::io::Error::from(error).kind() == ErrorKind::WouldBlock => Said::Part,
            Err(_) => Said::Nonsense,
        };
        match said {
            Said::Part => slot.flags.clear(Flags::READABLE),
            Said::Header(len, address) => {
                let header = room.get_mut(..len).unwrap_or_default();
                let is_read = socket.read_exact(header).is_ok();
                if is_read && self.note_client(index, address) {
                    return true;
                }
                self.refuse(index);
            }
            Said::Nonsense => self.refuse(index),
        }
        false
    }

    /// Keeps where a client is. Returns whether it is let in.
    fn note_client(&mut self, index: u32, address: Option<SocketAddr>) -> bool {
        let Some(slot) = self.slots.get_mut(index) else { return false };
        slot.flags.clear(Flags::PROXIED);
        let Some(address) = address else { return true };
        let Ok(rare) = slot.rare() else { return false };
        rare.address = Some(address);
        self.hosts.admit(index, address.ip(), self.limits.max_per_address)
    }

    fn refuse(&mut self, index: u32) {
        self.stats.refused = self.stats.refused.saturating_add(1);
        self.end(index);
    }
}

fn read(bytes: &[u8]) -> Said {
    // A line is read when it is whole: the parser takes a port of which nothing has come for none.
    let line = bytes.get(..MAX_LINE_LEN).unwrap_or(bytes);
    if line.starts_with(b"PROXY ") && !line.contains(&b'\n') {
        return if line.len() < MAX_LINE_LEN { Said::Part } else { Said::Nonsense };
    }
    let header = HeaderResult::parse(bytes);
    match header {
        _ if header.is_incomplete() => Said::Part,
        HeaderResult::V1(Ok(header)) => Said::Header(
            header.header.len(),
            match header.addresses {
                v1::Addresses::Tcp4(client) => Some((client.source_address, client.source_port).into()),
                v1::Addresses::Tcp6(client) => Some((client.source_address, client.source_port).into()),
                v1::Addresses::Unknown => None,
            },
        ),
        HeaderResult::V2(Ok(header)) => Said::Header(
            header.len(),
            match header.addresses {
                _ if header.command == v2::Command::Local => None,
                v2::Addresses::IPv4(client) => Some((client.source_address, client.source_port).into()),
                v2::Addresses::IPv6(client) => Some((client.source_address, client.source_port).into()),
                v2::Addresses::Unix(_) | v2::Addresses::Unspecified => None,
            },
        ),
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => Said::Nonsense,
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 50000 80\r\n";
    /// Of a client with IPv6, and with two bytes of more at its end.
    const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x27\
        \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\
        \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\xc3\x50\0\x50\x04\0\0";

    #[test]
    fn a_header_says_where_the_client_is() {
        for (header, client) in [(TEXT, "192.0.2.1:50000"), (BINARY, "[2001:db8::1]:50000")] {
            let expected = Said::Header(header.len(), Some(client.parse().unwrap()));
            for len in 0..header.len() {
                assert_eq!(read(&header[..len]), Said::Part, "{len} bytes of {client}");
            }
            assert_eq!(read(header), expected);
            assert_eq!(read(&[header, b"GET /"].concat()), expected);
        }
    }

    #[test]
    fn a_proxy_may_not_know() {
        assert_eq!(read(b"PROXY UNKNOWN\r\n"), Said::Header(15, None));
        assert_eq!(read(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"), Said::Header(16, None));
    }

    #[test]
    fn what_is_none_is_seen() {
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"PROXY TCP4 a b 1 2\r\n", b"\r\n\r\n\0\r\nQUIT\n\x41\x21\0\0"] {
            assert_eq!(read(bytes), Said::Nonsense, "{bytes:?}");
        }
        assert_eq!(read(&[b"PROXY TCP4 ", &[b'1'; 96][..]].concat()), Said::Nonsense, "too long");
    }
}
