//! Hosts that an app asks for: refused by name where the owner's list lacks one, reached where it lets them through.
use std::{
    io::{Read, Write},
    net::TcpListener,
};

use eyre::ensure;
use sunwork_protocol::status::Status;

use super::{Net, Owner, expect_verified, settings::hang_up, until_excluded};
use crate::support::hostile;

/// The workers resolve the name and connect; the app has a socket and nothing else. The verifiers find the same.
pub(super) async fn hosts_are_reached_where_the_owner_lets_them_through(
    net: &mut Net,
    owner: &Owner,
) -> eyre::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut word = [0; 4];
            let _ = stream.read_exact(&mut word).and_then(|()| stream.write_all(&word));
        }
    });
    let (own, other) = (format!("localhost:{port}"), "data.example.org:443");
    let image = net.image("hostile").await?;
    owner.write(&format!("network_hosts = [\"private {own}\"]\n"))?;
    hang_up(net, "read the settings again").await?;

    let asks = hostile(&image, &["way-out", &own]).hosts([own.as_str(), other]);
    let refused = net.buy(asks).await?.address;
    for worker in &net.devnet.workers {
        let excluded = until_excluded(worker, "network_host").await?;
        let example = excluded["example"].as_str().unwrap_or_default();
        ensure!(example.contains(other) && example.contains("no rule of `network_hosts`"), "{excluded:#}");
    }
    ensure!(net.status(refused).await? == Status::Open, "a worker took what its owner's list does not let through");

    let asks = hostile(&image, &["way-out", &own, other]).hosts([own.as_str()]);
    let agreement = net.buy(asks).await?.address;
    expect_verified(net, agreement).await?;
    let file = net.files.path().join(agreement.to_string()).join("leaf-0000/result");
    let text = std::fs::read_to_string(&file)?;
    ensure!(text.starts_with(&format!("socket true\n{own} reached, ping\n{other} reply 2\n")), "{text}");
    Ok(())
}
