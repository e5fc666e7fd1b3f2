//! Who may do what: the rules, without knowing how anybody proved who they are.

use crate::base::ids::UserId;
use crate::model::guests::Guest;
use crate::model::sessions::Scope;
use crate::model::users::Role;

/// What a person wants to do with one machine, from little to much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GuestRight {
    See,
    Use,
    Manage,
}

/// What an actor may do with `guest`: admins everything, owners everything with theirs, others nothing.
/// A read-only token sees what its user sees; a token that operates may use and manage machines.
pub fn guest_right(user: UserId, role: Role, scope: Option<Scope>, guest: &Guest) -> Option<GuestRight> {
    let most = match scope {
        Some(Scope::Read) => GuestRight::See,
        _ => GuestRight::Manage,
    };
    (role == Role::Admin || guest.owner == Some(user)).then_some(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::guests::tests::a_guest;

    #[test]
    fn only_the_owner_and_admins_see_a_machine() {
        let (mira, jon) = (UserId::new(), UserId::new());
        let guest = Guest { owner: Some(mira), ..a_guest() };
        assert_eq!(guest_right(mira, Role::User, None, &guest), Some(GuestRight::Manage));
        assert_eq!(guest_right(jon, Role::User, None, &guest), None);
        assert_eq!(guest_right(jon, Role::Admin, None, &guest), Some(GuestRight::Manage));
        assert_eq!(guest_right(jon, Role::Admin, Some(Scope::Read), &guest), Some(GuestRight::See));
    }
}
