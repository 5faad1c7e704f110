//! The opening handshake.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use crate::options::Options;

/// The key of RFC 6455 section 1.3, and what answers it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// How long a server may take to say anything.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// There are not enough ports of one source address for many connections, again and again.
const CONNECTIONS_PER_ADDRESS: u16 = 1000;

/// Opens the connection of this number.
pub fn open(options: &Options, number: u16) -> Result<TcpStream, String> {
    let mut stream = connected(options.port, number / CONNECTIONS_PER_ADDRESS)
        .map_err(|error| format!("connection {number}: cannot connect: {error}"))?;
    let answer = exchange(&mut stream, options)
        .map_err(|error| format!("connection {number}: no answer to the opening handshake: {error}"))?;
    let mut lines = answer.split("\r\n");
    let is_accepted = lines.next().is_some_and(|status| status.starts_with("HTTP/1.1 101"))
        && lines.filter_map(|line| line.split_once(':')).any(|(name, value)| {
            name.eq_ignore_ascii_case("Sec-WebSocket-Accept") && value.trim_matches([' ', '\t']) == ACCEPT
        });
    if !is_accepted {
        return Err(format!("connection {number}: the server does not accept it, but says {answer:?}"));
    }
    stream.set_nonblocking(true).map_err(|error| error.to_string())?;
    Ok(stream)
}

fn connected(port: u16, address: u16) -> std::io::Result<TcpStream> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let source = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + u32::from(address));
    bind(&socket, &SocketAddrV4::new(source, 0))?;
    connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends the request, and reads up to the end of the answer. The server has nothing to say behind it.
fn exchange(stream: &mut TcpStream, options: &Options) -> std::io::Result<String> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n",
        options.path, options.port,
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk)? {
            0 => return Err(std::io::Error::other("the server hangs up")),
            len => answer.extend(&chunk[..len]),
        }
    }
    if !answer.ends_with(b"\r\n\r\n") {
        return Err(std::io::Error::other("the server says more than that"));
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
