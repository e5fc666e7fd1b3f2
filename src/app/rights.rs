//! What an actor may do with a subject: the one place that jobs and events ask.

use crate::{Actor, App};
use model::access::GuestRight;
use model::subject::Subject;

/// How an actor relates to a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Admins may do everything.
    Admin,
    Has(Option<GuestRight>),
    /// It no longer exists, or is of a kind on which only admins have rights.
    NoRights,
}

impl Standing {
    pub fn sees(self) -> bool {
        matches!(self, Self::Admin | Self::Has(Some(_)))
    }
}

impl App {
    pub(crate) fn right_on(&self, actor: &Actor, subject: Subject) -> Standing {
        if actor.is_admin() {
            return Standing::Admin;
        }
        match subject {
            Subject::Guest(id) => {
                let snapshot = self.live().snapshot();
                snapshot.guest(id).map_or(Standing::NoRights, |g| Standing::Has(actor.guest_right(&g.row)))
            }
            Subject::Job(_)
            | Subject::JobLog(_)
            | Subject::Connection(_)
            | Subject::Plugins
            | Subject::Users
            | Subject::Profiles => Standing::NoRights,
        }
    }
}
