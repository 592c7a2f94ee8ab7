//! Everything that an app may try with the socket through which it may speak to the hosts of its terms (docs/CAGE.md). What came of it is
//! reported, line by line.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::{OUT, declare};

const PATIENCE: Duration = Duration::from_secs(8);
const GREETING: [u8; 3] = [5, 1, 0];

/// Asks for each of these hosts ("name:port"), and for what is no host at all.
pub fn ask(targets: &[String]) -> io::Result<()> {
    let mut lines = vec![format!("socket {}", fs::exists(socket()).unwrap_or(false))];
    for target in targets {
        lines.push(format!("{target} {}", asked(target)));
    }
    let address = |kind: u8, bytes: &[u8]| [&GREETING[..], &[5, 1, 0, kind], bytes, &[0, 80]].concat();
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1];
    for (what, bytes) in [
        ("an IPv4 address", address(1, &[127, 0, 0, 1])),
        ("an IPv6 address", address(4, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])),
        ("a mapped address", address(4, &mapped)),
        ("to bind", [&GREETING[..], &[5, 2, 0, 1, 127, 0, 0, 1, 0, 80]].concat()),
        ("UDP", [&GREETING[..], &[5, 3, 0, 1, 0, 0, 0, 0, 0, 0]].concat()),
        ("with a password", vec![5, 1, 2]),
        ("SOCKS4", vec![4, 1, 0, 80, 127, 0, 0, 1, 0]),
        ("HTTP", b"CONNECT 127.0.0.1:80 HTTP/1.1\r\n\r\n".to_vec()),
    ] {
        lines.push(format!("{what}: {}", answered(&bytes)));
    }
    report(&lines)
}

/// Sends to a host, or reads from it, without end; then asks for it again.
pub fn endless(target: &str, reads: bool) -> io::Result<()> {
    let mut moved = 0_u64;
    let mut buffer = [7; 64 << 10];
    let (mut stream, _) = connect(target)?;
    loop {
        let done = if reads { stream.read(&mut buffer) } else { stream.write(&buffer) };
        match done {
            Ok(1..) => moved += done.unwrap_or(0) as u64,
            Ok(0) | Err(_) => break,
        }
    }
    report(&[format!("moved {moved}"), format!("again {}", asked(target))])
}

/// A thousand connections that say half of a greeting; then waits until one can be made that says all.
pub fn many(target: &str) -> io::Result<()> {
    let mut held = Vec::new();
    for _ in 0..1000 {
        let mut stream = UnixStream::connect(socket())?;
        let _ = stream.write_all(&GREETING[..1]);
        held.push(stream);
    }
    let begun = Instant::now();
    while !asked(target).starts_with("reached") && begun.elapsed() < 4 * PATIENCE {
        std::thread::sleep(Duration::from_millis(200));
    }
    let reached = asked(target);
    report(&[format!("held {}", held.len()), reached])
}

fn socket() -> String {
    std::env::var("SUNWORK_PROXY").unwrap_or_else(|_| "/sunwork/net.sock".to_owned())
}

fn report(lines: &[String]) -> io::Result<()> {
    fs::write(format!("{OUT}/result"), lines.join("\n"))?;
    declare("/iexec_out/result")
}

/// "reached" with what came back for "ping", or why not.
fn asked(target: &str) -> String {
    match connect(target) {
        Ok((mut stream, _)) => {
            let mut back = [0; 4];
            match stream.write_all(b"ping").and_then(|()| stream.read_exact(&mut back)) {
                Ok(()) => format!("reached, {}", String::from_utf8_lossy(&back)),
                Err(error) => format!("reached, then {:?}", error.kind()),
            }
        }
        Err(error) => error.to_string(),
    }
}

fn connect(target: &str) -> io::Result<(UnixStream, u8)> {
    let (name, port) = target.rsplit_once(':').expect("a name and a port");
    let port: u16 = port.parse().expect("a port");
    let mut stream = UnixStream::connect(socket())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = [&GREETING[..], &[5, 1, 0, 3, name.len() as u8], name.as_bytes(), &port.to_be_bytes()].concat();
    stream.write_all(&request)?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    match answer[3] {
        0 => Ok((stream, 0)),
        reply => Err(io::Error::other(format!("reply {reply}"))),
    }
}

/// The last byte of the answer that says something, or how the connection ended.
fn answered(bytes: &[u8]) -> String {
    let Ok(mut stream) = UnixStream::connect(socket()) else { return "no socket".to_owned() };
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut buffer = [0; 64];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => return format!("{:?}", error.kind()),
        }
    }
    match answer[..] {
        [5, 0, 5, reply, ..] => format!("reply {reply}"),
        [5, method] => format!("method {method}"),
        [] => "closed".to_owned(),
        _ => format!("{answer:?}"),
    }
}
