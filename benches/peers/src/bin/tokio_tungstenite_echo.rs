//! An echo server: tokio-tungstenite as in its own example, on one thread of tokio, for `benches/servers.py`.

use std::error::Error;
use std::future;

use futures_util::{StreamExt, TryStreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local, unconstrained};
use tungstenite::Error::ConnectionClosed;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        loop {
            let (stream, _) = listener.accept().await?;
            spawn_local(async move {
                match unconstrained(echo(stream)).await {
                    Ok(()) | Err(ConnectionClosed) => {}
                    Err(error) => eprintln!("tokio-tungstenite: {error}"),
                }
            });
        }
    })
}

/// Forwarding writes only when there is nothing to read: echoes of messages that came together leave together.
async fn echo(stream: TcpStream) -> tungstenite::Result<()> {
    stream.set_nodelay(true)?;
    let (sink, messages) = tokio_tungstenite::accept_async(stream).await?.split();
    messages.try_filter(|message| future::ready(message.is_text() || message.is_binary())).forward(sink).await
}
