//! The log does not fill up with what anybody can cause: of lines from one place in the program the first ones of a
//! minute are written, and then how many more there were.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

const MINUTE: Duration = Duration::from_secs(60);
/// Lines of one place in a minute.
const LINES: u32 = 20;

/// Drops what is too much. Only warnings and errors are counted: nobody from outside causes other lines.
#[derive(Clone, Default)]
pub(super) struct Quiet(Arc<Mutex<Places>>);

#[derive(Default)]
struct Places(HashMap<Identifier, Place>);

struct Place {
    /// What its first line said.
    like: String,
    since: Instant,
    written: u32,
    dropped: u64,
}

impl Quiet {
    /// Writes now and then what was dropped, as long as the log is there.
    pub(super) fn start(&self) -> std::io::Result<()> {
        let places = Arc::downgrade(&self.0);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || tell(&places)).map(drop)
    }
}

#[expect(clippy::disallowed_methods, reason = "a thread of its own: the log is there before the runtime and after it")]
fn tell(places: &Weak<Mutex<Places>>) {
    loop {
        std::thread::sleep(MINUTE / 6);
        let Some(places) = places.upgrade() else { return };
        let over = lock(&places).over(Instant::now());
        for (like, dropped) in over {
            tracing::warn!("and {dropped} more like it: {like}");
        }
    }
}

fn lock(places: &Mutex<Places>) -> MutexGuard<'_, Places> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Places {
    /// May a line from there be written?
    fn take(&mut self, event: &Event<'_>, now: Instant) -> bool {
        let fresh = || Place { like: message(event), since: now, written: 0, dropped: 0 };
        let place = self.0.entry(event.metadata().callsite()).or_insert_with(fresh);
        if place.written < LINES {
            place.written += 1;
            return true;
        }
        place.dropped += 1;
        false
    }

    /// Those whose minute is over begin a new one; answers what they dropped.
    fn over(&mut self, now: Instant) -> Vec<(String, u64)> {
        let over = self.0.extract_if(|_, place| now.saturating_duration_since(place.since) >= MINUTE);
        over.map(|(_, place)| (place.like, place.dropped)).filter(|(_, dropped)| *dropped > 0).collect()
    }
}

fn message(event: &Event<'_>) -> String {
    struct Message(String);
    impl Visit for Message {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            if field.name() == "message" {
                self.0 = base::excerpt::listed(&format!("{value:?}"));
            }
        }
    }
    let mut message = Message(String::new());
    event.record(&mut message);
    message.0
}

impl<S: Subscriber> Layer<S> for Quiet {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        *event.metadata().level() > Level::WARN || lock(&self.0).take(event, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_flood_from_one_place_is_counted_and_other_lines_are_written() {
        let (quiet, lines) = (Quiet::default(), Lines::default());
        let writer = lines.clone();
        let log = tracing_subscriber::registry()
            .with(quiet.clone())
            .with(tracing_subscriber::fmt::layer().with_writer(move || writer.clone()));
        tracing::subscriber::with_default(log, || {
            for n in 0..140 {
                tracing::warn!(n, "refused");
            }
            tracing::warn!("something else");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!((text.matches("refused").count(), text.matches("something else").count()), (20, 1));
        let mut places = lock(&quiet.0);
        assert!(places.over(Instant::now()).is_empty(), "the minute is not over");
        assert_eq!(places.over(Instant::now() + MINUTE), [("refused".to_owned(), 120)]);
        assert!(places.0.is_empty());
    }
}
