//! CPU time of a running leaf, by which the board's energy is split. The engine is asked once, without its own pause of a second.
use std::time::Duration;

use bollard::query_parameters::StatsOptionsBuilder;
use futures::StreamExt;

use super::Inner;

/// What is not told by then is not told.
const TIMEOUT: Duration = Duration::from_secs(2);

/// CPU time since the start of the container, microseconds; `None` where the engine does not tell.
pub(super) async fn time(inner: &Inner, name: &str) -> Option<u64> {
    let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
    let mut stats = std::pin::pin!(inner.engine.stats(name, Some(options)));
    let told = tokio::time::timeout(TIMEOUT, stats.next()).await.ok()??.ok()?;
    Some(told.cpu_stats?.cpu_usage?.total_usage? / 1000)
}
