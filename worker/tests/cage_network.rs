//! The way out of the cage for apps that asked for hosts: what a hostile app makes of it, in real Docker (docs/CAGE.md). Names are resolved by
//! the tests, listeners are their own, on this machine.
#![allow(clippy::unwrap_used)]

mod cage_support;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;

use cage_support::{Bench, text};
use futures::future::BoxFuture;
use sunwork_protocol::terms::Host;
use sunwork_worker::policy::hosts::{HostRules, Permit};
use sunwork_worker::runtime::network::{Meter, Network, Resolver, env};
use sunwork_worker::runtime::{LeafJob, LeafRun};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Names of these tests; each question is counted.
#[derive(Default)]
struct Names(AtomicU32);

impl Resolver for Names {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let found: &[&str] = match name {
            "inside.test" | "rebound.test" => &["127.0.0.1"],
            "six.test" => &["::1"],
            "mapped.test" => &["::ffff:127.0.0.1"],
            "metadata.test" => &["169.254.169.254", "fd00:ec2::254"],
            _ => &[],
        };
        Box::pin(async move { Ok(found.iter().map(|ip| ip.parse().unwrap()).collect()) })
    }
}

#[derive(Default)]
struct Counted(AtomicU64);

impl Meter for Counted {
    fn transferred(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A listener of the host that does the same with each connection; gives its address and how many came.
fn listener(serve: fn(TcpStream)) -> (SocketAddr, Arc<AtomicU32>) {
    let socket = TcpListener::bind((LOOPBACK, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    let came = Arc::new(AtomicU32::new(0));
    let count = came.clone();
    thread::spawn(move || {
        for stream in socket.incoming().flatten() {
            count.fetch_add(1, Ordering::Relaxed);
            thread::spawn(move || serve(stream));
        }
    });
    (address, came)
}

fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}

/// Sends what nobody asked for, without end, and reads nothing.
fn pour(mut stream: TcpStream) {
    while stream.write_all(&[9; 65_536]).is_ok() {}
}

/// Reads without end and says nothing.
fn swallow(mut stream: TcpStream) {
    let mut buffer = vec![0; 65_536];
    while let Ok(1..) = stream.read(&mut buffer) {}
}

struct Way {
    bench: Bench,
    names: Arc<Names>,
    counted: Arc<Counted>,
    permits: Vec<Permit>,
}

impl Way {
    /// With these rules of the owner and these hosts of the terms.
    async fn new(rules: &[String], hosts: &[String]) -> Self {
        let hosts: Vec<Host> = hosts.iter().map(|host| host.parse().unwrap()).collect();
        let rules = HostRules::parse(rules).unwrap();
        rules.check(&hosts).unwrap();
        let permits = rules.permits(&hosts);
        Self { bench: Bench::new().await, names: Arc::default(), counted: Arc::default(), permits }
    }

    fn job(&self, args: &[&str], limit_bytes: u64) -> LeafJob {
        let mut job = self.bench.job(args);
        job.env.extend(env(&self.permits));
        job.network = Some(Network {
            permits: self.permits.clone(),
            limit_bytes,
            socket: self.bench.folder.path().join("net-7.sock"),
            resolver: self.names.clone(),
            meter: self.counted.clone(),
        });
        job
    }

    async fn run(&self, args: &[&str], limit_bytes: u64) -> LeafRun {
        let run = self.bench.run_job(&self.job(args, limit_bytes)).await.expect("the engine works");
        assert!(!self.bench.folder.path().join("net-7.sock").exists(), "the socket goes with the leaf");
        run
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_hosts_of_the_terms_are_reached_and_none_that_leads_to_this_machine() {
    let ((own, came), (other, came_to_other)) = (listener(echo), listener(echo));
    let (port, other) = (own.port(), other.port());
    let names = ["rebound", "six", "mapped"].map(|name| format!("{name}.test:{port}"));
    let hosts =
        [&names[..], &[format!("inside.test:{port}"), "metadata.test:80".into(), "gone.test:80".into()]].concat();
    let mut sorted = hosts.clone();
    sorted.sort();
    let way = Way::new(&[format!("private inside.test:{port}"), "*:*".into()], &sorted).await;
    // What a killed worker left.
    std::fs::write(way.bench.folder.path().join("net-7.sock"), "stale").unwrap();
    let asked = [
        (format!("inside.test:{port}"), "reached, ping"),
        (format!("INSIDE.Test:{port}"), "reached, ping"),
        (format!("inside.test:{other}"), "reply 2"),
        (format!("other.test:{port}"), "reply 2"),
        (format!("localhost:{port}"), "reply 2"),
        (format!("127.0.0.1:{port}"), "reply 2"),
        (format!("2130706433:{port}"), "reply 2"),
        // Let through by name, and where they lead they are not.
        (format!("rebound.test:{port}"), "reply 2"),
        (format!("six.test:{port}"), "reply 2"),
        (format!("mapped.test:{port}"), "reply 2"),
        ("metadata.test:80".to_owned(), "reply 2"),
        ("gone.test:80".to_owned(), "reply 4"),
    ];
    let targets: Vec<&str> = asked.iter().map(|(target, _)| target.as_str()).collect();
    let run = way.run(&[&["way-out"][..], &targets].concat(), 1 << 20).await;
    let mut expected = vec!["socket true".to_owned()];
    expected.extend(asked.iter().map(|(target, answer)| format!("{target} {answer}")));
    for (what, answer) in [
        ("an IPv4 address", "reply 8"),
        ("an IPv6 address", "reply 8"),
        ("a mapped address", "reply 8"),
        ("to bind", "reply 7"),
        ("UDP", "reply 7"),
        ("with a password", "method 255"),
        ("SOCKS4", "closed"),
        ("HTTP", "closed"),
    ] {
        expected.push(format!("{what}: {answer}"));
    }
    assert_eq!(text(&run).lines().collect::<Vec<_>>(), expected);
    assert_eq!((came.load(Ordering::Relaxed), came_to_other.load(Ordering::Relaxed)), (2, 0));
    assert_eq!(
        way.names.0.load(Ordering::Relaxed),
        7,
        "a name is resolved once per connection: nothing can change meanwhile"
    );
    assert_eq!(way.counted.0.load(Ordering::Relaxed), 2 * 2 * 4, "both directions count");

    // Beside the socket there is still nothing.
    let run = way.run(&["network", &format!("tcp:127.0.0.1:{port}")], 1 << 20).await;
    assert_eq!(text(&run), "reached [], devices [\"lo\"], routes 0");
    // Who asked for no hosts has no socket.
    let run = way.bench.run(&["way-out"]).await;
    assert!(text(&run).starts_with("socket false\n"), "{}", text(&run));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_and_connections_have_an_end() {
    const LIMIT: u64 = 1 << 20;
    let [source, sink, echo] = [pour as fn(TcpStream), swallow, echo].map(|serve| listener(serve).0.port());
    let mut hosts = [source, sink, echo].map(|port| format!("inside.test:{port}"));
    hosts.sort_by_key(|host| host.parse::<Host>().unwrap());
    let way = Way::new(&hosts.clone().map(|host| format!("private {host}")), &hosts).await;
    let mut before = 0;
    for (mode, port, most) in [("read-endlessly", source, LIMIT), ("send-endlessly", sink, 2 * LIMIT)] {
        let said = text(&way.run(&[mode, &format!("inside.test:{port}")], LIMIT).await);
        let moved: u64 = said.lines().next().unwrap().strip_prefix("moved ").unwrap().parse().unwrap();
        // What was sent may lie in buffers of the kernel; what is read went over the network.
        assert!(moved > LIMIT / 2 && moved <= most, "{mode}: {said}");
        assert!(said.ends_with("again reply 2"), "{mode}: {said}");
        let counted = way.counted.0.load(Ordering::Relaxed);
        assert_eq!(counted - before, LIMIT, "{mode}");
        before = counted;
    }
    let said = text(&way.run(&["connections", &format!("inside.test:{echo}")], LIMIT).await);
    assert_eq!(said, "held 1000\nreached, ping");
}
