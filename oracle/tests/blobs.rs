//! Blobs over real HTTP: what is there is whole and right, whatever the other side does.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod common;

use std::{path::Path, time::Duration};

use common::http::{Limits, TestApi, sha256};
use futures::{future::join_all, stream};
use reqwest::header::{CONTENT_RANGE, ETAG, IF_NONE_MATCH, RANGE};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

fn temp_files(dir: &Path) -> usize {
    std::fs::read_dir(dir.join("blobs/tmp")).unwrap().count()
}

/// Waits for something that another task does.
async fn until(what: &str, check: impl Fn() -> bool) {
    let wait = async {
        while !check() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(Duration::from_secs(60), wait).await.is_ok(), "{what} does not happen");
}

#[tokio::test]
async fn a_blob_is_stored_once_and_read_whole_and_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    let api = TestApi::start(dir.path(), Limits::default()).await;
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| ((n * 7) >> 3) as u8).collect();
    let name = sha256(&bytes);
    assert_eq!(api.http.get(api.blob_url(&name)).send().await.unwrap().status(), 404);
    assert_eq!(api.put(&name, bytes.clone()).await.0, 201);
    assert_eq!(api.put(&name, bytes.clone()).await.0, 200);
    assert_eq!(api.put(&name, vec![1]).await.0, 400, "wrong bytes are refused even for what is there");
    assert_eq!((api.blobs.used_bytes(), api.blobs.count(), temp_files(dir.path())), (1_000_000, 1, 0));

    let whole = api.http.get(api.blob_url(&name)).send().await.unwrap();
    assert_eq!(whole.headers()["content-length"], "1000000");
    let tag = whole.headers()[ETAG].clone();
    assert_eq!(whole.bytes().await.unwrap(), bytes);
    let again = api.http.get(api.blob_url(&name)).header(IF_NONE_MATCH, tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    let head = api.http.head(api.blob_url(&name)).send().await.unwrap();
    assert_eq!((head.status().as_u16(), &head.headers()["content-length"]), (200, &"1000000".parse().unwrap()));

    for (range, first, last) in
        [("bytes=0-0", 0, 0), ("bytes=999000-", 999_000, 999_999), ("bytes=-10", 999_990, 999_999)]
    {
        let part = api.http.get(api.blob_url(&name)).header(RANGE, range).send().await.unwrap();
        assert_eq!(part.status(), 206);
        assert_eq!(part.headers()[CONTENT_RANGE], format!("bytes {first}-{last}/1000000"));
        assert_eq!(part.bytes().await.unwrap(), bytes[first..=last]);
    }
    let beyond = api.http.get(api.blob_url(&name)).header(RANGE, "bytes=1000000-").send().await.unwrap();
    assert_eq!(
        (beyond.status().as_u16(), &beyond.headers()[CONTENT_RANGE]),
        (416, &"bytes */1000000".parse().unwrap())
    );
    let several = api.http.get(api.blob_url(&name)).header(RANGE, "bytes=0-1,4-5").send().await.unwrap();
    assert_eq!(several.status(), 200);
}

#[tokio::test]
async fn the_empty_blob_is_a_blob() {
    let dir = tempfile::tempdir().unwrap();
    let api = TestApi::start(dir.path(), Limits::default()).await;
    assert_eq!(api.put(&sha256(b""), "").await.0, 201);
    let response = api.http.get(api.blob_url(&sha256(b""))).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.bytes().await.unwrap().len()), (200, 0));
}

#[tokio::test]
async fn wrong_bytes_and_wrong_names_are_refused_with_found_and_expected() {
    let dir = tempfile::tempdir().unwrap();
    let api = TestApi::start(dir.path(), Limits::default()).await;
    let (status, body) = api.put(&sha256(b"right"), "wrong").await;
    assert_eq!(status, 400);
    assert!(
        body.contains("hash_mismatch") && body.contains(&sha256(b"right")) && body.contains(&sha256(b"wrong")),
        "{body}"
    );
    assert_eq!((api.blobs.used_bytes(), temp_files(dir.path())), (0, 0));
    for name in ["x", &sha256(b"right").to_uppercase(), "..%2F..%2Findex.db", &format!("{}0", sha256(b"right"))] {
        let (status, body) = api.put(name, "right").await;
        assert_eq!((status, body.contains("bad_name")), (400, true), "{name}: {body}");
    }
    assert!(std::fs::read_dir(dir.path().join("blobs")).unwrap().count() == 1);
}

#[tokio::test]
async fn size_and_quota_are_kept_whether_announced_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut limits = Limits::default();
    (limits.blobs.max_bytes, limits.blobs.quota_bytes) = (1000, 2500);
    let api = TestApi::start(dir.path(), limits).await;
    let blob = |n: u8, size: usize| vec![n; size];
    let chunked = |bytes: Vec<u8>| {
        let parts: Vec<_> = bytes.chunks(100).map(|part| Ok::<_, std::io::Error>(part.to_vec())).collect();
        reqwest::Body::wrap_stream(stream::iter(parts))
    };
    for body in [reqwest::Body::from(blob(1, 1001)), chunked(blob(1, 1001))] {
        let (status, text) = api.put(&sha256(&blob(1, 1001)), body).await;
        assert_eq!((status, text.contains("1000 bytes")), (413, true), "{text}");
    }
    for n in [2, 3] {
        assert_eq!(api.put(&sha256(&blob(n, 1000)), chunked(blob(n, 1000))).await.0, 201);
    }
    for body in [reqwest::Body::from(blob(4, 501)), chunked(blob(4, 501))] {
        let (status, text) = api.put(&sha256(&blob(4, 501)), body).await;
        assert_eq!((status, text.contains("quota")), (507, true), "{text}");
    }
    // What is refused leaves its room to others.
    assert_eq!(api.put(&sha256(&blob(5, 500)), blob(5, 500)).await.0, 201);
    assert_eq!((api.blobs.used_bytes(), temp_files(dir.path())), (2500, 0));
    // What is there needs none.
    assert_eq!(api.put(&sha256(&blob(2, 1000)), blob(2, 1000)).await.0, 200);
}

#[tokio::test]
async fn uploads_of_one_blob_at_a_time_count_once() {
    let dir = tempfile::tempdir().unwrap();
    let api = TestApi::start(dir.path(), Limits::default()).await;
    let bytes = vec![9; 3 << 20];
    let name = sha256(&bytes);
    let mut statuses: Vec<u16> =
        join_all((0..8).map(|_| api.put(&name, bytes.clone()))).await.into_iter().map(|r| r.0).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 201]);
    assert_eq!((api.blobs.used_bytes(), api.blobs.count(), temp_files(dir.path())), (3 << 20, 1, 0));
    assert_eq!(api.http.get(api.blob_url(&name)).send().await.unwrap().bytes().await.unwrap(), bytes);
}

#[tokio::test]
async fn a_broken_off_upload_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let api = TestApi::start(dir.path(), Limits::default()).await;
    let mut tcp = TcpStream::connect(api.address).await.unwrap();
    let request = format!("PUT /v1/blobs/{} HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\nabc", sha256(b"abcd"));
    tcp.write_all(request.as_bytes()).await.unwrap();
    until("the upload", || temp_files(dir.path()) == 1).await;
    assert_eq!(api.blobs.used_bytes(), 5000, "announced bytes are reserved");
    drop(tcp);
    until("the clean-up", || temp_files(dir.path()) == 0 && api.blobs.used_bytes() == 0).await;
}

#[tokio::test]
async fn a_restart_sweeps_what_a_crash_left_and_counts_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = vec![3; 5000];
    {
        let api = TestApi::start(dir.path(), Limits::default()).await;
        assert_eq!(api.put(&sha256(&bytes), bytes.clone()).await.0, 201);
    }
    std::fs::write(dir.path().join("blobs/tmp/0-torn"), "half").unwrap();
    let api = TestApi::start(dir.path(), Limits::default()).await;
    assert_eq!((api.blobs.used_bytes(), api.blobs.count(), temp_files(dir.path())), (5000, 1, 0));
    assert_eq!(api.http.get(api.blob_url(&sha256(&bytes))).send().await.unwrap().bytes().await.unwrap(), bytes);
}

#[tokio::test]
async fn who_sends_nothing_loses_the_upload_slot() {
    let dir = tempfile::tempdir().unwrap();
    let mut limits = Limits::default();
    limits.transfers.uploads = 1;
    limits.transfers.silence = Duration::from_secs(1);
    let api = TestApi::start(dir.path(), limits).await;
    let mut tcp = TcpStream::connect(api.address).await.unwrap();
    let request = format!("PUT /v1/blobs/{} HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\nabc", sha256(b"abcd"));
    tcp.write_all(request.as_bytes()).await.unwrap();
    until("the upload", || temp_files(dir.path()) == 1).await;
    // Waits for its turn, which comes when the silent one is put out.
    assert_eq!(api.put(&sha256(b"ok"), "ok").await.0, 201);
    let mut answer = String::new();
    timeout(Duration::from_secs(60), tcp.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("too_slow"), "{answer}");
}

#[tokio::test]
async fn who_reads_nothing_loses_the_download_slot() {
    let dir = tempfile::tempdir().unwrap();
    let mut limits = Limits::default();
    limits.transfers.downloads = 1;
    limits.transfers.silence = Duration::from_secs(1);
    let api = TestApi::start(dir.path(), limits).await;
    // More than the sockets' buffers hold.
    let bytes = vec![5; 32 << 20];
    assert_eq!(api.put(&sha256(&bytes), bytes.clone()).await.0, 201);
    let mut tcp = TcpStream::connect(api.address).await.unwrap();
    let request = format!("GET /v1/blobs/{} HTTP/1.1\r\nhost: x\r\n\r\n", sha256(&bytes));
    tcp.write_all(request.as_bytes()).await.unwrap();
    tcp.readable().await.unwrap();
    let part = api.http.get(api.blob_url(&sha256(&bytes))).header(RANGE, "bytes=0-9").send().await.unwrap();
    assert_eq!(part.status(), 206);
}

#[tokio::test]
async fn connections_that_stand_still_are_closed_and_busy_slots_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut limits = Limits::default();
    limits.connections.window = Duration::from_millis(200);
    limits.transfers.uploads = 0;
    limits.transfers.wait = Duration::from_millis(50);
    let api = TestApi::start(dir.path(), limits).await;
    let mut tcp = TcpStream::connect(api.address).await.unwrap();
    tcp.write_all(b"GET /v1/health HT").await.unwrap();
    let mut rest = Vec::new();
    timeout(Duration::from_secs(60), tcp.read_to_end(&mut rest)).await.expect("it is closed").unwrap();
    let (status, body) = api.put(&sha256(b"ok"), "ok").await;
    assert_eq!((status, body.contains("busy")), (503, true), "{body}");
}
