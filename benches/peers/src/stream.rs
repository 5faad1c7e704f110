//! What the peers have for a socket: memory.

use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::input::READ;

/// Reading takes what was received, until there is nothing more for now; writing counts and forgets.
#[derive(Default)]
pub struct Stream {
    received: Rc<[u8]>,
    at: usize,
    pub written: usize,
}

impl Stream {
    pub fn new(received: impl Into<Rc<[u8]>>) -> Self {
        let received = received.into();
        Self { at: received.len(), received, written: 0 }
    }

    /// Makes it all readable again.
    pub fn rewind(&mut self) {
        self.at = 0;
    }
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let rest = &self.received[self.at..];
        if rest.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = rest.len().min(out.len()).min(READ);
        out[..taken].copy_from_slice(&rest[..taken]);
        self.at += taken;
        Ok(taken)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written += std::hint::black_box(bytes).len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// For fastwebsockets, which lets nobody near its stream: it rewinds itself when all is read and more is asked for.
impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.at == self.received.len() {
            self.rewind();
        }
        let rest = &self.received[self.at..];
        let taken = rest.len().min(out.remaining()).min(READ);
        out.put_slice(&rest[..taken]);
        self.at += taken;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Does what never has to wait, because its stream never does.
pub fn done<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("memory does not wait"),
    }
}
