//! The socket of one leaf, from its start to its end.
use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sunwork_protocol::terms::Host;
use tokio::{
    net::{TcpStream, UnixListener, UnixStream},
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};

use super::{
    Network,
    address::is_public,
    relay::{Allowance, IDLE, relay},
    socks::{self, Reply},
};
use crate::control::ShortPath;

/// Connections of one leaf at a time; further ones are closed at once.
pub const MAX_CONNECTIONS: usize = 32;
/// From the connection to the end of the request.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// For the addresses of a name, and for each of them to answer.
const CONNECT: Duration = Duration::from_secs(10);
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 4;
/// Pause after an accept that failed: descriptors have run out, perhaps.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Refusals of one leaf that are logged.
const MAX_TOLD: u32 = 8;

/// A listening socket; dropping it ends it with all its connections.
pub struct Proxy {
    task: AbortHandle,
    socket: PathBuf,
}

struct Shared {
    network: Network,
    allowance: Allowance,
    leaf: String,
    told: AtomicU32,
}

impl Proxy {
    /// Listens where the network says.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn start(network: &Network, leaf: &str) -> std::io::Result<Self> {
        let socket = network.socket.clone();
        match std::fs::remove_file(&socket) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let short = ShortPath::of(&socket)?;
        let listener = UnixListener::bind(&short.path)?;
        // The app is another user. Whoever else is on this machine cannot enter the folder.
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666))?;
        let allowance = Allowance::new(network.limit_bytes, network.meter.clone());
        let shared = Shared { network: network.clone(), allowance, leaf: leaf.to_owned(), told: AtomicU32::new(0) };
        let task = tokio::spawn(serve(listener, Arc::new(shared))).abort_handle();
        Ok(Self { task, socket })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.socket);
    }
}

async fn serve(listener: UnixListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // Dropped: closed.
                Ok(_) if connections.len() >= MAX_CONNECTIONS => {}
                Ok((app, _)) => drop(connections.spawn(connection(app, shared.clone()))),
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection of the app. How it ends is the app's business; what it asked for and did not get is told.
async fn connection(mut app: UnixStream, shared: Arc<Shared>) {
    let Ok(Ok(Some(host))) = timeout(HANDSHAKE, socks::request(&mut app)).await else { return };
    let reached = shared.reach(&host).await;
    let reply = reached.as_ref().err().copied().unwrap_or(Reply::Succeeded);
    if !matches!(timeout(HANDSHAKE, socks::answer(&mut app, reply)).await, Ok(Ok(()))) {
        return;
    }
    match reached {
        Ok(stream) => {
            let ended = relay(app, stream, &shared.allowance, IDLE).await;
            tracing::debug!(leaf = shared.leaf, %host, ?ended, "a connection of the app has ended");
        }
        Err(reply) if shared.told.fetch_add(1, Ordering::Relaxed) < MAX_TOLD => {
            tracing::info!(leaf = shared.leaf, %host, ?reply, "the app did not get the connection that it asked for");
        }
        Err(_) => {}
    }
}

impl Shared {
    /// Connects to an address that was looked at: a name that leads elsewhere the next time it is asked changes nothing.
    async fn reach(&self, host: &Host) -> Result<TcpStream, Reply> {
        let permit = self.network.permits.iter().find(|permit| permit.host == *host).ok_or(Reply::NotAllowed)?;
        if self.allowance.is_used_up() {
            return Err(Reply::NotAllowed);
        }
        let resolving = timeout(CONNECT, self.network.resolver.resolve(host.name())).await;
        let Ok(Ok(found)) = resolving else { return Err(Reply::Unreachable) };
        if found.is_empty() {
            return Err(Reply::Unreachable);
        }
        let mut good = found.into_iter().filter(|ip| permit.private || is_public(*ip)).take(MAX_ADDRESSES).peekable();
        if good.peek().is_none() {
            return Err(Reply::NotAllowed);
        }
        let mut last = Reply::Unreachable;
        for ip in good {
            match connect(ip, host.port()).await {
                Ok(stream) => return Ok(stream),
                Err(reply) => last = reply,
            }
        }
        Err(last)
    }
}

async fn connect(ip: IpAddr, port: u16) -> Result<TcpStream, Reply> {
    match timeout(CONNECT, TcpStream::connect(SocketAddr::new(ip, port))).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Err(Reply::Refused),
        Ok(Err(error)) if matches!(error.kind(), ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => {
            Err(Reply::Unreachable)
        }
        Ok(Err(_)) => Err(Reply::Failed),
        Err(_) => Err(Reply::Unreachable),
    }
}
