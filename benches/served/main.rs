//! The budget of docs/PERFORMANCE.md, measured from outside: a release binary, TLS, real requests.
//!
//! `TESTED_BINARY` names another binary to measure than the one of this build. The simulated cluster runs inside
//! the measured process, so memory and idle processor time are a little higher than of Steward alone.
//! Clients and server share the machine's cores; every load ends by itself.
#![expect(clippy::print_stdout, reason = "a benchmark's rows are its output")]

mod client;
mod load;
mod process;

use client::Client;
use load::load;
use process::Steward;
use std::time::{Duration, Instant};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const LOAD: Duration = Duration::from_secs(5);
const WATCH: Duration = Duration::from_secs(60);

/// One figure beside its budget.
fn row(figure: &str, measured: f64, unit: &str, budget: f64, more_is_better: bool) {
    let good = if more_is_better { measured >= budget } else { measured <= budget };
    let sign = if more_is_better { ">=" } else { "<=" };
    let verdict = if good { "ok" } else { "OVER" };
    println!("{figure:<58} {measured:>10.2} {unit:<6} {sign} {budget:>8} {verdict}");
}

#[tokio::main]
async fn main() -> Fallible<()> {
    // `cargo test --benches` and `cargo bench NAME` pass flags that mean nothing here.
    let watch = if std::env::args().any(|a| a == "--quick") { Duration::from_secs(5) } else { WATCH };
    rustls::crypto::aws_lc_rs::default_provider().install_default().map_err(|_| "another TLS provider is installed")?;
    println!("{:<58} {:>10} {:<6} {:>11}", "figure", "measured", "unit", "budget");
    small_house(watch).await?;
    large_house(watch).await
}

/// 100 machines: start, memory, writes, pages.
async fn small_house(watch: Duration) -> Fallible<()> {
    let steward = Steward::start(100, 3).await?;
    row("start until it answers (new store)", steward.ready_after.as_secs_f64(), "s", 0.1, false);
    let client = Client::new(&steward.url)?;

    let door = client.get("/sign-in").await?;
    let style = door.asset("style").ok_or("the sign-in page names no style sheet")?;
    row("static file over TLS, 32 connections", load(&client, &style, 32, LOAD).await?.per_second, "/s", 9000.0, true);
    row(
        "made page over TLS, 32 connections",
        load(&client, "/sign-in", 32, LOAD).await?.per_second,
        "/s",
        6000.0,
        true,
    );

    let began = Instant::now();
    let session = client.sign_in(&steward.login, &steward.password).await?;
    row("sign-in, whole", began.elapsed().as_secs_f64() * 1e3, "ms", 90.0, false);
    let beside = beside_sign_ins(&client, &session).await?;
    row("page beside a flood of sign-ins, 99th percentile", beside, "ms", 15.0, false);

    let (bytes, cpu) = idle(&steward, watch).await?;
    row("written to disk in a day, 100 machines, nobody looking", bytes / 1e6, "MB", 100.0, false);
    row("processor while idle, 100 machines", cpu * 100.0, "% core", 0.5, false);
    row("resident memory, 100 machines", steward.resident()? / 1e6, "MB", 60.0, false);
    steward.stop().await
}

/// 1,000 machines: the list, and what one open browser costs.
async fn large_house(watch: Duration) -> Fallible<()> {
    let steward = Steward::start(1000, 8).await?;
    let client = Client::new(&steward.url)?;
    let session = client.sign_in(&steward.login, &steward.password).await?;
    let bearer = client.with("authorization", &format!("Bearer {}", steward.token));
    // As a browser asks. REST is asked with the session too: a token may ask only so often.
    let browser = session.with("accept-encoding", "gzip, deflate, br, zstd");
    let first = bearer.get("/api/v1/guests?limit=1").await?;
    let first: serde_json::Value = serde_json::from_slice(&first.body)?;
    let id = first["guests"][0]["id"].as_str().ok_or("the list is empty")?;
    for (what, client, path) in [
        ("list of 1,000 machines, page", &browser, "/machines"),
        ("list of 1,000 machines, 100 more rows", &browser, "/machines/rows?page=5"),
        ("list of 1,000 machines, filtered page", &browser, "/machines?q=is%3Arunning+node%3Apve3"),
        ("one of 1,000 machines opened, page", &browser, &format!("/machines/{id}")),
        ("list of 1,000 machines, REST", &session, "/api/v1/guests?limit=1000"),
    ] {
        let cpu = steward.cpu()?;
        let got = match load(client, path, 8, LOAD).await {
            Ok(got) => got,
            Err(e) => {
                println!("{what}: not measured, {e}");
                continue;
            }
        };
        let each = (steward.cpu()? - cpu).as_secs_f64() * 1e3 / got.count as f64;
        row(&format!("{what}: processor"), each, "ms", 2.0, false);
        row(&format!("{what}: 99th of 8 callers"), got.p99_ms, "ms", 15.0, false);
    }
    let stream = session.clone();
    let open = tokio::spawn(async move { stream.drain("/events", watch + Duration::from_secs(5)).await });
    let (_, cpu) = idle(&steward, watch).await?;
    row("processor with one browser watching 1,000 machines", cpu * 100.0, "% core", 0.5, false);
    open.abort();
    row("resident memory, 1,000 machines", steward.resident()? / 1e6, "MB", 120.0, false);
    steward.stop().await
}

/// The 99th percentile in milliseconds of a page, while 8 callers try passwords.
async fn beside_sign_ins(client: &Client, session: &Client) -> Fallible<f64> {
    let mut flood = Vec::new();
    for n in 0..8 {
        let client = client.clone();
        flood.push(tokio::spawn(async move {
            for i in 0_u32.. {
                // Each name fails once, so that it is the hashing that is asked for and not a lock-out.
                let name = format!("nobody-{n}-{i}");
                if client.sign_in(&name, "certainly not this").await.is_ok() {
                    break;
                }
            }
        }));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let got = load(session, "/", 2, LOAD).await;
    flood.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(got?.p99_ms)
}

/// Bytes written in a day and share of one core, from a while of watching.
async fn idle(steward: &Steward, watch: Duration) -> Fallible<(f64, f64)> {
    let (bytes, cpu, began) = (steward.written()?, steward.cpu()?, Instant::now());
    tokio::time::sleep(watch).await;
    let seconds = began.elapsed().as_secs_f64();
    Ok(((steward.written()? - bytes) / seconds * 86_400.0, (steward.cpu()? - cpu).as_secs_f64() / seconds))
}
