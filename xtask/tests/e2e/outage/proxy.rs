//! A proxy before the chain that refuses, hangs, lies or talks without end, as it is told.
use std::sync::{Arc, Mutex};

use eyre::{WrapErr, eyre};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use url::Url;

/// Largest request that is passed on.
const MAX_REQUEST_BYTES: usize = 4 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything on.
    Pass,
    /// Hangs up at once.
    Refuse,
    /// Takes requests and never answers.
    Hang,
    /// Answers, but not in JSON.
    Garbage,
    /// Begins an answer that never ends.
    Endless,
    /// Says that it is of another chain.
    OtherChain,
    /// Shows the block of half a minute ago as the newest.
    OlderHead,
}

pub struct Proxy {
    pub url: Url,
    mode: Arc<Mutex<Mode>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Before the node on this port of the loopback.
    pub async fn start(target: u16) -> eyre::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.wrap_err("listening")?;
        let url = format!("http://{}", listener.local_addr()?).parse()?;
        let mode = Arc::new(Mutex::new(Mode::Pass));
        let shared = mode.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mode = shared.clone();
                // A connection that breaks is the business of whoever opened it.
                tokio::spawn(async move { serve(stream, &mode, target).await.ok() });
            }
        });
        Ok(Self { url, mode, task })
    }

    pub fn set(&self, mode: Mode) {
        *self.mode.lock().expect("nobody panics with it") = mode;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request for each connection.
async fn serve(mut stream: TcpStream, mode: &Mutex<Mode>, target: u16) -> eyre::Result<()> {
    let now = || *mode.lock().expect("nobody panics with it");
    if now() == Mode::Refuse {
        return Ok(());
    }
    let (_, body) = message(&mut stream).await?;
    match now() {
        Mode::Refuse => Ok(()),
        Mode::Hang => {
            // Until the caller has had enough.
            let _ = stream.read(&mut [0; 1]).await;
            Ok(())
        }
        Mode::Garbage => answer(&mut stream, b"<html>Welcome to the router</html>").await,
        Mode::Endless => {
            stream
                .write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{\"result\":\"0x",
                )
                .await?;
            loop {
                stream.write_all(&[b'0'; 4096]).await?;
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        }
        Mode::OtherChain => {
            let request: Value = serde_json::from_slice(&body)?;
            if request["method"] == "eth_chainId" {
                let lie = json!({"jsonrpc": "2.0", "id": request["id"], "result": "0x1"}).to_string();
                return answer(&mut stream, lie.as_bytes()).await;
            }
            // So that somebody asks for the id again.
            Ok(())
        }
        Mode::OlderHead => {
            let head: Value = serde_json::from_slice(
                &ask(target, br#"{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}"#).await?,
            )?;
            let number =
                head["result"].as_str().and_then(|text| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok());
            let older = format!("\"{:#x}\"", number.ok_or_else(|| eyre!("no head: {head}"))?.saturating_sub(30));
            let asked = String::from_utf8_lossy(&body).replace("\"latest\"", &older);
            let answered = ask(target, asked.as_bytes()).await?;
            answer(&mut stream, &answered).await
        }
        Mode::Pass => {
            let answered = ask(target, &body).await?;
            answer(&mut stream, &answered).await
        }
    }
}

async fn ask(target: u16, body: &[u8]) -> eyre::Result<Vec<u8>> {
    let mut node = TcpStream::connect(("127.0.0.1", target)).await?;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    node.write_all(head.as_bytes()).await?;
    node.write_all(body).await?;
    Ok(message(&mut node).await?.1)
}

async fn answer(stream: &mut TcpStream, body: &[u8]) -> eyre::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    Ok(stream.shutdown().await?)
}

/// Head and body of a message with a length.
async fn message(stream: &mut TcpStream) -> eyre::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        more(stream, &mut bytes).await?;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let length = length.ok_or_else(|| eyre!("a message without length: {head}"))?;
    while bytes.len() < end + length {
        more(stream, &mut bytes).await?;
    }
    let body = bytes.split_off(end);
    Ok((head, body))
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> eyre::Result<()> {
    if bytes.len() > MAX_REQUEST_BYTES || stream.read_buf(bytes).await? == 0 {
        return Err(eyre!("the message ended after {} bytes", bytes.len()));
    }
    Ok(())
}
