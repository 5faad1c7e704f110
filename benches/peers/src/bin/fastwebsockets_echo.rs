//! An echo server: fastwebsockets as in its own example, on one thread of tokio, for `benches/servers.py`.

use std::error::Error;

use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket, WebSocketError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local, unconstrained};
use tungstenite::handshake::derive_accept_key;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        loop {
            let (stream, _) = listener.accept().await?;
            spawn_local(async move {
                if let Err(error) = unconstrained(echo(stream)).await {
                    eprintln!("fastwebsockets: {error}");
                }
            });
        }
    })
}

async fn echo(mut stream: TcpStream) -> Result<(), WebSocketError> {
    stream.set_nodelay(true)?;
    accept(&mut stream).await?;
    let mut socket = FragmentCollector::new(WebSocket::after_handshake(stream, Role::Server));
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

/// The opening handshake, for which fastwebsockets itself needs hyper.
async fn accept(stream: &mut TcpStream) -> Result<(), WebSocketError> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Err(WebSocketError::UnexpectedEOF);
        }
    }
    let request = String::from_utf8_lossy(&request);
    let key = request.lines().filter_map(|line| line.split_once(": "));
    let key = key.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("Sec-WebSocket-Key"));
    let (_, key) = key.ok_or(WebSocketError::MissingSecWebSocketKey)?;
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    let accept_key = derive_accept_key(key.as_bytes());
    stream.write_all(format!("{answer}Sec-WebSocket-Accept: {accept_key}\r\n\r\n").as_bytes()).await?;
    Ok(())
}
