//! Tickets that were given out and places that are taken. In memory only: a restart ends both.

use crate::actor::Via;
use base::ids::{GuestId, UserId};
use base::{Error, Result, Secret, Timestamp};
use model::consoles::ConsoleKind;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Consoles that one person may have open.
pub const PER_PERSON: usize = 8;
/// Consoles of all people together; each holds two connections and some buffers.
const IN_ALL: usize = 64;
/// Unused tickets of one person.
const TICKETS: usize = 16;

/// A ticket that has not been used yet.
pub(super) struct Ticket {
    pub secret: Secret<[u8; 32]>,
    pub user: UserId,
    /// The session or token that asked for it.
    pub via: Option<Via>,
    pub guest: GuestId,
    pub kind: ConsoleKind,
    pub expires: Timestamp,
}

impl Ticket {
    pub fn is_for(&self, user: UserId, via: Option<Via>, guest: GuestId, now: Timestamp) -> bool {
        self.user == user && self.via == via && self.guest == guest && now < self.expires
    }
}

#[derive(Default)]
pub struct Desk {
    tickets: Mutex<HashMap<[u8; 16], Ticket>>,
    open: Arc<Mutex<Open>>,
}

/// How many each person has open on each machine.
type Open = HashMap<(UserId, GuestId), usize>;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    /// Keeps a ticket under its public half; expired ones are forgotten.
    pub(super) fn keep(&self, key: [u8; 16], ticket: Ticket, now: Timestamp) -> Result<()> {
        let mut tickets = locked(&self.tickets);
        tickets.retain(|_, t| now < t.expires);
        if tickets.values().filter(|t| t.user == ticket.user).count() >= TICKETS {
            return Err(Error::too_many("You requested many consoles and opened none. Try again in 30 seconds.", 30));
        }
        tickets.insert(key, ticket);
        Ok(())
    }

    /// Takes the ticket with that public half away; it is given only for the right secret, compared in
    /// constant time.
    pub(super) fn take(&self, key: &[u8; 16], secret: &[u8; 32]) -> Option<Ticket> {
        locked(&self.tickets).remove(key).filter(|t| t.secret.matches(secret))
    }

    pub(super) fn sit(&self, user: UserId, guest: GuestId) -> Result<ConsoleSlot> {
        let mut open = locked(&self.open);
        if open.values().sum::<usize>() >= IN_ALL {
            return Err(Error::too_many("Too many consoles are open on this Steward. Try again later.", 60));
        }
        if open.iter().filter(|((u, _), _)| *u == user).map(|(_, n)| n).sum::<usize>() >= PER_PERSON {
            let text = format!("You have {PER_PERSON} consoles open, which is the limit. Close one of them.");
            return Err(Error::too_many(text, 30));
        }
        *open.entry((user, guest)).or_default() += 1;
        Ok(ConsoleSlot { open: Arc::clone(&self.open), key: (user, guest) })
    }

    /// Who has how many open on a machine.
    pub fn at(&self, guest: GuestId) -> Vec<(UserId, usize)> {
        locked(&self.open).iter().filter(|((_, g), _)| *g == guest).map(|((u, _), n)| (*u, *n)).collect()
    }

    /// Consoles that are open now.
    pub fn total(&self) -> usize {
        locked(&self.open).values().sum()
    }
}

/// One open console of a person; no longer counted when it is dropped.
pub(super) struct ConsoleSlot {
    open: Arc<Mutex<Open>>,
    key: (UserId, GuestId),
}

impl Drop for ConsoleSlot {
    fn drop(&mut self) {
        let mut open = locked(&self.open);
        if let Some(mine) = open.get_mut(&self.key) {
            *mine = mine.saturating_sub(1);
            if *mine == 0 {
                open.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::ids::SessionId;

    fn ticket(user: UserId, via: Via, expires: i64) -> Ticket {
        Ticket {
            secret: Secret::new([1; 32]),
            user,
            via: Some(via),
            guest: GuestId::from_bytes([9; 16]),
            kind: ConsoleKind::Vnc,
            expires: Timestamp::from_secs(expires),
        }
    }

    #[test]
    fn a_ticket_is_given_once_and_only_for_its_secret() {
        let (desk, mira, via) = (Desk::default(), UserId::new(), Via::Session(SessionId::new()));
        let now = Timestamp::from_secs(0);
        desk.keep([1; 16], ticket(mira, via, 30), now).unwrap();
        assert!(desk.take(&[1; 16], &[1; 32]).is_some());
        assert!(desk.take(&[1; 16], &[1; 32]).is_none(), "used");
        desk.keep([2; 16], ticket(mira, via, 30), now).unwrap();
        assert!(desk.take(&[2; 16], &[2; 32]).is_none(), "another secret");
        assert!(desk.take(&[2; 16], &[1; 32]).is_none(), "one try");
    }

    #[test]
    fn a_ticket_is_for_one_session_one_machine_and_a_short_time() {
        let (mira, via) = (UserId::new(), Via::Session(SessionId::new()));
        let (ticket, guest, now) = (ticket(mira, via, 30), GuestId::from_bytes([9; 16]), Timestamp::from_secs(29));
        assert!(ticket.is_for(mira, Some(via), guest, now));
        assert!(!ticket.is_for(UserId::new(), Some(via), guest, now));
        assert!(!ticket.is_for(mira, Some(Via::Session(SessionId::new())), guest, now));
        assert!(!ticket.is_for(mira, Some(via), GuestId::new(), now));
        assert!(!ticket.is_for(mira, Some(via), guest, Timestamp::from_secs(30)));
    }

    #[test]
    fn a_person_has_so_many_places_and_a_left_one_is_free_again() {
        let (desk, mira) = (Desk::default(), UserId::new());
        let (web, db) = (GuestId::new(), GuestId::new());
        let on = |n: usize| if n == 0 { db } else { web };
        let mut places: Vec<_> = (0..PER_PERSON).map(|n| desk.sit(mira, on(n)).unwrap()).collect();
        assert!(desk.sit(mira, db).is_err());
        assert!(desk.sit(UserId::new(), db).is_ok());
        assert_eq!(desk.at(web), [(mira, PER_PERSON - 1)]);
        places.pop();
        assert!(desk.sit(mira, web).is_ok());
        drop(places);
        assert_eq!(desk.total(), 0);
        assert!(desk.at(web).is_empty());
    }

    #[test]
    fn unused_tickets_are_few_and_go_away_with_time() {
        let (desk, mira, via) = (Desk::default(), UserId::new(), Via::Session(SessionId::new()));
        let key = |n: usize| [u8::try_from(n).unwrap(); 16];
        for n in 0..TICKETS {
            desk.keep(key(n), ticket(mira, via, 30), Timestamp::from_secs(0)).unwrap();
        }
        assert!(desk.keep(key(99), ticket(mira, via, 30), Timestamp::from_secs(29)).is_err());
        assert!(desk.keep(key(99), ticket(mira, via, 60), Timestamp::from_secs(30)).is_ok());
    }
}
