//! What lies around the cage: the host, its kernel, its network, and other leaves. Each bad app is run for real (docs/CAGE.md).
#![allow(clippy::unwrap_used)]

mod cage_support;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions};
use cage_support::{Bench, engine, text};
use sunwork_protocol::leaf::{LeafRecord, Outcome};
use sunwork_worker::runtime::{LeafJob, Runtime};

/// A container beside the cage, on the engine's own bridge, that accepts connections; removed with this value's end.
struct Neighbour {
    name: String,
    address: SocketAddr,
}

impl Neighbour {
    async fn start(bench: &Bench) -> Self {
        let (_, _, image) =
            sunwork_protocol::image::archive_from_binary(&cage_support::hostile(), cage_support::platform(), "app");
        let name = format!("{}-neighbour", bench.label);
        let body = ContainerCreateBody {
            image: Some(image),
            cmd: Some(vec!["listen".into(), "0.0.0.0:8000".into()]),
            host_config: Some(HostConfig { network_mode: Some("bridge".into()), ..Default::default() }),
            ..Default::default()
        };
        let named = CreateContainerOptionsBuilder::default().name(&name).build();
        engine().create_container(Some(named), body).await.unwrap();
        engine().start_container(&name, None::<StartContainerOptions>).await.unwrap();
        let found = engine()
            .inspect_container(&name, None::<bollard::query_parameters::InspectContainerOptions>)
            .await
            .unwrap();
        let networks = found.network_settings.unwrap().networks.unwrap();
        let ip = networks.values().find_map(|n| n.ip_address.clone().filter(|ip| !ip.is_empty())).unwrap();
        Self { name, address: format!("{ip}:8000").parse().unwrap() }
    }

    async fn stop(self) {
        let options = RemoveContainerOptionsBuilder::default().force(true).build();
        engine().remove_container(&self.name, Some(options)).await.unwrap();
    }
}

/// True once somebody accepts there; a fresh listener needs a moment.
fn answers(address: SocketAddr) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

#[tokio::test]
async fn no_listener_of_the_host_or_of_another_container_is_reached() {
    let bench = Bench::new().await;
    let neighbour = Neighbour::start(&bench).await;
    // Of the host: TCP and UDP on all its addresses, a socket in its file system, one without.
    let tcp = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let udp = Arc::new(UdpSocket::bind(("0.0.0.0", port)).unwrap());
    let (heard, counter) = (Arc::new(AtomicU32::new(0)), udp.clone());
    let count = heard.clone();
    std::thread::spawn(move || {
        while let Ok((_, from)) = counter.recv_from(&mut [0; 8]) {
            count.fetch_add(1, Ordering::Relaxed);
            let _ = counter.send_to(b"x", from);
        }
    });
    let path = bench.folder.path().join("socket");
    let _unix = UnixListener::bind(&path).unwrap();
    let name = format!("{}-abstract", bench.label);
    let _abstract = UnixListener::bind_addr(&UnixAddr::from_abstract_name(&name).unwrap()).unwrap();
    // The bridge's own address, which the host answers on; the engine says which.
    let bridge =
        engine().inspect_network("bridge", None::<bollard::query_parameters::InspectNetworkOptions>).await.unwrap();
    let gateway = bridge.ipam.unwrap().config.unwrap()[0].gateway.clone().unwrap();
    let host: SocketAddr = format!("{gateway}:{port}").parse().unwrap();
    // All of them are there: who may, reaches them.
    assert!(answers(host) && answers(neighbour.address) && answers(([127, 0, 0, 1], port).into()));
    let targets = [
        format!("tcp:127.0.0.1:{port}"),
        format!("tcp:{host}"),
        format!("tcp:{}", neighbour.address),
        format!("udp:127.0.0.1:{port}"),
        format!("udp:{host}"),
        format!("unix:{}", path.display()),
        "unix:/var/run/docker.sock".to_owned(),
        format!("abstract:{name}"),
    ];
    let run = bench.run(&[&["network"][..], &targets.each_ref().map(String::as_str)].concat()).await;
    neighbour.stop().await;
    assert_eq!(text(&run), "reached [], devices [\"lo\"], routes 0");
    assert_eq!(heard.load(Ordering::Relaxed), 0, "no datagram came");
}

#[tokio::test]
async fn nothing_of_the_host_is_read() {
    let bench = Bench::new().await;
    let beside = bench.folder.path().join("secret");
    std::fs::write(&beside, "of the host").unwrap();
    let run = bench.run(&["read-outside", beside.to_str().unwrap(), "/etc/passwd", "/etc/hostname.none"]).await;
    assert_eq!(text(&run), "", "{}", run.message);
}

#[tokio::test]
async fn device_nodes_cannot_be_made_and_only_harmless_ones_are_there() {
    let bench = Bench::new().await;
    let run = bench.run(&["devices"]).await;
    let found = text(&run);
    let opened: BTreeSet<&str> = found.lines().collect();
    let harmless = ["full", "null", "random", "tty", "urandom", "zero", "ptmx", "pts/ptmx"]
        .map(|name| format!("opened /dev/{name}"));
    for line in opened {
        assert!(harmless.iter().any(|known| known == line), "{line}");
    }
}

#[tokio::test]
async fn a_set_user_id_bit_raises_nobody() {
    let mut bench = Bench::empty().await;
    let image = bench.add(cage_support::image_with_mode(0o6755));
    bench.docker.prepare(&image, &bench.blobs).await.unwrap();
    let mut job = bench.job(&["setuid"]);
    (job.image, job.limits.output_mib) = (image, 4);
    let report = text(&bench.run_job(&job).await.unwrap());
    assert!(report.contains("the image's program has mode 6755"), "the bit is there: {report}");
    assert!(report.contains("/app: 65534:65534\n") && report.contains("/tmp/risen: 65534:65534\n"), "{report}");
    assert!(!report.contains(": 0:") && !report.contains(":0\n"), "{report}");
}

#[tokio::test]
async fn the_kernels_interfaces_are_shut() {
    let bench = Bench::new().await;
    assert_eq!(text(&bench.run(&["calls"]).await), "tried 36\n");
    let files = text(&bench.run(&["kernel-files"]).await);
    // The init process, the app.
    assert_eq!(files, "processes 2\n");
}

/// Each of them alone ends as what it is (`cage.rs`); here they run at the same time as a leaf that must not notice.
#[tokio::test]
async fn bombs_in_one_cage_change_nothing_in_another() {
    let bench = Bench::new().await;
    let alone = bench.run(&["good"]).await.record;
    let named = |args: &[&str], name: &str| {
        let mut job = bench.job(args);
        job.limits.leaf_secs = 6;
        LeafJob { name: format!("{}-{name}", bench.label), out_dir: bench.folder.path().join(name), ..job }
    };
    let free = free_kib();
    let bombs = [
        (named(&["fork"], "fork"), LeafRecord::bare(Outcome::TimeLimit)),
        (named(&["memory"], "memory"), LeafRecord::bare(Outcome::MemoryLimit)),
        (named(&["fill"], "fill"), LeafRecord::bare(Outcome::OutputLimit)),
        (named(&["stdout"], "stdout"), LeafRecord::bare(Outcome::TimeLimit)),
        (named(&["queues"], "queues"), LeafRecord::bare(Outcome::TimeLimit)),
    ];
    let run_all = futures::future::join_all(bombs.iter().map(|(job, _)| bench.docker.run(job)));
    let good = async {
        let mut seen = Vec::new();
        for i in 0..3 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let job = LeafJob { limits: bench.job(&[]).limits, ..named(&["good"], &format!("good-{i}")) };
            seen.push(bench.docker.run(&job).await.unwrap().record);
        }
        seen
    };
    let (ended, seen) = tokio::join!(run_all, good);
    for ((job, expected), run) in bombs.iter().zip(ended) {
        let run = run.unwrap();
        assert_eq!(run.record, *expected, "{}: {}", job.name, run.message);
    }
    assert_eq!(seen, vec![alone; 3]);
    bench.assert_nothing_left().await;
    // What they took is given back; other tests on the machine take and give some meanwhile.
    for _ in 0..90 {
        if free_kib() + (512 << 10) > free {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("{free} KiB were free, now {}", free_kib());
}

fn free_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn ten_million_files_end_wherever_they_are_made() {
    let bench = Bench::new().await;
    for (args, outcome) in [
        (&["files", "/iexec_out"][..], LeafRecord::bare(Outcome::OutputLimit)),
        (&["links"], LeafRecord::bare(Outcome::OutputLimit)),
        // Room of its own, no result: it is the app that fails (Rust's status for an error).
        (&["files", "/tmp"], LeafRecord::app_failed(1)),
    ] {
        let mut job = bench.job(args);
        job.limits.memory_mib = 256;
        let run = bench.run_job(&job).await.unwrap();
        assert_eq!(run.record, outcome, "{args:?}: {}", run.message);
    }
}
