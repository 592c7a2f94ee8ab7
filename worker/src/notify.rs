//! Telling systemd (sd_notify): one datagram to the socket that it names. Without systemd nothing happens.
use std::os::unix::net::UnixDatagram;

/// The worker has started.
pub fn ready() {
    tell("READY=1");
}

/// The worker's loop goes round: the unit's watchdog is fed.
pub fn alive() {
    tell("WATCHDOG=1");
}

/// The worker is about to end.
pub fn stopping() {
    tell("STOPPING=1");
}

fn tell(message: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let sent = UnixDatagram::unbound().and_then(|socket| match path.as_encoded_bytes().strip_prefix(b"@") {
        Some(name) => {
            use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
            socket.send_to_addr(message.as_bytes(), &SocketAddr::from_abstract_name(name)?)
        }
        None => socket.send_to(message.as_bytes(), &path),
    });
    if let Err(error) = sent {
        tracing::debug!(%error, message, "cannot tell systemd");
    }
}
