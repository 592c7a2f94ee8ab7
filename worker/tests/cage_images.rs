//! Images in the real engine: made from nothing, unknown, for another platform, with other bytes, with traps.
#![allow(clippy::unwrap_used)]

mod cage_support;

use std::collections::BTreeSet;

use cage_support::{Bench, engine, hostile, platform};
use sunwork_protocol::image::archive_from_binary;
use sunwork_protocol::leaf::Outcome;
use sunwork_worker::runtime::room::Quota;
use sunwork_worker::runtime::{Docker, DockerConfig, ErrorClass, ImageRef, Runtime, RuntimeError};

fn tagged(config: &str) -> Vec<u8> {
    cage_support::saved(config, 0o755)
}

#[tokio::test]
async fn an_image_made_from_nothing_loads_under_its_id_and_runs() {
    let bench = Bench::new().await;
    let (.., id) = archive_from_binary(&hostile(), platform(), "app");
    let inspected = engine().inspect_image(&id).await.unwrap();
    assert_eq!(inspected.id.as_deref(), Some(id.as_str()));
    assert_eq!(bench.run(&["good"]).await.record.outcome, Outcome::Completed);
    // A restarted worker knows it without fetching it again.
    let config = DockerConfig {
        host: None,
        work_dir: bench.folder.path().to_owned(),
        label: bench.label.clone(),
        quota: cage_support::QUOTA,
    };
    let again = Docker::connect(config).await.unwrap();
    again.prepare(&bench.image, &cage_support::Blobs::default()).await.unwrap();
}

/// Volumes that the engine named itself, by 64 hexadecimal digits. A worker's own names can be as long.
async fn anonymous_volumes() -> BTreeSet<String> {
    let options = None::<bollard::query_parameters::ListVolumesOptions>;
    let volumes = engine().list_volumes(options).await.unwrap().volumes.unwrap_or_default();
    let by_engine = |name: &String| name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
    volumes.into_iter().map(|volume| volume.name).filter(by_engine).collect()
}

#[tokio::test]
async fn a_tag_in_an_archive_touches_no_image_and_declared_volumes_have_an_end() {
    let mut bench = Bench::empty().await;
    let image = bench.add(tagged(r#"{"Entrypoint":["/app"],"Volumes":{"/data":{},"/tmp":{}}}"#));
    bench.docker.prepare(&image, &bench.blobs).await.unwrap();
    assert!(engine().inspect_image("sunwork-test-operator:latest").await.is_err(), "the tag must not appear");
    let mut job = bench.job(&["volume"]);
    job.image = image;
    let before = anonymous_volumes().await;
    let run = bench.run_job(&job).await.unwrap();
    assert_eq!(cage_support::text(&run), "Err(StorageFull)", "{}", run.message);
    // Others of this machine are none of this test's: only what came while it ran.
    let made: Vec<String> = anonymous_volumes().await.difference(&before).cloned().collect();
    assert!(made.is_empty(), "the engine made anonymous volumes: {made:?}");
}

#[tokio::test]
async fn images_that_are_not_what_was_named_are_refused() {
    let mut bench = Bench::empty().await;
    let unknown = bench.docker.prepare(&bench.image, &bench.blobs).await.unwrap_err();
    assert!(matches!(unknown, RuntimeError::ImageUnknown { .. }), "{unknown}");
    assert_eq!(unknown.class(), ErrorClass::Refuse);

    let other = if platform() == "linux/amd64" { "linux/arm64" } else { "linux/amd64" };
    let image = bench.add(archive_from_binary(b"x", other, "app").0);
    match bench.docker.prepare(&image, &bench.blobs).await {
        Err(RuntimeError::PlatformMismatch { found, expected }) => {
            assert_eq!((found.as_str(), expected.as_str()), (other, platform()));
        }
        result => panic!("expected another platform, found {result:?}"),
    }
    let foreign = ImageRef { platform: other.into(), ..image };
    let error = bench.docker.prepare(&foreign, &bench.blobs).await.unwrap_err();
    assert!(error.to_string().contains("this engine runs"), "{error}");

    let (mut changed, digest, _) = archive_from_binary(&hostile(), platform(), "app");
    let end = changed.len() / 2;
    changed[end] ^= 1;
    bench.blobs.0.insert(digest, changed);
    let error = bench.docker.prepare(&ImageRef { digest, ..bench.image.clone() }, &bench.blobs).await.unwrap_err();
    assert!(error.to_string().contains("hashes to"), "{error}");

    let image = bench.add(tagged(r#"{"Entrypoint":["/app"],"Volumes":{"/iexec_out/x":{}}}"#));
    let error = bench.docker.prepare(&image, &bench.blobs).await.unwrap_err();
    assert!(matches!(error, RuntimeError::ImageUnusable { .. }), "{error}");

    let nothing_to_run = bench.add(tagged("{}"));
    bench.docker.prepare(&nothing_to_run, &bench.blobs).await.unwrap();
    let mut job = bench.job(&[]);
    job.image = nothing_to_run;
    let error = bench.run_job(&job).await.unwrap_err();
    assert!(error.to_string().contains("no entrypoint"), "{error}");

    let never_prepared = bench.run_job(&bench.job(&["good"])).await.unwrap_err();
    assert!(matches!(never_prepared, RuntimeError::NotPrepared { .. }), "{never_prepared}");
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = DockerConfig {
        host: Some(format!("unix://{}/none.sock", folder.path().display())),
        work_dir: folder.path().to_owned(),
        label: "none".into(),
        quota: cage_support::QUOTA,
    };
    let error = Docker::connect(config).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retry);
    assert!(error.to_string().contains("connecting to the container engine"), "{error}");
}

#[tokio::test]
async fn images_not_used_for_long_make_room() {
    let mut bench = Bench::empty().await;
    let mut images = Vec::new();
    for i in 0..18_u32 {
        let binary = format!("{} {i}", bench.label);
        let image = bench.add(archive_from_binary(binary.as_bytes(), platform(), "app").0);
        bench.docker.prepare(&image, &bench.blobs).await.unwrap();
        // The first one stays in use.
        if i > 0 {
            bench.docker.prepare(&images[0], &bench.blobs).await.unwrap();
        }
        images.push(image);
    }
    let mut kept = Vec::new();
    for image in &images {
        let name = format!("sunwork.local/app:{}", hex::encode(image.digest));
        kept.push(engine().inspect_image(&name).await.is_ok());
        let _ = engine().remove_image(&name, None::<bollard::query_parameters::RemoveImageOptions>, None).await;
    }
    let expected: Vec<bool> = (0..18).map(|i| i != 1 && i != 2).collect();
    assert_eq!(kept, expected);
}

#[tokio::test]
async fn images_make_room_by_size_and_at_the_disks_mark() {
    let mut bench = Bench::empty().await;
    let quota = |work: &str, quota: Quota| {
        let work_dir = bench.folder.path().join(work);
        DockerConfig { host: None, work_dir, label: bench.label.clone(), quota }
    };
    let small = Docker::connect(quota("small", Quota { bytes: 2500, ..cage_support::QUOTA })).await.unwrap();
    let crowded = Docker::connect(quota("crowded", Quota { disk_percent: 0, ..cage_support::QUOTA })).await.unwrap();
    let images: Vec<ImageRef> = (0..3_u32)
        .map(|i| bench.add(archive_from_binary(format!("{i} {:>1000}", bench.label).as_bytes(), platform(), "app").0))
        .collect();
    let name = |image: &ImageRef| format!("sunwork.local/app:{}", hex::encode(image.digest));
    let there = async || {
        let mut there = Vec::new();
        for image in &images {
            there.push(engine().inspect_image(&name(image)).await.is_ok());
        }
        there
    };
    for image in &images {
        small.prepare(image, &bench.blobs).await.unwrap();
    }
    assert_eq!(there().await, [false, true, true], "three of a thousand bytes are too many for 2500");
    // The mark is passed, wherever it is: all but the newest go, when asked as when something comes.
    for image in &images {
        crowded.prepare(image, &bench.blobs).await.unwrap();
    }
    crowded.make_room().await;
    assert_eq!(there().await, [false, false, true]);
    let _ = engine().remove_image(&name(&images[2]), None::<bollard::query_parameters::RemoveImageOptions>, None).await;
}

/// A registry that does not answer and one that says no, on loopback.
#[tokio::test]
async fn a_registry_image_is_named_by_its_digest() {
    let bench = Bench::empty().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for stream in listener.incoming().take(8) {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let body = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
            let _ = write!(
                stream,
                "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    let image = ImageRef { name: Some(format!("127.0.0.1:{port}/app")), digest: [7; 32], platform: platform().into() };
    let error = bench.docker.prepare(&image, &bench.blobs).await.unwrap_err();
    assert!(matches!(error, RuntimeError::ImageUnknown { .. }), "{error}");
    assert!(error.to_string().contains("@sha256:0707"), "{error}");
}
