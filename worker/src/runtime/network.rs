//! The way out of a cage for apps that asked for hosts: a Unix socket inside it, on which the worker itself speaks SOCKS5 and lets exactly
//! those hosts through (docs/CAGE.md). The container keeps no interface at all: there is nothing else that it could reach.
use std::{fmt, net::IpAddr, path::PathBuf, sync::Arc};

use futures::future::BoxFuture;

use crate::policy::hosts::Permit;

pub mod address;
mod proxy;
mod relay;
pub mod socks;

pub use proxy::Proxy;

/// Where the socket is in the cage.
pub const SOCKET: &str = "/sunwork/net.sock";

/// What one leaf may do on the network.
#[derive(Clone)]
pub struct Network {
    /// Hosts that it may speak to.
    pub permits: Vec<Permit>,
    /// Most that it sends and receives, both together.
    pub limit_bytes: u64,
    /// Where the socket is made on the host.
    pub socket: PathBuf,
    /// Makes addresses of names.
    pub resolver: Arc<dyn Resolver>,
    /// Is told of bytes as they go.
    pub meter: Arc<dyn Meter>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("permits", &self.permits)
            .field("limit_bytes", &self.limit_bytes)
            .finish_non_exhaustive()
    }
}

/// Makes addresses of names.
pub trait Resolver: Send + Sync {
    /// All addresses of a name; none where it has none.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>>;
}

/// The system's own: its files and name servers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|found| found.ip()).collect()) })
    }
}

/// Counts what goes over the network.
pub trait Meter: Send + Sync {
    /// So many bytes more, in either direction.
    fn transferred(&self, bytes: u64);
}

impl Meter for crate::governor::Governor {
    fn transferred(&self, bytes: u64) {
        Self::transferred(self, bytes);
    }
}

/// The variables that tell an app of its way out.
pub fn env(permits: &[Permit]) -> Vec<(String, String)> {
    let hosts: Vec<String> = permits.iter().map(|permit| permit.host.to_string()).collect();
    // curl's own form for a socket of the file system, since 7.84.
    let url = format!("socks5h://localhost{SOCKET}");
    [
        ("SUNWORK_PROXY", SOCKET.to_owned()),
        ("SUNWORK_HOSTS", hosts.join(",")),
        ("ALL_PROXY", url.clone()),
        ("all_proxy", url),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
