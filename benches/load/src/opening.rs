//! The opening handshake.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use crate::deflate::OFFER;
use crate::messages::Content;
use crate::options::Options;

/// The key of RFC 6455 section 1.3, and what answers it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// How long a server may take to say anything.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// There are not enough ports of one source address for many connections, again and again.
const CONNECTIONS_PER_ADDRESS: u16 = 1000;

/// So many connections are opened at a time. They have to find room in the queue from which a server accepts them.
pub const BURST: u16 = 100;

/// The streams of all connections, and the answer to the offer of compression, if there was one.
pub struct Opened {
    pub streams: Vec<TcpStream>,
    pub extensions: Option<String>,
}

pub fn open(options: &Options) -> Result<Opened, String> {
    let mut opened = Opened { streams: Vec::new(), extensions: None };
    for first in (0..options.connections).step_by(BURST.into()) {
        let numbers = first..options.connections.min(first + BURST);
        let asked = numbers.clone().map(|number| ask(options, number)).collect::<Result<Vec<_>, String>>()?;
        for (number, mut stream) in numbers.zip(asked) {
            let extensions = accepted(&mut stream).map_err(|why| format!("connection {number}: {why}"))?;
            if number > 0 && extensions != opened.extensions {
                return Err(format!("connection {number}: the server agrees on {extensions:?} all of a sudden"));
            }
            opened.extensions = extensions;
            opened.streams.push(stream);
        }
    }
    Ok(opened)
}

/// Connects, and sends the request.
fn ask(options: &Options, number: u16) -> Result<TcpStream, String> {
    let mut stream = connected(options.port, number / CONNECTIONS_PER_ADDRESS)
        .map_err(|error| format!("connection {number}: cannot connect: {error}"))?;
    let offer = match options.content {
        Content::Compressed => format!("Sec-WebSocket-Extensions: {OFFER}\r\n"),
        _ => String::new(),
    };
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n",
        options.path, options.port,
    );
    stream.write_all(request.as_bytes()).map_err(|error| format!("connection {number}: cannot ask: {error}"))?;
    Ok(stream)
}

/// Waits for the answer. Returns which extensions are agreed on.
fn accepted(stream: &mut TcpStream) -> Result<Option<String>, String> {
    let answer = head(stream).map_err(|error| format!("no answer to the opening handshake: {error}"))?;
    let field = |wanted: &str| {
        let fields = answer.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        let mut values = fields.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        values.next().map(|(_, value)| value.trim_matches([' ', '\t']))
    };
    if !answer.starts_with("HTTP/1.1 101") || field("Sec-WebSocket-Accept") != Some(ACCEPT) {
        return Err(format!("the server does not accept it, but says {answer:?}"));
    }
    stream.set_nonblocking(true).map_err(|error| error.to_string())?;
    Ok(field("Sec-WebSocket-Extensions").map(String::from))
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

/// Reads up to the end of the answer. The server has nothing to say behind it.
fn head(stream: &mut TcpStream) -> std::io::Result<String> {
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
