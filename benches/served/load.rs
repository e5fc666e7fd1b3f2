//! Several callers that ask one address again and again for a while.

use crate::Fallible;
use crate::client::Client;
use std::time::{Duration, Instant};

pub struct Load {
    pub count: usize,
    pub per_second: f64,
    pub p99_ms: f64,
}

/// `callers` connections ask for `path` as fast as they are answered. Every answer must be 200.
pub async fn load(client: &Client, path: &str, callers: usize, time: Duration) -> Fallible<Load> {
    let began = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..callers {
        let (client, path) = (client.clone(), path.to_owned());
        tasks.push(tokio::spawn(async move { caller(&client, &path, began + time).await }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await??);
    }
    let seconds = began.elapsed().as_secs_f64();
    all.sort_unstable();
    let last = all.len().saturating_sub(1);
    let p99 = all.get((all.len() * 99 / 100).min(last)).ok_or("nothing was answered")?;
    Ok(Load { count: all.len(), per_second: all.len() as f64 / seconds, p99_ms: p99.as_secs_f64() * 1e3 })
}

async fn caller(client: &Client, path: &str, until: Instant) -> Fallible<Vec<Duration>> {
    let mut sender = client.connect().await?;
    let mut times = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        let answer = client.ask(&mut sender, path).await?;
        if answer.status != 200 {
            return Err(format!("{path} was answered with {}", answer.status).into());
        }
        times.push(began.elapsed());
    }
    Ok(times)
}
