//! An echo server: tungstenite in a loop of mio, for `benches/servers.py`.

use std::error::Error;
use std::io::ErrorKind::WouldBlock;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use tungstenite::{Message, WebSocket};

const LISTENER: Token = Token(usize::MAX);

fn main() -> Result<(), Box<dyn Error>> {
    let mut poll = Poll::new()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    listener.set_nonblocking(true)?;
    poll.registry().register(&mut SourceFd(&listener.as_raw_fd()), LISTENER, Interest::READABLE)?;
    let mut sockets: Vec<Option<WebSocket<TcpStream>>> = Vec::new();
    let mut events = Events::with_capacity(1024);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    let (socket, token) = (accept(stream)?, Token(sockets.len()));
                    let both = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(&mut SourceFd(&socket.get_ref().as_raw_fd()), token, both)?;
                    sockets.push(Some(socket));
                }
            } else if sockets[event.token().0].as_mut().is_some_and(|socket| echo(socket).is_err()) {
                sockets[event.token().0] = None;
            }
        }
    }
}

/// Waits for the opening handshake.
fn accept(stream: TcpStream) -> Result<WebSocket<TcpStream>, Box<dyn Error>> {
    stream.set_nodelay(true)?;
    let socket = tungstenite::accept(stream).map_err(|error| error.to_string())?;
    socket.get_ref().set_nonblocking(true)?;
    Ok(socket)
}

/// Reads all that there is, for epoll tells only once, and sends what is to be sent together.
fn echo(socket: &mut WebSocket<TcpStream>) -> tungstenite::Result<()> {
    loop {
        match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => or_blocked(socket.write(message))?,
            Ok(_) => {}
            Err(error) => {
                or_blocked(Err(error))?;
                return or_blocked(socket.flush());
            }
        }
    }
}

fn or_blocked(result: tungstenite::Result<()>) -> tungstenite::Result<()> {
    result.or_else(|error| match error {
        tungstenite::Error::Io(error) if error.kind() == WouldBlock => Ok(()),
        error => Err(error),
    })
}
