//! Blobs over real HTTP: resumed, checked, capped, from the next oracle when one fails.
#![allow(clippy::unwrap_used)]
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use alloy::primitives::{B256, hex};
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};
use sunwork_edge::blobs::{BlobClient, BlobError};
use url::Url;

#[derive(Default)]
struct Store {
    bytes: Mutex<Option<Vec<u8>>>,
    served: AtomicU64,
    no_ranges: bool,
}

async fn oracle(store: Arc<Store>) -> Url {
    let router = Router::new()
        .route("/v1/blobs/{name}", get(serve).put(keep))
        .layer(DefaultBodyLimit::disable())
        .with_state(store);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

async fn serve(State(store): State<Arc<Store>>, headers: HeaderMap) -> Response {
    let Some(bytes) = store.bytes.lock().unwrap().clone() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let range = headers.get(header::RANGE).filter(|_| !store.no_ranges).map(|value| value.to_str().unwrap().to_owned());
    let Some(from) = range.map(|range| range[6..range.len() - 1].parse::<usize>().unwrap()) else {
        store.served.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        return bytes.into_response();
    };
    if from >= bytes.len() {
        return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
    }
    store.served.fetch_add((bytes.len() - from) as u64, Ordering::Relaxed);
    let content_range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
    (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, content_range)], bytes[from..].to_vec()).into_response()
}

async fn keep(State(store): State<Arc<Store>>, Path(name): Path<String>, body: Bytes) -> Response {
    if hex::encode(Sha256::digest(&body)) != name {
        let error = r#"{"error":{"code":"hash_mismatch","message":"found another hash"}}"#;
        return (StatusCode::BAD_REQUEST, error).into_response();
    }
    *store.bytes.lock().unwrap() = Some(body.to_vec());
    StatusCode::CREATED.into_response()
}

fn data() -> (Vec<u8>, B256) {
    let bytes: Vec<u8> = (0..300_000_u32).flat_map(|n| n.to_le_bytes()).collect();
    let sha256 = B256::from_slice(&Sha256::digest(&bytes));
    (bytes, sha256)
}

fn holding(bytes: Vec<u8>) -> Arc<Store> {
    Arc::new(Store { bytes: Mutex::new(Some(bytes)), ..Store::default() })
}

#[tokio::test]
async fn stores_and_fetches_what_it_stored() {
    let store = Arc::new(Store::default());
    let client = BlobClient::new(vec![oracle(store.clone()).await]);
    let dir = tempfile::tempdir().unwrap();
    let (bytes, sha256) = data();
    let source = dir.path().join("source");
    std::fs::write(&source, &bytes).unwrap();
    assert!(!client.has(sha256).await.unwrap());
    assert_eq!(client.put_file(&source).await.unwrap(), sha256);
    assert!(client.has(sha256).await.unwrap());
    let target = dir.path().join("target");
    client.get_to_file(sha256, 1 << 24, &target).await.unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), bytes);
    assert_eq!(client.get_bytes(sha256, 1 << 24).await.unwrap(), bytes);
    assert_eq!(client.put_bytes(bytes).await.unwrap(), sha256);
}

#[tokio::test]
async fn goes_on_where_it_was_cut_off() {
    let (bytes, sha256) = data();
    for no_ranges in [false, true] {
        let store = Arc::new(Store { bytes: Mutex::new(Some(bytes.clone())), no_ranges, ..Store::default() });
        let client = BlobClient::new(vec![oracle(store.clone()).await]);
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        std::fs::write(dir.path().join("target.part"), &bytes[..1_000_000]).unwrap();
        client.get_to_file(sha256, 1 << 24, &target).await.unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), bytes);
        let expected = if no_ranges { bytes.len() } else { bytes.len() - 1_000_000 };
        assert_eq!(store.served.load(Ordering::Relaxed), expected as u64);
    }
}

#[tokio::test]
async fn wrong_bytes_are_named_and_deleted() {
    let (bytes, sha256) = data();
    let mut wrong = bytes.clone();
    wrong[77] ^= 1;
    let client = BlobClient::new(vec![oracle(holding(wrong.clone())).await]);
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("target");
    let error = client.get_to_file(sha256, 1 << 24, &target).await.unwrap_err();
    let found = hex::encode(Sha256::digest(&wrong));
    assert!(
        matches!(&error, BlobError::HashMismatch { found: f, expected, .. } if *f == found && *expected == hex::encode(sha256))
    );
    assert!(error.to_string().contains(&found), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing stays behind");
    assert!(matches!(client.get_bytes(sha256, 1 << 24).await.unwrap_err(), BlobError::HashMismatch { .. }));
}

#[tokio::test]
async fn a_spoilt_partial_file_is_started_over() {
    let (bytes, sha256) = data();
    let client = BlobClient::new(vec![oracle(holding(bytes.clone())).await]);
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("target");
    for spoilt in [vec![9; 1_000], vec![9; bytes.len()], vec![9; bytes.len() + 5]] {
        std::fs::write(dir.path().join("target.part"), spoilt).unwrap();
        client.get_to_file(sha256, 1 << 24, &target).await.unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), bytes);
        std::fs::remove_file(&target).unwrap();
    }
    // A final file that rotted is fetched again as well.
    std::fs::write(&target, b"rotten").unwrap();
    client.get_to_file(sha256, 1 << 24, &target).await.unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), bytes);
}

#[tokio::test]
async fn the_next_oracle_helps_and_sizes_are_bounded() {
    let (bytes, sha256) = data();
    let dead: Url = "http://127.0.0.1:1".parse().unwrap();
    let lying = oracle(holding(b"lies".to_vec())).await;
    let empty = oracle(Arc::new(Store::default())).await;
    let honest = oracle(holding(bytes.clone())).await;
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("target");
    let client = BlobClient::new(vec![dead.clone(), lying.clone(), empty.clone(), honest.clone()]);
    client.get_to_file(sha256, 1 << 24, &target).await.unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), bytes);

    let client = BlobClient::new(vec![honest]);
    let error = client.get_to_file(sha256, 1000, dir.path().join("small")).await.unwrap_err();
    assert!(matches!(error, BlobError::TooLarge { max: 1000, .. }), "{error}");
    assert!(!error.is_temporary());
    assert!(matches!(BlobClient::new(vec![empty]).get_bytes(sha256, 9).await.unwrap_err(), BlobError::NotFound { .. }));
    let error = BlobClient::new(vec![dead]).get_bytes(sha256, 9).await.unwrap_err();
    assert!(matches!(error, BlobError::Unreachable { .. }) && error.is_temporary(), "{error}");
}
