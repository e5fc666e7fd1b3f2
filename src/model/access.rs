//! Who may do what: the rules, without knowing how anybody proved who they are.

use crate::guests::Guest;
use crate::sessions::Scope;
use crate::users::Role;
use base::Timestamp;
use base::ids::UserId;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a person may do with one machine, from little to much.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    Serialize,
    Deserialize,
    ToSchema,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
#[strum(serialize_all = "lowercase")]
pub enum GuestRight {
    /// View it: figures, jobs, history.
    #[n(0)]
    See,
    /// Also its power and its console.
    #[n(1)]
    Use,
    /// Also everything else: change, delete, share.
    #[n(2)]
    Manage,
}

impl GuestRight {
    pub const ALL: [Self; 3] = [Self::See, Self::Use, Self::Manage];

    pub fn name(self) -> &'static str {
        self.into()
    }

    /// What it means, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::See => "View it: figures, jobs, history.",
            Self::Use => "Also start and stop it, and open its console.",
            Self::Manage => "Also change, delete and share it.",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.name() == text)
    }
}

/// A machine shared with a person who does not own it. The row's key is machine and person.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct GuestGrant {
    #[n(0)]
    pub right: GuestRight,
    /// Who shared it, in words that outlive the user.
    #[n(1)]
    pub by: String,
    #[n(2)]
    pub at: Timestamp,
}

/// What a person may do with `guest`: admins and owners everything, others what was `granted`.
pub fn person_right(user: UserId, role: Role, guest: &Guest, granted: Option<GuestRight>) -> Option<GuestRight> {
    if role == Role::Admin || guest.owner == Some(user) { Some(GuestRight::Manage) } else { granted }
}

/// The same through a token: one that only reads sees what its person sees and does nothing; one that operates
/// does what its person may.
pub fn guest_right(right: Option<GuestRight>, scope: Option<Scope>) -> Option<GuestRight> {
    match scope {
        Some(Scope::Read) => right.map(|_| GuestRight::See),
        _ => right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guests::tests::a_guest;

    #[test]
    fn owners_and_admins_may_everything_others_what_was_granted() {
        let (mira, jon) = (UserId::new(), UserId::new());
        let guest = Guest { owner: Some(mira), ..a_guest() };
        assert_eq!(person_right(mira, Role::User, &guest, None), Some(GuestRight::Manage));
        assert_eq!(person_right(jon, Role::Admin, &guest, None), Some(GuestRight::Manage));
        assert_eq!(person_right(jon, Role::User, &guest, None), None);
        for right in GuestRight::ALL {
            assert_eq!(person_right(jon, Role::User, &guest, Some(right)), Some(right));
            assert_eq!(person_right(mira, Role::User, &guest, Some(right)), Some(GuestRight::Manage));
            assert_eq!(GuestRight::parse(right.name()), Some(right));
        }
    }

    #[test]
    fn a_token_never_gives_more_than_its_person_has() {
        for right in [None, Some(GuestRight::See), Some(GuestRight::Use), Some(GuestRight::Manage)] {
            assert_eq!(guest_right(right, Some(Scope::Read)), right.map(|_| GuestRight::See));
            for scope in [None, Some(Scope::Operate), Some(Scope::Full)] {
                assert_eq!(guest_right(right, scope), right);
            }
        }
    }

    #[test]
    fn rights_are_ordered_from_little_to_much() {
        assert!(GuestRight::See < GuestRight::Use && GuestRight::Use < GuestRight::Manage);
        assert!(None < Some(GuestRight::See));
    }
}
