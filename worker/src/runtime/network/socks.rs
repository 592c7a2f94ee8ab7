//! What of SOCKS5 (RFC 1928) is spoken: no authentication, CONNECT, by name. It is some eighty lines, and every byte of it comes from a
//! hostile app: a library that also does addresses, UDP and passwords would have to be shut door by door.
use sunwork_protocol::terms::Host;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reply {
    /// Connected.
    Succeeded = 0,
    /// Anything that has no word of its own.
    Failed = 1,
    /// The host is not one of the specification's, or leads where no app may go.
    NotAllowed = 2,
    /// The name leads nowhere.
    Unreachable = 4,
    /// The host does not take connections there.
    Refused = 5,
    /// Another command than CONNECT.
    Command = 7,
    /// An address instead of a name.
    AddressType = 8,
}

/// Reads greeting and request; what is wrong is answered. `None`: nothing more is to be said on this connection.
///
/// # Errors
/// When the connection ends or says nothing that is SOCKS5.
pub async fn request(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> std::io::Result<Option<Host>> {
    let [version, methods] = read(stream).await?;
    expect_version(version)?;
    let mut offered = [0; 255];
    let offered = &mut offered[..usize::from(methods)];
    stream.read_exact(offered).await?;
    if !offered.contains(&NO_AUTHENTICATION) {
        stream.write_all(&[VERSION, NO_METHOD]).await?;
        return Ok(None);
    }
    stream.write_all(&[VERSION, NO_AUTHENTICATION]).await?;
    let [version, command, _, kind] = read(stream).await?;
    expect_version(version)?;
    // The rest is read before it is answered: a connection that is closed with unread bytes loses the answer.
    let name = match kind {
        IPV4 => skip::<4>(stream).await?,
        IPV6 => skip::<16>(stream).await?,
        NAME => {
            let [length] = read(stream).await?;
            let mut name = vec![0; usize::from(length)];
            stream.read_exact(&mut name).await?;
            Some(name)
        }
        _ => None,
    };
    let port = match kind {
        IPV4 | IPV6 | NAME => u16::from_be_bytes(read(stream).await?),
        _ => 0,
    };
    let refused = match (command, name) {
        (CONNECT, Some(name)) => match host(&name, port) {
            Some(host) => return Ok(Some(host)),
            None => Reply::NotAllowed,
        },
        (CONNECT, None) => Reply::AddressType,
        _ => Reply::Command,
    };
    answer(stream, refused).await?;
    Ok(None)
}

/// Sends the answer to a request. Where from was connected is nobody's business: zeros.
///
/// # Errors
/// When the connection has ended.
pub async fn answer(stream: &mut (impl AsyncWrite + Unpin), reply: Reply) -> std::io::Result<()> {
    stream.write_all(&[VERSION, reply as u8, 0, IPV4, 0, 0, 0, 0, 0, 0]).await
}

/// A name as specifications have them; capitals do not matter.
fn host(name: &[u8], port: u16) -> Option<Host> {
    Host::new(&std::str::from_utf8(name).ok()?.to_ascii_lowercase(), port).ok()
}

async fn read<const N: usize>(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn skip<const N: usize>(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<Vec<u8>>> {
    read::<N>(stream).await.map(|_| None)
}

fn expect_version(found: u8) -> std::io::Result<()> {
    if found == VERSION { Ok(()) } else { Err(std::io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of these bytes, and what is answered.
    async fn said(bytes: &[u8]) -> (std::io::Result<Option<Host>>, Vec<u8>) {
        let (mut app, mut worker) = tokio::io::duplex(1024);
        app.write_all(bytes).await.unwrap();
        app.shutdown().await.unwrap();
        let read = request(&mut worker).await;
        drop(worker);
        let mut answers = Vec::new();
        app.read_to_end(&mut answers).await.unwrap();
        (read, answers)
    }

    fn connect(name: &[u8]) -> Vec<u8> {
        [&[5, 1, 0, 5, 1, 0, 3, name.len() as u8][..], name, &[1, 187]].concat()
    }

    #[tokio::test]
    async fn a_name_is_read_and_everything_else_is_answered() {
        let (read, answers) = said(&connect(b"API.example.org")).await;
        assert_eq!(read.unwrap().unwrap().to_string(), "api.example.org:443");
        assert_eq!(answers, [5, 0]);
        let refusals: [(&[u8], Reply); 6] = [
            (&connect(b"127.0.0.1"), Reply::NotAllowed),
            (&connect(b""), Reply::NotAllowed),
            (&connect(b"a\0b"), Reply::NotAllowed),
            (&[5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 80], Reply::AddressType),
            (&[5, 1, 0, 5, 2, 0, 3, 1, b'a', 0, 80], Reply::Command),
            (&[5, 1, 0, 5, 3, 0, 1, 127, 0, 0, 1, 0, 80], Reply::Command),
        ];
        for (bytes, reply) in refusals {
            let (read, answers) = said(bytes).await;
            assert_eq!(read.unwrap(), None, "{bytes:?}");
            assert_eq!(answers[2..4], [5, reply as u8], "{bytes:?}");
        }
        let (read, answers) = said(&[5, 2, 1, 2, 0, 0]).await;
        assert_eq!((read.unwrap(), &answers[..]), (None, &[5, 0xff][..]), "only with a password");
        assert!(said(&[4, 1, 0, 80, 127, 0, 0, 1, 0]).await.0.is_err(), "SOCKS4");
        assert!(said(b"GET / HTTP/1.1\r\n\r\n").await.0.is_err());
    }

    #[tokio::test]
    async fn half_a_handshake_is_none() {
        let whole = connect(b"a.example");
        for end in 0..whole.len() {
            assert!(said(&whole[..end]).await.0.is_err(), "{end}");
        }
    }
}
