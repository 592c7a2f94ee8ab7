//! Everything that could be a network: what was reached is reported. Addresses are those of listeners that the test started.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixStream};
use std::time::Duration;

use crate::{OUT, declare};

const PATIENCE: Duration = Duration::from_millis(500);

/// Tries `tcp:ADDRESS`, `udp:ADDRESS`, `unix:PATH` and `abstract:NAME` each.
pub fn reach(targets: &[String]) -> io::Result<()> {
    let mut reached: Vec<String> = targets.iter().filter(|target| answers(target)).cloned().collect();
    // Sockets that no network namespace holds back: a hypervisor's, the kernel's own drivers'. Made, never connected.
    for (name, family, kind) in [
        ("vsock", libc::AF_VSOCK, libc::SOCK_STREAM),
        ("packet", libc::AF_PACKET, libc::SOCK_RAW),
        ("raw", libc::AF_INET, libc::SOCK_RAW),
        ("alg", libc::AF_ALG, libc::SOCK_SEQPACKET),
    ] {
        if has_socket(family, kind) {
            reached.push(format!("a {name} socket"));
        }
    }
    let devices = fs::read_to_string("/proc/net/dev")?;
    let devices: Vec<_> = devices.lines().filter_map(|l| l.split_once(':')).map(|(name, _)| name.trim()).collect();
    let routes = fs::read_to_string("/proc/net/route")?.lines().count().saturating_sub(1);
    fs::write(format!("{OUT}/result"), format!("reached {reached:?}, devices {devices:?}, routes {routes}"))?;
    declare("/iexec_out/result")
}

fn answers(target: &str) -> bool {
    let Some((kind, name)) = target.split_once(':') else { return false };
    match kind {
        "tcp" => {
            let address: SocketAddr = name.parse().expect("an address");
            TcpStream::connect_timeout(&address, PATIENCE).is_ok()
        }
        // A datagram says nothing of its arrival; the listener sends one back.
        "udp" => echoed(name).is_ok(),
        "unix" => UnixStream::connect(name).is_ok(),
        "abstract" => UnixAddr::from_abstract_name(name).and_then(|a| UnixStream::connect_addr(&a)).is_ok(),
        _ => false,
    }
}

fn echoed(address: &str) -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send_to(b"x", address)?;
    socket.recv_from(&mut [0; 8]).map(drop)
}

/// Accepts without end: the neighbour that others try to reach.
pub fn listen(address: &str) -> io::Result<()> {
    for stream in TcpListener::bind(address)?.incoming() {
        let mut stream = stream?;
        let _ = stream.write_all(b"here");
        let _ = stream.read(&mut [0; 8]);
    }
    Ok(())
}

#[allow(unsafe_code)]
fn has_socket(family: i32, kind: i32) -> bool {
    // SAFETY: a socket that is closed at once.
    unsafe {
        let socket = libc::socket(family, kind, 0);
        socket >= 0 && libc::close(socket) == 0
    }
}
