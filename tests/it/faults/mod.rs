//! Each trouble of the simulated cluster during each job, to its end: `docs/FAULTS.md` is written by this test.
//!
//! What is compared is the cluster's own state, not what the plugin says of it: a job that succeeded has changed
//! exactly what a good run changes; one that did not has changed nothing, says why in a sentence, leaves nothing
//! busy, and succeeds when it is tried again after the trouble is over.
//!
//! `UPDATE_DOCS=1 cargo test --test it faults::` writes the document anew; `FAULTS_OF=Clone,Create` tries only some
//! jobs and prints what it finds.

mod judge;
mod play;
mod stage;
mod table;
mod troubles;
mod work;

use play::{Played, Scene};
use stage::Stage;
use std::sync::Arc;
use tokio::sync::Semaphore;
use work::{GROUPS, Work};

/// One row of one job.
#[derive(Debug)]
pub struct Cell {
    pub title: &'static str,
    pub must_pass: bool,
    /// Or why it does not apply.
    pub played: Result<Vec<Played>, &'static str>,
}

async fn all_of(work: Work) -> (Vec<Cell>, Option<String>) {
    let stage = Stage::open().await;
    let (scene, trace) = Scene::set(&stage, work).await;
    // While the certificate is the first one.
    let killed =
        Cell { title: "the process is killed and started again", must_pass: true, played: Ok(scene.kill().await) };
    let mut cells = Vec::new();
    for row in troubles::rows(&trace) {
        let played = match row.troubles {
            Err(why) => Err(why),
            Ok(troubles) => {
                let mut all = Vec::new();
                for trouble in &troubles {
                    match scene.play(trouble).await {
                        Ok(played) => all.push(played),
                        Err(why) => return (cells, Some(format!("- {} / {}: {why}", work.title(), row.title))),
                    }
                }
                Ok(all)
            }
        };
        cells.push(Cell { title: row.title, must_pass: row.must_pass, played });
    }
    cells.push(killed);
    drop(scene);
    stage.close().await;
    (cells, None)
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "for people who look for what takes long, or try only some jobs")]
async fn each_trouble_during_each_job_ends_in_the_right_state() {
    let only = std::env::var("FAULTS_OF").ok();
    let wanted = |work: &Work| only.as_ref().is_none_or(|o| o.split(',').any(|name| name == format!("{work:?}")));
    let works: Vec<Work> = GROUPS.iter().flat_map(|(_, works)| works.iter().copied()).filter(wanted).collect();
    let began = std::time::Instant::now();
    // Some at once: they mostly wait, but a machine that is too busy makes each of them slow.
    let places = Arc::new(Semaphore::new(6));
    let start = |work: &Work| {
        let (work, places) = (*work, Arc::clone(&places));
        (
            work,
            tokio::spawn(async move {
                let _place = places.acquire_owned().await.unwrap();
                all_of(work).await
            }),
        )
    };
    let running: Vec<_> = works.iter().map(start).collect();
    let (mut found, mut stuck) = (Vec::new(), Vec::new());
    for (work, task) in running {
        let (cells, end) = task.await.unwrap_or_else(|e| panic!("{work:?}: {e}"));
        found.push((work, cells));
        stuck.extend(end);
    }
    let plays: usize =
        found.iter().flat_map(|(_, cells)| cells).filter_map(|c| c.played.as_ref().ok()).map(Vec::len).sum();
    eprintln!("{plays} runs in {:.1} s", began.elapsed().as_secs_f64());
    let mut wrongs = table::wrongs(&found);
    wrongs.extend(stuck.clone());
    if only.is_some() && stuck.is_empty() {
        eprintln!("{}", table::document(&found));
    }
    assert!(wrongs.is_empty(), "{} cells are wrong:\n{}", wrongs.len(), wrongs.join("\n"));
    if only.is_none() {
        table::compare(&table::document(&found));
    }
}
