//! Sends each message to all: tokio-tungstenite and a broadcast channel, on one thread of tokio, for `benches/server.py`.

use std::error::Error;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::{self, Sender};
use tokio::task::{LocalSet, spawn_local, unconstrained};
use tungstenite::Message;

/// So many messages may wait for the slowest of the receivers.
const WAITING: usize = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        let everyone = Sender::new(WAITING);
        loop {
            let (stream, _) = listener.accept().await?;
            let everyone = everyone.clone();
            spawn_local(async move {
                if let Err(error) = unconstrained(publish(stream, everyone)).await {
                    eprintln!("tokio-tungstenite: {error}");
                }
            });
        }
    })
}

/// The text of a message is shared by all who get it.
async fn publish(stream: TcpStream, everyone: Sender<Message>) -> Result<(), Box<dyn Error>> {
    stream.set_nodelay(true)?;
    let mut published = everyone.subscribe();
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    loop {
        tokio::select! {
            message = socket.next() => match message.transpose()? {
                None => return Ok(()),
                Some(message @ (Message::Text(_) | Message::Binary(_))) => drop(everyone.send(message)),
                Some(_) => {}
            },
            message = published.recv() => {
                socket.feed(message?).await?;
                while let Some(message) = next_of(&mut published)? {
                    socket.feed(message).await?;
                }
                socket.flush().await?;
            }
        }
    }
}

/// What is published already.
fn next_of(published: &mut broadcast::Receiver<Message>) -> Result<Option<Message>, broadcast::error::TryRecvError> {
    match published.try_recv() {
        Err(broadcast::error::TryRecvError::Empty) => Ok(None),
        next => next.map(Some),
    }
}
