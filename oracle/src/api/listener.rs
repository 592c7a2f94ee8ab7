//! Connections: not too many, and none that only waits.
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep},
};

/// How many connections, and how idle one may be.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// At a time; further ones wait in the system's queue.
    pub connections: usize,
    /// In each window of this length a connection must move at least `window_bytes`, or it is closed. Catches those that
    /// send their header byte by byte as well as those that never read.
    pub window: Duration,
    /// See `window`.
    pub window_bytes: u64,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        // A request with its answer has more than 256 bytes, so a connection that is used at all stays.
        Self { connections: 1024, window: Duration::from_secs(60), window_bytes: 256 }
    }
}

/// A TCP listener with these limits.
#[derive(Debug)]
pub struct LimitedListener {
    tcp: TcpListener,
    slots: Arc<Semaphore>,
    limits: ConnectionLimits,
}

impl LimitedListener {
    /// Wraps a listener.
    pub fn new(tcp: TcpListener, limits: ConnectionLimits) -> Self {
        Self { tcp, slots: Arc::new(Semaphore::new(limits.connections)), limits }
    }
}

impl Listener for LimitedListener {
    type Io = LimitedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (LimitedStream, SocketAddr) {
        let slot = self.slots.clone().acquire_owned().await.expect("this semaphore is never closed");
        let (tcp, address) = Listener::accept(&mut self.tcp).await;
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY is refused");
        }
        let stream = LimitedStream {
            tcp,
            limits: self.limits,
            moved: 0,
            window_end: Box::pin(sleep(self.limits.window)),
            _slot: slot,
        };
        (stream, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// A connection that ends when it stands still.
#[derive(Debug)]
pub struct LimitedStream {
    tcp: TcpStream,
    limits: ConnectionLimits,
    /// Bytes of this window, both ways.
    moved: u64,
    window_end: Pin<Box<Sleep>>,
    _slot: OwnedSemaphorePermit,
}

impl LimitedStream {
    fn moved(&mut self, bytes: usize) {
        self.moved = self.moved.saturating_add(bytes as u64);
    }

    /// Ready with an error when the connection stood still for a window.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            ready!(self.window_end.as_mut().poll(context));
            if self.moved < self.limits.window_bytes {
                return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the connection stands still"));
            }
            self.moved = 0;
            self.window_end.as_mut().reset(Instant::now() + self.limits.window);
        }
    }

    /// Passes on what is ready; what is not may have waited too long.
    fn or_idle<T>(&mut self, poll: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        match poll {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => self.poll_idle(context).map(Err),
        }
    }
}

impl AsyncRead for LimitedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.tcp).poll_read(cx, buf);
        self.moved(buf.filled().len() - before);
        self.or_idle(poll, cx)
    }
}

impl AsyncWrite for LimitedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.tcp).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = poll {
            self.moved(written);
        }
        self.or_idle(poll, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(written)) = poll {
            self.moved(written);
        }
        self.or_idle(poll, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.tcp).poll_flush(cx);
        self.or_idle(poll, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.tcp).poll_shutdown(cx);
        self.or_idle(poll, cx)
    }
}
