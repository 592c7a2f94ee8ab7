//! Progress for people: one line per stage, with its time. On standard error; standard output is for results.
use std::{
    future::Future,
    time::{Duration, Instant},
};

/// Runs stages one after the other and remembers how long each took.
#[derive(Debug)]
pub struct Stages {
    started: Instant,
    done: Vec<(String, Duration)>,
}

impl Default for Stages {
    fn default() -> Self {
        Self { started: Instant::now(), done: Vec::new() }
    }
}

impl Stages {
    /// Runs one stage. A failed one is timed too.
    pub async fn run<T>(&mut self, name: &str, work: impl Future<Output = eyre::Result<T>>) -> eyre::Result<T> {
        eprintln!("{} {name} …", self.clock());
        let started = Instant::now();
        let result = work.await;
        let took = started.elapsed();
        self.done.push((name.to_owned(), took));
        let word = if result.is_ok() { "done" } else { "FAILED" };
        eprintln!("{} {name}: {word} in {:.1} s", self.clock(), took.as_secs_f64());
        result
    }

    /// Says something between stages.
    pub fn note(&self, text: &str) {
        eprintln!("{} {text}", self.clock());
    }

    /// Stages so far, in their order.
    pub fn done(&self) -> &[(String, Duration)] {
        &self.done
    }

    /// Time since the first stage began.
    pub fn total(&self) -> Duration {
        self.started.elapsed()
    }

    fn clock(&self) -> String {
        format!("[{:6.1} s]", self.total().as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn failed_stages_are_timed_too() {
        let mut stages = Stages::default();
        assert_eq!(stages.run("one", async { Ok(1) }).await.unwrap(), 1);
        assert!(stages.run("two", async { Err::<(), _>(eyre::eyre!("no")) }).await.is_err());
        let names: Vec<_> = stages.done().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["one", "two"]);
    }
}
