//! Machines of a cluster that was forgotten: whose they were, in case it is connected again.

use super::{Guest, GuestKind, GuestState};
use crate::access::GuestGrant;
use base::Timestamp;
use base::ids::UserId;
use minicbor::{Decode, Encode};
use std::time::Duration;

/// They are remembered this long.
pub const REMEMBERED: Duration = Duration::from_secs(90 * 24 * 3600);

/// A machine as it was when its cluster was forgotten.
#[derive(Clone, Debug, Encode, Decode)]
pub struct ForgottenGuest {
    #[n(0)]
    pub row: Guest,
    /// With whom it was shared.
    #[n(1)]
    pub grants: Vec<(UserId, GuestGrant)>,
    #[n(2)]
    pub at: Timestamp,
}

impl ForgottenGuest {
    /// Is it what the same cluster now lists under the same number? Numbers are given again, so what could be seen of
    /// it has to be the same too: rather nobody gets a machine back than somebody another's.
    pub fn is(&self, kind: GuestKind, state: &GuestState) -> bool {
        let template = self.row.last.as_ref().is_some_and(|last| last.template);
        self.row.kind == kind && self.row.name == state.name && template == state.template
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::ids::ConnectionId;

    #[test]
    fn only_what_looks_the_same_is_the_same_machine() {
        let name = "web".to_owned();
        let row = Guest::wanted(ConnectionId::new(), GuestKind::Vm, name.clone(), None, Timestamp::ZERO);
        let forgotten = ForgottenGuest { row, grants: Vec::new(), at: Timestamp::ZERO };
        let state = GuestState { name, ..GuestState::default() };
        assert!(forgotten.is(GuestKind::Vm, &state));
        assert!(!forgotten.is(GuestKind::Container, &state));
        assert!(!forgotten.is(GuestKind::Vm, &GuestState { name: "mail".into(), ..state.clone() }));
        assert!(!forgotten.is(GuestKind::Vm, &GuestState { template: true, ..state }));
    }
}
