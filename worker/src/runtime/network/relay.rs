//! Bytes from one side to the other and back, within what the leaf may still send and receive.
use std::{
    io::{Error, ErrorKind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    time::{Instant, timeout, timeout_at},
};

use super::Meter;

/// A connection on which nothing moves for so long is ended.
pub(super) const IDLE: Duration = Duration::from_secs(60);
const BUFFER_BYTES: usize = 16 << 10;

/// What a leaf may still send and receive.
pub(super) struct Allowance {
    left: AtomicU64,
    meter: Arc<dyn Meter>,
}

impl Allowance {
    pub(super) fn new(bytes: u64, meter: Arc<dyn Meter>) -> Self {
        Self { left: AtomicU64::new(bytes), meter }
    }

    /// Takes so many, or all that is left; gives how many.
    fn take(&self, bytes: u64) -> u64 {
        let rest = |left: u64| Some(left.saturating_sub(bytes));
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest).unwrap_or_default();
        let taken = left.min(bytes);
        if taken > 0 {
            self.meter.transferred(taken);
        }
        taken
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
}

/// Until both sides have ended, one has failed, nothing moves, or the allowance is used up.
pub(super) async fn relay(
    app: impl AsyncRead + AsyncWrite,
    host: impl AsyncRead + AsyncWrite,
    allowance: &Allowance,
    idle: Duration,
) -> std::io::Result<()> {
    let moved = Mutex::new(Instant::now());
    let (mut app_in, mut app_out) = split(app);
    let (mut host_in, mut host_out) = split(host);
    let there = pump(&mut app_in, &mut host_out, allowance, &moved, idle);
    let back = pump(&mut host_in, &mut app_out, allowance, &moved, idle);
    tokio::try_join!(there, back).map(drop)
}

async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    allowance: &Allowance,
    moved: &Mutex<Instant>,
    idle: Duration,
) -> std::io::Result<()> {
    let last = || *moved.lock().unwrap_or_else(PoisonError::into_inner);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let until = last() + idle;
        let read = match timeout_at(until, from.read(&mut buffer)).await {
            Ok(read) => read?,
            // The other direction may have been busy meanwhile.
            Err(_) if last() + idle > Instant::now() => continue,
            Err(_) => return Err(ErrorKind::TimedOut.into()),
        };
        if read == 0 {
            return timeout(idle, to.shutdown()).await?;
        }
        let taken = allowance.take(read as u64) as usize;
        // What is left of the allowance still arrives.
        timeout(idle, to.write_all(&buffer[..taken])).await??;
        *moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        if taken < read {
            return Err(Error::new(ErrorKind::QuotaExceeded, "the leaf has moved all that it may"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Counted(AtomicU64);

    impl Meter for Counted {
        fn transferred(&self, bytes: u64) {
            self.0.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn both_directions_are_carried_counted_and_cut_at_the_allowance() {
        let counted = Arc::new(Counted::default());
        let allowance = Allowance::new(1000, counted.clone());
        let (mut app, inner_app) = tokio::io::duplex(4096);
        let (mut host, inner_host) = tokio::io::duplex(4096);
        let outside = async {
            app.write_all(&[1; 300]).await.unwrap();
            let mut seen = [0; 300];
            host.read_exact(&mut seen).await.unwrap();
            // The rest finds nobody.
            let _ = host.write_all(&[2; 5000]).await;
            let mut back = Vec::new();
            app.read_to_end(&mut back).await.unwrap();
            back.len()
        };
        let (ended, back) = tokio::join!(relay(inner_app, inner_host, &allowance, IDLE), outside);
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::QuotaExceeded);
        assert_eq!((back, counted.0.load(Ordering::Relaxed), allowance.is_used_up()), (700, 1000, true));
    }

    #[tokio::test]
    async fn a_connection_on_which_nothing_moves_ends() {
        let idle = Duration::from_millis(400);
        let allowance = Allowance::new(1000, Arc::new(Counted::default()));
        let (mut app, inner_app) = tokio::io::duplex(64);
        let (_host, inner_host) = tokio::io::duplex(64);
        let begun = Instant::now();
        let talk = async {
            tokio::time::sleep(idle / 2).await;
            app.write_all(b"x").await.unwrap();
            app
        };
        let (ended, _app) = tokio::join!(relay(inner_app, inner_host, &allowance, idle), talk);
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(begun.elapsed() >= idle * 3 / 2, "from the last byte on");
    }
}
